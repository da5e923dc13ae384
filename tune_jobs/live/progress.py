"""What a running sweep shows: one quiet live view on a terminal, a line per finished trial elsewhere. To stderr.

It is told what happens and draws; it decides nothing and reads nothing.
"""

from __future__ import annotations

import sys
import termios
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tune_jobs.live import activity
from tune_jobs.live.activity import NO_FREE_SLOT, Activity
from tune_jobs.live.signals import Interruption
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search.budgets import BudgetedSampler
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Value
from tune_jobs.words import duration


@dataclass
class _Running:
    trial: TrialRecord
    epoch: int = 0
    score: float | None = None


class Progress:
    """Counts, the best so far, the rate and the time left; each running trial's epoch and score.

    `total` is the study's total of trials, None where it is not known; `earlier` are the trials that had ended
    before this launch. What runs where and what waits is told to `activity_file` as well, for other shells.
    """

    def __init__(
        self,
        title: str,
        objective: Objective,
        epochs: int,
        total: int | None,
        earlier: tuple[TrialRecord, ...],
        varied: tuple[str, ...],
        interruption: Interruption,
        activity_file: Path,
        bounded: BudgetedSampler | None = None,
        time_limit_s: float | None = None,
    ) -> None:
        self._title, self._objective, self._epochs, self._total = title, objective, epochs, total
        self._varied, self._interruption, self._bounded = varied, interruption, bounded
        self._activity_file = activity_file
        self._activity = Activity()
        self._counts = Counter(trial.state for trial in earlier)
        self._running: dict[int, _Running] = {}
        self._best: TrialRecord | None = None
        self._begun = time.monotonic()
        self._time_limit_s = time_limit_s
        self._ended_now = 0
        self._lock = threading.Lock()
        self._console = Console(stderr=True)
        for trial in earlier:
            self._consider(trial)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Draws while the block runs, where standard error is a terminal."""
        if not self._console.is_terminal:
            yield
            return
        with _without_echo_of_keys(), Live(self, console=self._console, refresh_per_second=4, transient=True):
            yield

    def trial_started(self, trial: TrialRecord) -> None:
        with self._lock:
            self._running[trial.number] = _Running(trial)

    def epoch_ended(self, trial: TrialRecord, epoch: int, metrics: Mapping[str, float]) -> None:
        with self._lock:
            running = self._running.setdefault(trial.number, _Running(trial))
            running.epoch, running.score = epoch, metrics[self._objective.metric]

    def trial_ended(self, trial: TrialRecord) -> None:
        with self._lock:
            self._running.pop(trial.number, None)
            self._counts[trial.state] += 1
            self._ended_now += 1
            self._consider(trial)
        if not self._console.is_terminal:
            print(self._line(trial), file=sys.stderr, flush=True)

    def activity_changed(self, seen: Activity) -> None:
        with self._lock:
            self._activity = seen
        activity.write(self._activity_file, seen)

    def __rich__(self) -> RenderableType:
        with self._lock:
            parts: list[RenderableType] = [self._headline(), self._bar(), self._best_line()]
            if self._left:
                parts.append(Text(self._left, style="dim"))
            if self._running:
                parts.append(self._table())
            parts += [Text(f"trial {number}: {why}", style="dim") for number, why in self._notable]
            if self._interruption.is_set:
                parts.append(Text("ending: what is finished is kept (Ctrl-C again ends at once)", style="yellow"))
            elif self._interruption.is_draining:
                parts.append(Text("draining: what runs goes on to its end (Ctrl-C ends at once)", style="yellow"))
            elif not self._running and not self._ended_now and not self._notable:
                parts.append(Text("starting workers …", style="dim"))
            return Group(*parts)

    @property
    def _left(self) -> str:
        """What is left of the budgets."""
        parts = [] if self._bounded is None else [self._bounded.remaining]
        if self._time_limit_s is not None:
            parts.append(f"ends in {duration(max(0.0, self._begun + self._time_limit_s - time.monotonic()))}")
        return " · ".join(parts)

    @property
    def _notable(self) -> list[tuple[int, str]]:
        """What waits, and has not begun since it was looked, for another reason than that all slots are taken, which is
        how it should be."""
        waiting = sorted(self._activity.waiting.items())
        return [(n, why) for n, why in waiting if n not in self._running and not why.startswith(NO_FREE_SLOT)][:3]

    @property
    def _done(self) -> int:
        return sum(self._counts.values())

    def _consider(self, trial: TrialRecord) -> None:
        if trial.state != "complete" or trial.score is None:
            return
        if self._best is None or self._best.score is None or self._objective.is_better(trial.score, self._best.score):
            self._best = trial

    def _headline(self) -> Text:
        parts = [f"{self._counts['complete']} done", f"{len(self._running)} running"]
        parts += [f"{self._counts[state]} {state}" for state in ("stopped", "failed") if self._counts[state]]
        return Text.assemble((self._title, "bold"), "  ", " · ".join(parts), "  ", (self._pace(), "dim"))

    def _pace(self) -> str:
        elapsed = time.monotonic() - self._begun
        if not self._ended_now:
            return duration(elapsed)
        rate = f"{duration(elapsed)} · {self._ended_now / elapsed * 60:.3g} trials/min"
        if self._total is None:
            return rate
        return f"{rate} · {duration((self._total - self._done) * elapsed / self._ended_now)} left"

    def _bar(self) -> RenderableType:
        if self._total is None:
            return Text("")
        grid = Table.grid(padding=(0, 1))
        grid.add_row(ProgressBar(total=self._total, completed=self._done, width=60), f"{self._done}/{self._total}")
        return grid

    def _best_line(self) -> Text:
        if self._best is None or self._best.score is None:
            return Text("no score yet", style="dim")
        return Text.assemble(
            f"best {self._objective.metric} ",
            (f"{self._best.score:.4f}", "bold green"),
            f"  trial {self._best.number}  ",
            (short_params(self._best.params, self._varied), "dim"),
            overflow="ellipsis",
            no_wrap=True,
        )

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=True)
        for name in ("trial", "epoch", self._objective.metric):
            table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
        table.add_column("params", no_wrap=True, overflow="ellipsis", ratio=1)
        for number, running in sorted(self._running.items()):
            table.add_row(
                str(number),
                f"{running.epoch}/{self._epochs}",
                "…" if running.score is None else f"{running.score:.4f}",
                Text(short_params(running.trial.params, self._varied)),  # a str would be read as markup
            )
        return table

    def _line(self, trial: TrialRecord) -> str:
        total = "?" if self._total is None else str(self._total)
        if trial.state == "failed":
            what = f"failed: {trial.reason} ({trial.message})"
        else:
            score = "none" if trial.score is None else f"{trial.score:.4f}"
            what = f"{trial.state} {self._objective.metric} {score} at epoch {trial.best_epoch}"
        params = short_params(trial.params, self._varied)
        return f"[{self._done}/{total}] trial {trial.number} {what} in {duration(trial.seconds or 0)}  {params}"


@contextmanager
def _without_echo_of_keys() -> Iterator[None]:
    """A terminal writes `^C` where the cursor is, which would tear the view."""
    try:
        before = termios.tcgetattr(sys.stdin)
    except (termios.error, OSError, ValueError):  # standard input is no terminal
        yield
        return
    quiet = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    termios.tcsetattr(sys.stdin, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def short_params(params: Mapping[str, Value], names: tuple[str, ...]) -> str:
    """The params that vary, on one line."""
    return " ".join(f"{name}={_text(params[name])}" for name in names if name in params)


def _text(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)

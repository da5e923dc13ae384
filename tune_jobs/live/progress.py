"""What a running sweep shows on standard error: a live view on a terminal, else one line for each finished trial.

It shows what it is told. It decides nothing and reads nothing.
"""

from __future__ import annotations

import sys
import termios
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
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
from tune_jobs.live.signals import DRAINING, STOPPING, Interruption
from tune_jobs.records import fold_rows
from tune_jobs.records.constraints import Constraint, excess, is_untrained
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search.budgets import BudgetedSampler
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Value
from tune_jobs.words import counted, duration, printable

_BESIDE = ("stopped", "failed", "not trained")  # what is counted beside the complete trials and the running ones


@dataclass(frozen=True)
class SweepOutline:
    """What is known of a sweep before it starts."""

    study: str
    objective: Objective
    steps: int | None  # of one trial; None if unknown
    varied: tuple[str, ...]  # names of the params that differ between trials
    total: int | None = None  # trials of the study; None if unknown
    finished: tuple[TrialRecord, ...] = ()  # trials that ended before
    time_limit_s: float | None = None
    bounded: BudgetedSampler | None = None  # tells what is left of its budget
    constraints: tuple[Constraint, ...] = ()
    step: str = "epoch"  # or fold: what a trial is scored after


@dataclass
class _RunningTrial:
    trial: TrialRecord
    epoch: int = 0
    score: float | None = None


class Progress:
    """Shows counts, the best trial so far, the rate and the time left, and each running trial's epoch and score.

    It also writes what runs and what waits to `activity_file`, for commands in other shells.
    """

    def __init__(
        self,
        outline: SweepOutline,
        interruption: Interruption,
        activity_file: Path,
        new_best: Callable[[TrialRecord], None] = lambda trial: None,
    ) -> None:
        self._outline, self._objective = outline, outline.objective
        self._interruption, self._activity_file, self._new_best = interruption, activity_file, new_best
        self._activity = Activity()
        self._counts: Counter[str] = Counter()
        self._running: dict[int, _RunningTrial] = {}
        self._best: TrialRecord | None = None
        self._started = time.monotonic()
        self._n_ended = 0  # since then
        self._lock = threading.Lock()
        self._console = Console(stderr=True)
        for trial in outline.finished:
            self._count(trial)
            self._update_best(trial)

    def count_from_now(self) -> None:
        """Count the time from now on."""
        self._started = time.monotonic()

    @property
    def seconds_left(self) -> float | None:
        """How long the sweep takes from now on, at its pace so far; None if that is unknown."""
        elapsed, limit_s = time.monotonic() - self._started, self._outline.time_limit_s
        known = [] if limit_s is None else [max(0.0, limit_s - elapsed)]
        if self._total is not None and self._n_ended:
            known.append((self._total - self.n_finished) * elapsed / self._n_ended)
        return min(known, default=None)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the live view for the block, if standard error is a terminal."""
        if not self._console.is_terminal:
            yield
            return
        with _keys_not_echoed(), Live(self, console=self._console, refresh_per_second=4, transient=True):
            yield

    def trial_started(self, trial: TrialRecord) -> None:
        with self._lock:
            self._running[trial.number] = _RunningTrial(trial)

    def epoch_ended(self, trial: TrialRecord, epoch: int, metrics: Mapping[str, float]) -> None:
        with self._lock:
            running = self._running.setdefault(trial.number, _RunningTrial(trial))
            running.epoch, running.score = epoch, metrics.get(self._objective.metric, running.score)

    def trial_ended(self, trial: TrialRecord) -> None:
        with self._lock:
            self._running.pop(trial.number, None)
            self._count(trial)
            self._n_ended += 1
            is_best = self._update_best(trial)
        if is_best:
            self._new_best(trial)
        if not self._console.is_terminal:
            print(printable(self._line(trial)), file=sys.stderr, flush=True)

    def activity_changed(self, current: Activity) -> None:
        with self._lock:
            self._activity = current
        activity.write(self._activity_file, current)

    def __rich__(self) -> RenderableType:
        """Return the live view. Rich calls this from a thread of its own."""
        with self._lock:
            parts: list[RenderableType] = [self._headline(), self._bar(), self._best_line()]
            if self._budget_left:
                parts.append(Text(self._budget_left, style="dim"))
            if self._running:
                parts.append(self._table())
            parts += [Text(printable(f"trial {number}: {why}"), style="dim") for number, why in self._notable_waits]
            if self._interruption.is_set:
                parts.append(Text(STOPPING, style="yellow"))
            elif self._interruption.is_draining:
                parts.append(Text(DRAINING, style="yellow"))
            elif not self._running and not self._n_ended and not self._notable_waits:
                parts.append(Text("starting workers …", style="dim"))
            return Group(*parts)

    @property
    def _budget_left(self) -> str:
        outline = self._outline
        parts = [] if outline.bounded is None else [outline.bounded.remaining]
        if outline.time_limit_s is not None:
            left_s = max(0.0, self._started + outline.time_limit_s - time.monotonic())
            parts.append(f"stops in {duration(left_s)}")
        return " · ".join(parts)

    @property
    def _notable_waits(self) -> list[tuple[int, str]]:
        """Up to three trials that wait, with the reason; those that only wait for a free slot are as they should be."""
        waiting = sorted(self._activity.waiting.items())
        return [(n, why) for n, why in waiting if n not in self._running and not why.startswith(NO_FREE_SLOT)][:3]

    @property
    def n_finished(self) -> int:
        """How many trials have ended, in this sweep and before it."""
        return sum(self._counts.values()) - self._counts["not trained"]

    @property
    def _total(self) -> int | None:
        """How many trials there will be, with those that were enqueued meanwhile beyond the number asked for."""
        if self._outline.total is None:
            return None
        return max(self._outline.total, self.n_finished + len(self._running))

    def _count(self, trial: TrialRecord) -> None:
        self._counts["not trained" if is_untrained(trial) else trial.state] += 1

    def _update_best(self, trial: TrialRecord) -> bool:
        """Keep a trial that is better than all before. Return True if it is."""
        if trial.state != "complete" or trial.score is None or excess(trial, self._outline.constraints):
            return False
        best = None if self._best is None else self._best.score
        is_better = best is None or self._objective.is_better(trial.score, best)
        self._best = trial if is_better else self._best
        return is_better

    def _headline(self) -> Text:
        parts = [f"{self._counts['complete']} done", f"{len(self._running)} running"]
        parts += [f"{self._counts[state]} {state}" for state in _BESIDE if self._counts[state]]
        return Text.assemble((self._outline.study, "bold"), "  ", " · ".join(parts), "  ", (self._pace(), "dim"))

    def _pace(self) -> str:
        elapsed = time.monotonic() - self._started
        if not self._n_ended:
            return duration(elapsed)
        rate = f"{duration(elapsed)} · {self._n_ended / elapsed * 60:.3g} trials/min"
        if self._total is None:
            return rate
        return f"{rate} · {duration((self._total - self.n_finished) * elapsed / self._n_ended)} left"

    def _bar(self) -> RenderableType:
        if self._total is None:
            return Text("")
        grid = Table.grid(padding=(0, 1))
        grid.add_row(
            ProgressBar(total=self._total, completed=self.n_finished, width=60), f"{self.n_finished}/{self._total}"
        )
        return grid

    def _best_line(self) -> Text:
        if self._best is None or self._best.score is None:
            return Text("no score yet", style="dim")
        return Text.assemble(
            f"best {self._objective.metric} ",
            (f"{self._best.score:.4f}", "bold green"),
            f"  trial {self._best.number}  ",
            (short_params(self._best.params, self._outline.varied), "dim"),
            overflow="ellipsis",
            no_wrap=True,
        )

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=True)
        for name in ("trial", self._outline.step, self._objective.metric):
            table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
        table.add_column("params", no_wrap=True, overflow="ellipsis", ratio=1)
        for number, running in sorted(self._running.items()):
            table.add_row(
                str(number),
                self._how_far(running),
                "…" if running.score is None else f"{running.score:.4f}",
                Text(
                    printable(short_params(running.trial.params, self._outline.varied))
                ),  # a str would be read as markup
            )
        return table

    def _how_far(self, running: _RunningTrial) -> str:
        """Return a running trial's epoch or fold, or the images of its rung."""
        images = self._activity.images.get(running.trial.number)
        if images is not None:
            return f"{images:,} images"
        return str(running.epoch) if self._outline.steps is None else f"{running.epoch}/{self._outline.steps}"

    def _line(self, trial: TrialRecord) -> str:
        """Return the line for a finished trial."""
        total = "?" if self._total is None else str(self._total)
        params = short_params(trial.params, self._outline.varied)
        if is_untrained(trial):
            return f"[{self.n_finished}/{total}] trial {trial.number} not trained: {trial.message}  {params}"
        if trial.state == "failed":
            what = f"failed: {trial.reason} ({trial.message})"
        else:
            score = "none" if trial.score is None else f"{trial.score:.4f}"
            what = f"{trial.state} {self._objective.metric} {score} {self._where(trial)}"
        return f"[{self.n_finished}/{total}] trial {trial.number} {what} in {duration(trial.seconds or 0)}  {params}"

    def _where(self, trial: TrialRecord) -> str:
        """Return where a trial's score is from: its best epoch, or its folds with their spread."""
        if self._outline.step == "epoch":
            return f"at epoch {trial.best_epoch}"
        spread, n = trial.metrics.get(fold_rows.spread_name(self._objective.metric)), len(trial.history)
        return f"{'' if spread is None else f'+- {spread:.4f} '}over {counted(n, 'fold')}"


@contextmanager
def _keys_not_echoed() -> Iterator[None]:
    """Keep a terminal from writing `^C` at the cursor for the block: that would break the live view."""
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
    """Return the params of these names on one line."""
    return " ".join(f"{name}={_text(params[name])}" for name in names if name in params)


def _text(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)

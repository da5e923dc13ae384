"""Measure what a trial costs beside its training: no-op trials of ten reports, by `tune-jobs launch` and by Ray Tune.

    python benchmarks/overhead.py

Both sides draw params at random, run as many trials at a time as there are cores, and log to MLflow on SQLite. The
plain side (plain_noop.py) is a function trainable with Ray's defaults and `MLflowLoggerCallback`. There are three
clocks: from the start of the process to its exit, when everything must be in MLflow; from the first trial's start to
that exit, which leaves out the start of Ray; and from the first trial's start to the last one's end. A second table
has the growth of our cost with the number of trials.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from measuring import (
    HERE,
    make_sweep_parser,
    plain_environment,
    print_machine,
    print_table,
    say,
    time_command,
    warm_disk,
    work_folder,
)
from mlflow_runs import Run, trial_runs
from sweeps import Sweep

CLOCKS = (
    "start of the process to its exit",
    "first trial's start to that exit",
    "first trial's start to last one's end",
)


@dataclass(frozen=True)
class Cost:
    """The seconds that so many trials took, by each of the clocks."""

    trials: int
    seconds: tuple[float, float, float]

    @classmethod
    def of(cls, times: Sequence[tuple[float, float]], process_seconds: float, exited: float) -> Cost:
        """Return the cost, given each trial's start and end, and the process' exit, all in unix seconds."""
        first, last = min(started for started, _ in times), max(ended for _, ended in times)
        return cls(len(times), (process_seconds, exited - first, last - first))

    @property
    def each(self) -> tuple[float, ...]:
        """Seconds a trial."""
        return tuple(seconds / self.trials for seconds in self.seconds)


def main() -> None:
    options = _options()
    print_machine()
    with work_folder(options.keep) as folder:
        warm_disk()
        plain = _run_plain(options.plain_trials, folder / "plain")
        ours = {n: _run_ours(n, folder / f"ours-{n}") for n in sorted({options.trials, options.few, options.many})}
    _print_ratio(plain, ours[options.trials])
    _print_growth(ours[options.few], ours[options.many])


def _options() -> argparse.Namespace:
    parser = make_sweep_parser(__doc__)
    parser.add_argument(
        "--trials", type=int, default=500, help="of tune-jobs, compared with the plain ones (default: 500)"
    )
    parser.add_argument(
        "--plain-trials",
        type=int,
        default=500,
        help="of plain Ray Tune; only the time a trial is compared (default: 500)",
    )
    parser.add_argument(
        "--few", type=int, default=200, help="the number of trials from which growth is measured (default: 200)"
    )
    parser.add_argument(
        "--many", type=int, default=2000, help="the number of trials to which growth is measured (default: 2000)"
    )
    return parser.parse_args()


def _run_plain(trials: int, folder: Path) -> Cost:
    say(f"{trials} no-op trials by plain Ray Tune")
    folder.mkdir()
    command = [sys.executable, str(HERE / "plain_noop.py"), "--folder", str(folder), "--trials", str(trials)]
    seconds = time_command(command, plain_environment(), folder / "log", cwd=folder)
    exited = time.time()
    runs = _checked(trial_runs(f"sqlite:///{folder}/mlflow.db", "plain"), trials)
    return Cost.of([(run.started, run.ended or 0.0) for run in runs], seconds, exited)


def _run_ours(trials: int, home: Path) -> Cost:
    say(f"{trials} no-op trials by tune-jobs launch")
    sweep = Sweep(home, str(HERE / "noop_task.py:NOOP"), trials)
    seconds = sweep.run()
    exited = time.time()
    study = sweep.record()
    _checked(trial_runs(f"sqlite:///{home}/mlflow.db", study.terms.task, study=study.identity), trials)
    return Cost.of([(trial.started or 0.0, trial.finished or 0.0) for trial in study.trials], seconds, exited)


def _checked(runs: list[Run], trials: int) -> list[Run]:
    """Return the runs; if MLflow lacks one or its end, end the benchmark."""
    finished = [run for run in runs if run.status == "FINISHED" and "score" in run.metrics]
    if len(finished) != trials or len(runs) != trials:
        raise SystemExit(f"{trials} trials should be in MLflow, and {len(runs)} are, {len(finished)} to their end")
    return runs


def _print_ratio(plain: Cost, ours: Cost) -> None:
    print_table(
        ["seconds a no-op trial, 10 reports", f"plain ({plain.trials})", f"tune-jobs ({ours.trials})", "ratio"],
        [_row(clock, slow, fast, slow / fast) for clock, slow, fast in zip(CLOCKS, plain.each, ours.each, strict=True)],
    )


def _print_growth(few: Cost, many: Cost) -> None:
    print_table(
        ["seconds a no-op trial of tune-jobs", f"{few.trials} trials", f"{many.trials} trials", "growth"],
        [_row(clock, start, end, end / start) for clock, start, end in zip(CLOCKS, few.each, many.each, strict=True)],
    )


def _row(clock: str, one: float, other: float, ratio: float) -> list[str]:
    return [clock, f"{one:.4f}", f"{other:.4f}", f"{ratio:.2f}x"]


if __name__ == "__main__":
    main()

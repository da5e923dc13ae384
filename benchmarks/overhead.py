"""What a trial costs beside its training: no-op trials of ten reports, by `tune-jobs launch` and by plain Ray Tune.

Both sides draw at random, run as many trials at a time as there are cores, and log to MLflow on SQLite; the plain one
(plain_noop.py) is a function trainable with Ray's defaults and `MLflowLoggerCallback`. Two clocks: from the start of
the process to its exit, where everything is in MLflow; and from the first trial's start to the last one's end. Then
how the cost of a trial of ours grows with their number.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from measuring import (
    HERE,
    Sweep,
    environment,
    parser,
    print_machine,
    print_table,
    say,
    seconds_of,
    warm_disk,
    workplace,
)
from mlflow_runs import Run, trial_runs


@dataclass(frozen=True)
class Cost:
    """Seconds for `trials` trials."""

    trials: int
    process: float  # from the start of the process to its exit
    trialing: float  # from the first trial's start to the last one's end

    @property
    def process_each(self) -> float:
        return self.process / self.trials

    @property
    def trialing_each(self) -> float:
        return self.trialing / self.trials


def main() -> None:
    options = _options()
    print_machine()
    with workplace(options.keep) as folder:
        warm_disk()
        plain = _plain(options.plain_trials, folder / "plain")
        ours = {n: _ours(n, folder / f"ours-{n}") for n in sorted({options.trials, options.few, options.many})}
    _print_ratio(plain, ours[options.trials])
    _print_growth(ours[options.few], ours[options.many])


def _options() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--trials", type=int, default=500, help="of tune-jobs, against the plain ones")
    made.add_argument("--plain-trials", type=int, default=500, help="fewer are quicker; compared is the time a trial")
    made.add_argument("--few", type=int, default=200, help="where the growth is measured from")
    made.add_argument("--many", type=int, default=2000, help="and to")
    return made.parse_args()


def _plain(trials: int, folder: Path) -> Cost:
    say(f"{trials} no-op trials by plain Ray Tune")
    folder.mkdir()
    command = [sys.executable, str(HERE / "plain_noop.py"), "--folder", str(folder), "--trials", str(trials)]
    seconds = seconds_of(command, environment(), folder / "log", cwd=folder)
    runs = _complete(trial_runs(f"sqlite:///{folder}/mlflow.db", "plain"), trials)
    return Cost(trials, seconds, max(run.ended or 0.0 for run in runs) - min(run.started for run in runs))


def _ours(trials: int, home: Path) -> Cost:
    say(f"{trials} no-op trials by tune-jobs launch")
    sweep = Sweep(home, str(HERE / "noop_task.py:NOOP"), trials)
    seconds = sweep.run()
    study = sweep.record()
    _complete(trial_runs(f"sqlite:///{home}/mlflow.db", study.terms.task, study=study.identity), trials)
    first = min(trial.started or 0.0 for trial in study.trials)
    return Cost(trials, seconds, max(trial.finished or 0.0 for trial in study.trials) - first)


def _complete(runs: list[Run], trials: int) -> list[Run]:
    """The runs, if MLflow has all of them to their end."""
    finished = [run for run in runs if run.status == "FINISHED" and "score" in run.metrics]
    if len(finished) != trials or len(runs) != trials:
        raise SystemExit(f"{trials} trials should be in MLflow, and {len(runs)} are, {len(finished)} to their end")
    return runs


def _print_ratio(plain: Cost, ours: Cost) -> None:
    rows = [
        ["start of the process to its exit", plain.process_each, ours.process_each],
        ["first trial's start to last one's end", plain.trialing_each, ours.trialing_each],
    ]
    print_table(
        ["seconds a no-op trial, 10 reports", f"plain ({plain.trials})", f"tune-jobs ({ours.trials})", "ratio"],
        [[what, f"{slow:.4f}", f"{fast:.4f}", f"{slow / fast:.2f}x"] for what, slow, fast in rows],
    )


def _print_growth(few: Cost, many: Cost) -> None:
    rows = [
        ["start of the process to its exit", few.process_each, many.process_each],
        ["first trial's start to last one's end", few.trialing_each, many.trialing_each],
    ]
    print_table(
        ["seconds a no-op trial of tune-jobs", f"{few.trials} trials", f"{many.trials} trials", "growth"],
        [[what, f"{before:.4f}", f"{after:.4f}", f"{after / before:.2f}x"] for what, before, after in rows],
    )


if __name__ == "__main__":
    main()

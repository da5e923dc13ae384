"""How much of the workers' time is training, on a sweep of 24 trials of about 20 s each, two at a time.

Training is what trials spend inside epochs (`train_seconds`: tracing the model included, building it not), and the
workers' time is their number times the wall clock: from the start of the process to its exit, where Ray's start, the
import of TensorFlow and MLflow's last word count as lost; and from the first trial's start to the last one's end.
"""

from __future__ import annotations

import argparse
from statistics import median

from measuring import HERE, parser, print_machine, print_table, say, warm_disk, workplace
from sweeps import Sweep

from tune_jobs.records.studies import StudyRecord

GRID = (
    "initializer=glorot_uniform,glorot_normal",
    "activation=relu,tanh",
    "optimizer=rmsprop,adam",  # three settings with their learning rates
    "regularizer=none,l2",
)


def main() -> None:
    options = _options()
    print_machine()
    with workplace(options.keep) as folder:
        warm_disk()
        sweep = Sweep(
            folder / "home",
            str(HERE / "steady_task.py:STEADY"),
            options.trials,
            search="grid",
            epochs=options.epochs,
            max_concurrent=options.workers,
            data_dir=options.data_dir,
            settings=GRID,
        )
        say(f"{options.trials} trials of {options.epochs} epochs, {options.workers} at a time")
        seconds = sweep.run()
        study = sweep.record()
    _print(study, seconds, options.workers)


def _options() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--trials", type=int, default=24)
    made.add_argument("--epochs", type=int, default=30, help="a trial; choose them so that one takes about 20 s")
    made.add_argument("--workers", type=int, default=2)
    return made.parse_args()


def _print(study: StudyRecord, process: float, workers: int) -> None:
    if study.count("complete") != len(study.trials):
        raise SystemExit(f"{study.count('complete')} of {len(study.trials)} trials are complete")
    durations = [trial.seconds or 0.0 for trial in study.trials]
    training = sum(trial.train_seconds or 0.0 for trial in study.trials)
    first = min(trial.started or 0.0 for trial in study.trials)
    trialing = max(trial.finished or 0.0 for trial in study.trials) - first
    print(
        f"{len(durations)} trials of {min(durations):.1f} to {max(durations):.1f} s, median {median(durations):.1f} s; "
        f"{training:.1f} s of training in all\n"
    )
    rows = [
        ["start of the process to its exit", process],
        ["first trial's start to last one's end", trialing],
    ]
    print_table(
        ["", "wall, s", f"of {workers} workers, s", "training"],
        [[what, f"{s:.1f}", f"{workers * s:.1f}", f"{training / (workers * s):.1%}"] for what, s in rows],
    )
    lost = {
        "before the first trial and after the last": workers * (process - trialing),
        "between trials": workers * trialing - sum(durations),
        "in trials, outside epochs": sum(durations) - training,
    }
    print_table(
        ["workers' time that is not training", "s"], [[what, f"{seconds:.1f}"] for what, seconds in lost.items()]
    )


if __name__ == "__main__":
    main()

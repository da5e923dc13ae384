"""Measure how much of the workers' time is training, in a sweep of 24 trials of about 20 s each, two at a time.

    python benchmarks/utilization.py --data-dir data

Training is the time that trials spend inside epochs (`train_seconds`, which includes tracing the model but not building
it). The workers' time is their number times the wall clock, by two clocks: from the start of the process to its exit,
where Ray's start, the import of TensorFlow and the last delivery to MLflow count as lost; and from the first trial's
start to the last one's end.
"""

from __future__ import annotations

import argparse
from statistics import median

from measuring import HERE, make_sweep_parser, print_machine, print_table, say, warm_disk, work_folder
from sweeps import Sweep

from tune_jobs.records.studies import StudyRecord

GRID = (
    "initializer=glorot_uniform,glorot_normal",
    "activation=relu,tanh",
    "optimizer=rmsprop,adam",  # three values, with their learning rates
    "regularizer=none,l2",
)


def main() -> None:
    options = _options()
    print_machine()
    with work_folder(options.keep) as folder:
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
    parser = make_sweep_parser(__doc__)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=30, help="a trial; choose them so that one takes about 20 s")
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


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
    clocks = {"start of the process to its exit": process, "first trial's start to last one's end": trialing}
    print_table(
        ["", "wall, s", f"of {workers} workers, s", "training"],
        [[clock, f"{s:.1f}", f"{workers * s:.1f}", f"{training / (workers * s):.1%}"] for clock, s in clocks.items()],
    )
    lost = {
        "before the first trial and after the last": workers * (process - trialing),
        "between trials": workers * trialing - sum(durations),
        "in trials, outside epochs": sum(durations) - training,
    }
    print_table(
        ["workers' time that is not training", "s"], [[phase, f"{seconds:.1f}"] for phase, seconds in lost.items()]
    )


if __name__ == "__main__":
    main()

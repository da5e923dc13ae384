"""Measure how many trials a second one driver places, with workers that train nothing: what it can do at most.

    python benchmarks/placing.py

Each trial reports ten epochs at once and ends. The rate is that of the trials after the first fifth, in which workers
start; the study is written to the disk as always, and MLflow gets everything beside it. The workers are real ones of
Ray, all on this machine: they have its cores to share with the driver.
"""

from __future__ import annotations

import argparse
import os

from measuring import HERE, make_sweep_parser, print_machine, print_table, say, warm_disk, work_folder
from sweeps import Sweep

START = 0.2  # of the trials


def main() -> None:
    options = _options()
    print_machine()
    rows = []
    with work_folder(options.keep) as folder:
        warm_disk()
        for workers in options.workers:
            sweep = Sweep(
                folder / f"workers-{workers}",
                str(HERE / "noop_task.py:NOOP"),
                options.trials,
                max_concurrent=workers,
                cpus_per_trial=len(os.sched_getaffinity(0)) / workers / 2,
            )
            say(f"{options.trials} trials, {workers} workers")
            sweep.run()
            ended = sorted(trial.finished or 0.0 for trial in sweep.record().trials)
            counted = ended[int(START * len(ended)) :]
            rows.append([workers, f"{(len(counted) - 1) / (counted[-1] - counted[0]):.1f}"])
    print_table(["workers", "trials a second"], rows)


def _options() -> argparse.Namespace:
    parser = make_sweep_parser(__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 16, 32, 64], metavar="N")
    parser.add_argument("--trials", type=int, default=1000, help="of each sweep (default: 1000)")
    return parser.parse_args()


if __name__ == "__main__":
    main()

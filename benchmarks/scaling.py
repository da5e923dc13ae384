"""Measure how the rate of trials grows from 1 to 8 workers, on trials that sleep and so need no processor.

    python benchmarks/scaling.py

The efficiency of n workers is their rate, divided by n times the rate of one worker. There are three clocks. Steady
state is from the first to the last moment at which as many trials run as there are workers; a trial that is only partly
in it counts for that part. Before it workers start, one after the other on a small machine, and after it they run out
of work. The other two clocks leave nothing out: from the first trial's start to the last one's end, and from the start
of the process to its exit.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from measuring import HERE, make_sweep_parser, print_machine, print_table, say, warm_disk, work_folder
from sweeps import Sweep

WORKERS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Rates:
    """The trials a second of so many workers, by each clock."""

    workers: int
    steady: float
    trialing: float
    process: float

    @classmethod
    def of(cls, times: Sequence[tuple[float, float]], workers: int, process_seconds: float) -> Rates:
        """Return the rates, given each trial's start and end in unix seconds."""
        first, last = min(start for start, _ in times), max(end for _, end in times)
        begin, end = _steady_state(times, workers)
        done = sum(max(0.0, min(ending, end) - max(start, begin)) / (ending - start) for start, ending in times)
        if done < 2 * workers:
            raise SystemExit(f"{workers} workers had no steady state in {len(times)} trials: give it more")
        return cls(workers, done / (end - begin), len(times) / (last - first), len(times) / process_seconds)

    @property
    def by_clock(self) -> tuple[float, float, float]:
        return self.steady, self.trialing, self.process


def _steady_state(times: Sequence[tuple[float, float]], workers: int) -> tuple[float, float]:
    """Return the first and the last moment at which so many trials run."""
    moments = sorted([(start, 1) for start, _ in times] + [(end, -1) for _, end in times])
    running, changes = 0, []  # the moments at which the number of running trials becomes `workers`, or ceases to be
    for moment, change in moments:
        if change < 0 and running == workers:
            changes.append(moment)
        running += change
        if change > 0 and running == workers:
            changes.append(moment)
    if not changes:
        raise SystemExit(f"{workers} trials never ran at once")
    return changes[0], changes[-1]


def main() -> None:
    options = _options()
    print_machine()
    rates = []
    with work_folder(options.keep) as folder:
        warm_disk()
        for workers in WORKERS:
            sweep = Sweep(
                folder / f"workers-{workers}",
                str(HERE / "sleep_task.py:SLEEP"),
                options.trials * workers,
                epochs=2 * options.seconds,
                max_concurrent=workers,
                cpus_per_trial=0.1,
            )
            say(f"{sweep.trials} trials of {options.seconds} s, {workers} at a time")
            seconds = sweep.run()
            study = sweep.record()
            if study.count("complete") != sweep.trials:
                raise SystemExit(f"{study.count('complete')} of {sweep.trials} trials are complete")
            times = [(trial.started or 0.0, trial.finished or 0.0) for trial in study.trials]
            rates.append(Rates.of(times, workers, seconds))
    _print(rates)


def _options() -> argparse.Namespace:
    parser = make_sweep_parser(__doc__)
    parser.add_argument("--trials", type=int, default=12, help="for each worker (default: 12)")
    parser.add_argument("--seconds", type=int, default=4, help="that a trial sleeps (default: 4)")
    return parser.parse_args()


def _print(measured: Sequence[Rates]) -> None:
    clocks = ("steady state", "first trial's start to last one's end", "start of the process to its exit")
    print_table(
        ["workers", *(f"{clock}, trials/min" for clock in clocks)],
        [[rates.workers, *(f"{60 * rate:.1f}" for rate in rates.by_clock)] for rates in measured],
    )
    alone = measured[0].by_clock
    print_table(
        ["efficiency of", *clocks],
        [
            [f"{rates.workers} workers", *_efficiencies(rates.by_clock, alone, rates.workers)]
            for rates in measured
            if rates.workers > 1
        ],
    )


def _efficiencies(rates: Sequence[float], alone: Sequence[float], workers: int) -> list[str]:
    return [f"{rate / (workers * single):.1%}" for rate, single in zip(rates, alone, strict=True)]


if __name__ == "__main__":
    main()

"""How trials an hour grow with the workers, from 1 to 8, on trials that sleep: nothing competes for the processors.

The efficiency of n workers is their rate against n times the rate of one, which is the time of one worker against n
times that of n for the same trials. Steady state is from the first moment at which as many trials run as there are
workers to the last such moment, where a trial that is only partly in it counts for that part: before it workers start,
one after the other on a small machine, and after it they run out of work. The other two clocks leave nothing out: from
the first trial's start to the last one's end, and from the start of the process to its exit.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from measuring import HERE, parser, print_machine, print_table, say, warm_disk, workplace
from sweeps import Sweep

WORKERS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Rates:
    """Trials a second of so many workers, by each clock."""

    workers: int
    steady: float
    trialing: float
    process: float

    @classmethod
    def of(cls, times: Sequence[tuple[float, float]], workers: int, process_seconds: float) -> Rates:
        """From each trial's start and end, in unix seconds."""
        first, last = min(start for start, _ in times), max(end for _, end in times)
        begin, end = _full(times, workers)
        done = sum(max(0.0, min(ending, end) - max(start, begin)) / (ending - start) for start, ending in times)
        if done < 2 * workers:
            raise SystemExit(f"{workers} workers had no steady state in {len(times)} trials: give it more")
        return cls(workers, done / (end - begin), len(times) / (last - first), len(times) / process_seconds)

    @property
    def by_clock(self) -> tuple[float, float, float]:
        return self.steady, self.trialing, self.process


def _full(times: Sequence[tuple[float, float]], workers: int) -> tuple[float, float]:
    """The first and the last moment at which so many trials run."""
    moments = sorted([(start, 1) for start, _ in times] + [(end, -1) for _, end in times])
    running, full = 0, []
    for at, change in moments:
        if change < 0 and running == workers:
            full.append(at)  # until here
        running += change
        if change > 0 and running == workers:
            full.append(at)
    if not full:
        raise SystemExit(f"{workers} trials never ran at once")
    return full[0], full[-1]


def main() -> None:
    options = _options()
    print_machine()
    found = []
    with workplace(options.keep) as folder:
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
            found.append(Rates.of(times, workers, seconds))
    _print(found)


def _options() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--trials", type=int, default=12, help="for each worker")
    made.add_argument("--seconds", type=int, default=4, help="that a trial sleeps")
    return made.parse_args()


def _print(found: Sequence[Rates]) -> None:
    clocks = ("steady state", "first trial's start to last one's end", "start of the process to its exit")
    print_table(
        ["workers", *(f"{clock}, trials/min" for clock in clocks)],
        [[rates.workers, *(f"{60 * rate:.1f}" for rate in rates.by_clock)] for rates in found],
    )
    alone = found[0].by_clock
    print_table(
        ["efficiency of", *clocks],
        [
            [f"{rates.workers} workers", *_efficiencies(rates.by_clock, alone, rates.workers)]
            for rates in found
            if rates.workers > 1
        ],
    )


def _efficiencies(rates: Sequence[float], alone: Sequence[float], workers: int) -> list[str]:
    return [f"{rate / (workers * one):.1%}" for rate, one in zip(rates, alone, strict=True)]


if __name__ == "__main__":
    main()

"""Which search finds how much of a front how soon: hypervolume on two problems of two objectives; nothing is trained.

    python benchmarks/fronts.py --seeds 12 --trials 160

Printed is the median over the seeds, and the quarters, of the area between the front found and a point that is worse
than all that matters, as a share of the largest. `zdt1` is the first problem of Zitzler, Deb and Thiele (2000) in six
numbers, whose front is known. `networks` is like accuracy against size: an optimizer with a learning rate of its own,
depth, width, dropout; its largest area is that of a network that costs nothing.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from search import PROBLEMS

from tune_jobs.records.studies import Search
from tune_jobs.records.trials import RecordedResult, TrialRecord
from tune_jobs.search import samplers
from tune_jobs.search_spaces import Float, Objective, Params, Space

SEARCHES: tuple[Search, ...] = ("random", "qmc", "tpe", "nsga2")
AFTER = (20, 40, 80, 160, 320)
FIRST, SECOND = Objective("first", "minimize"), Objective("second", "minimize")

Costs = tuple[float, float]


@dataclass(frozen=True)
class Problem:
    """A space, what a point of it costs, the worst point that matters, and the largest area before it."""

    space: Space
    costs: Callable[[Params], Costs]
    worst: Costs
    area: float


def zdt1(params: Params) -> Costs:
    """The front is second = 1 - sqrt(first), where all numbers but the first are 0."""
    first, *others = (_number(params, f"x{at}") for at in range(6))
    g = 1 + 9 * sum(others) / 5
    return first, g * (1 - math.sqrt(first / g))


def networks(params: Params) -> Costs:
    """The error of `tuning`, but for its best depth and width: here the larger the better, and the costlier."""
    layers, units = _number(params, "layers"), _number(params, "units")
    error = 1 - PROBLEMS["tuning"].score({**params, "layers": 3, "units": 128})
    error += 0.4 * math.exp(-layers * math.log2(units) / 12)
    return error, (math.log10(784 * units + (layers - 1) * units**2) - 4) / 3


def _number(params: Params, name: str) -> float:
    value = params[name]
    assert isinstance(value, int | float)
    return float(value)


PROBLEMS_OF_TWO: Mapping[str, Problem] = {
    "zdt1": Problem(Space(**{f"x{at}": Float(0.0, 1.0) for at in range(6)}), zdt1, (1.1, 6.0), 6.6 - 1 / 3),
    "networks": Problem(PROBLEMS["tuning"].space, networks, (0.8, 1.1), 0.88),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--trials", type=int, default=160)
    options = parser.parse_args()
    after = [n for n in AFTER if n <= options.trials]
    for name, problem in PROBLEMS_OF_TWO.items():
        print(f"\n{name + ': share of the area (quarters)':36}" + "".join(f"{n:>22}" for n in after) + "  trials")
        for search in SEARCHES:
            started = time.perf_counter()
            runs = [_areas(problem, search, seed, after) for seed in range(options.seeds)]
            took = (time.perf_counter() - started) / options.seeds / options.trials
            cells = "".join(f"{_cell(areas):>22}" for areas in zip(*runs, strict=True))
            print(f"{search:36}{cells}  {1000 * took:.1f} ms a proposal", flush=True)


def _areas(problem: Problem, search: Search, seed: int, after: list[int]) -> list[float]:
    sampler = samplers.make_sampler(search, problem.space, FIRST, seed, (), further_objectives=(SECOND,))
    found: list[Costs] = []
    areas = []
    for number in range(after[-1]):
        candidate = sampler.ask()
        assert candidate is not None
        first, second = problem.costs(candidate.params)
        found.append((first, second))
        metrics = {"first": first, "second": second}
        result = RecordedResult("complete", first, metrics=metrics, finished=0.0)
        sampler.tell(TrialRecord(number, candidate.params, seed, "complete", result=result))
        if number + 1 in after:
            areas.append(_area(found, problem.worst) / problem.area)
    return areas


def _area(found: list[Costs], worst: Costs) -> float:
    """Of what is better than `worst` and dominated by one of these."""
    area, above = 0.0, worst[1]
    for first, second in sorted(found):
        if first < worst[0] and second < above:
            area += (worst[0] - first) * (above - second)
            above = second
    return area


def _cell(areas: tuple[float, ...]) -> str:
    low, middle, high = statistics.quantiles(areas, n=4)
    return f"{middle:.3f} ({low:.3f}-{high:.3f})"


if __name__ == "__main__":
    main()

"""Measure how much of a front each search finds, and how soon: hypervolume on two problems of two objectives.

    python benchmarks/fronts.py --seeds 12 --trials 160

Nothing is trained. The table has the median and the quartiles over the seeds of the area between the front so far and a
point that is worse than all that matters, as a share of the largest possible area. `zdt1` is the first problem of
Zitzler, Deb and Thiele (2000) in six numbers, whose front is known. `networks` resembles accuracy against size: an
optimizer with a learning rate of its own, depth, width, dropout. Its largest area is that of a network that costs
nothing.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import measuring  # (it puts this checkout on the path)
from search import PROBLEMS

from tune_jobs.records.studies import Search
from tune_jobs.records.trials import RecordedResult, TrialRecord
from tune_jobs.search import samplers
from tune_jobs.search_spaces import Float, Objective, Params, Space
from tune_jobs.search_spaces.one_factor import AnySpace

SEARCHES: tuple[Search, ...] = ("random", "qmc", "tpe", "nsga2")
AFTER = (20, 40, 80, 160, 320)
FIRST, SECOND = Objective("first", "minimize"), Objective("second", "minimize")

Costs = tuple[float, float]


@dataclass(frozen=True)
class Problem:
    """A space, the costs of its points, the worst point that matters, and the largest possible area before it."""

    space: AnySpace
    costs: Callable[[Params], Costs]
    worst: Costs
    area: float


def zdt1(params: Params) -> Costs:
    """Return the costs of the problem ZDT1; on its front all numbers but the first are 0."""
    first, *others = (_number(params, f"x{index}") for index in range(6))
    g = 1 + 9 * sum(others) / 5
    return first, g * (1 - math.sqrt(first / g))


def networks(params: Params) -> Costs:
    """Return error and size: the error of `tuning`, except that larger networks are better here, and cost more."""
    layers, units = _number(params, "layers"), _number(params, "units")
    error = 1 - PROBLEMS["tuning"].score({**params, "layers": 3, "units": 128})
    error += 0.4 * math.exp(-layers * math.log2(units) / 12)
    return error, (math.log10(784 * units + (layers - 1) * units**2) - 4) / 3


def _number(params: Params, name: str) -> float:
    value = params[name]
    assert isinstance(value, int | float)
    return float(value)


PROBLEMS_OF_TWO: Mapping[str, Problem] = {
    "zdt1": Problem(Space(**{f"x{index}": Float(0.0, 1.0) for index in range(6)}), zdt1, (1.1, 6.0), 6.6 - 1 / 3),
    "networks": Problem(PROBLEMS["tuning"].space, networks, (0.8, 1.1), 0.88),
}


def main() -> None:
    parser = measuring.make_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--trials", type=int, default=160)
    options = parser.parse_args()
    after = [n for n in AFTER if n <= options.trials]
    for name, problem in PROBLEMS_OF_TWO.items():
        print(f"\n{name + ': share of the area (quartiles)':36}" + "".join(f"{n:>22}" for n in after) + "  trials")
        for search in SEARCHES:
            started = time.perf_counter()
            runs = [_areas(problem, search, seed, after) for seed in range(options.seeds)]
            seconds = (time.perf_counter() - started) / options.seeds / options.trials
            cells = "".join(f"{_cell(areas):>22}" for areas in zip(*runs, strict=True))
            print(f"{search:36}{cells}  {1000 * seconds:.1f} ms a proposal", flush=True)


def _areas(problem: Problem, search: Search, seed: int, after: list[int]) -> list[float]:
    sampler = samplers.make_sampler(search, problem.space, FIRST, seed, (), further_objectives=(SECOND,))
    costs: list[Costs] = []
    areas = []
    for number in range(after[-1]):
        candidate = sampler.ask()
        assert candidate is not None
        first, second = problem.costs(candidate.params)
        costs.append((first, second))
        metrics = {"first": first, "second": second}
        result = RecordedResult("complete", first, metrics=metrics, finished=0.0)
        sampler.tell(TrialRecord(number, candidate.params, seed, "complete", result=result))
        if number + 1 in after:
            areas.append(_area(costs, problem.worst) / problem.area)
    return areas


def _area(costs: list[Costs], worst: Costs) -> float:
    """Return the area of all that is better than `worst` and dominated by one of these costs."""
    area, above = 0.0, worst[1]
    for first, second in sorted(costs):
        if first < worst[0] and second < above:
            area += (worst[0] - first) * (above - second)
            above = second
    return area


def _cell(areas: tuple[float, ...]) -> str:
    low, middle, high = statistics.quantiles(areas, n=4)
    return f"{middle:.3f} ({low:.3f}-{high:.3f})"


if __name__ == "__main__":
    main()

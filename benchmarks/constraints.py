"""Measure how soon a search that is told of its limits finds a good configuration within them, and one that is not.

    python benchmarks/constraints.py --seeds 20

Nothing is trained. The problem resembles a network's hyperparameters: an optimizer with a learning rate of its own,
depth, width, dropout; larger networks are better. The limits are on the number of parameters and on latency, which is
measured with some noise. "told" is told of both once a trial has ended. "known before" also knows the number of
parameters before training, as of Keras models: what has too many is no trial. Regret is the distance from the best
score within the limits, or 1 where nothing within them was found.
"""

from __future__ import annotations

import functools
import math
import random
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import measuring  # (it puts this checkout on the path)
from fronts import networks
from search import PROBLEMS

from tune_jobs.errors import Reason
from tune_jobs.records.constraints import Constraint, excess
from tune_jobs.records.studies import Search
from tune_jobs.records.trials import RecordedResult, TrialRecord
from tune_jobs.search import samplers
from tune_jobs.search_spaces import Objective, Params

SPACE = PROBLEMS["tuning"].space
SCORE, SIZE = Objective("score", "maximize"), Objective("parameters", "minimize")
LIMITS = (Constraint("parameters", "<=", 60_000), Constraint("latency", "<=", 0.9))
SEARCHES: tuple[Search, ...] = ("random", "tpe", "gp", "nsga2")
WAYS = ("not told", "told", "known before")
AFTER = (20, 40, 80)
CLOSE = 0.03  # of the best score: a configuration that is good enough
WORST = 1.0  # the regret of a search that found nothing
NOISE = 0.02  # standard deviation of the latency, as a share of it


@dataclass(frozen=True)
class Course:
    """What one search found: the regret after each trained trial, and how many configurations were not trained."""

    regrets: tuple[float, ...]
    untrained: int

    @property
    def close(self) -> int:
        """After how many trials a good configuration was known; one more than there were if none was."""
        return next((n for n, regret in enumerate(self.regrets, start=1) if regret <= CLOSE), len(self.regrets) + 1)


def parameters(params: Params) -> int:
    layers, units = _number(params, "layers"), _number(params, "units")
    return int(784 * units + (layers - 1) * units**2)


def latency(params: Params) -> float:
    """Return milliseconds without noise."""
    return 0.15 * _number(params, "layers") + _number(params, "units") / 300


def score(params: Params) -> float:
    return 1 - networks(params)[0]


def _number(params: Params, name: str) -> float:
    value = params[name]
    assert isinstance(value, int | float)
    return float(value)


@functools.cache
def best() -> float:
    """Return the best score within the limits: that of the best depth and width, with all else as good as can be."""
    rest = {"optimizer": "adam", "learning_rate": 1e-3, "dropout": "with", "dropout_rate": 0.3, "activation": "relu"}
    points = [{"layers": layers, "units": units, **rest} for layers in range(1, 7) for units in range(16, 1025)]
    return max(score(point) for point in points if not excess(_trial(0, point, 0, random.Random(0), 0.0), LIMITS))


def _trial(number: int, params: Params, seed: int, noise: random.Random, share: float) -> TrialRecord:
    reached = score(params)
    measured = latency(params) * (1 + share * noise.gauss(0, 1))
    metrics = {"score": reached, "latency": measured}
    result = RecordedResult("complete", reached, metrics=metrics, weights=parameters(params), finished=0.0)
    return TrialRecord(number, params, seed, "complete", result=result)


def _untrained(trial: TrialRecord) -> TrialRecord:
    assert trial.result is not None
    result = replace(trial.result, state="failed", score=None, metrics={}, reason=str(Reason.INFEASIBLE))
    return replace(trial, state="failed", result=result)


def course(search: Search, way: str, seed: int) -> Course:
    further = (SIZE,) if search == "nsga2" else ()
    told = () if way == "not told" else LIMITS
    sampler = samplers.make_sampler(search, SPACE, SCORE, seed, (), further_objectives=further, constraints=told)
    noise, most = random.Random(seed), best()
    regrets: list[float] = []
    found, number = -math.inf, 0
    while len(regrets) < AFTER[-1] and (candidate := sampler.ask()) is not None:
        trial = _trial(number, candidate.params, seed, noise, NOISE)
        number += 1
        if way == "known before" and excess(_untrained(trial), LIMITS):
            sampler.tell(_untrained(trial))
            continue
        sampler.tell(trial)
        if not excess(trial, LIMITS):
            found = max(found, score(candidate.params))
        regrets.append(min(WORST, most - found))
    return Course(tuple(regrets), number - len(regrets))


def main() -> None:
    parser = measuring.make_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--searches", nargs="+", choices=SEARCHES, default=SEARCHES)
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    options = parser.parse_args()
    drawn = samplers.make_sampler("random", SPACE, SCORE, 0, ())
    points = [candidate.params for _ in range(2000) if (candidate := drawn.ask()) is not None]
    within = statistics.mean(not excess(_trial(0, point, 0, random.Random(0), 0.0), LIMITS) for point in points)
    print(f"{within:.1%} of the points keep to {LIMITS[0]} and {LIMITS[1]}; the best score there is {best():.4f}\n")
    heading = "".join(f"{f'regret after {n}':>24}" for n in AFTER)
    print(f"{'search':8}{'limits':14}{f'trials to {CLOSE}':>18}{heading}{'not trained':>13}")
    runs = [(search, way) for search in options.searches for way in WAYS]
    with ProcessPoolExecutor(options.jobs) as pool:
        for search, way in runs:
            seeds = range(options.seeds)
            courses = list(pool.map(course, [search] * len(seeds), [way] * len(seeds), seeds))
            _print(search, way, courses)


def _print(search: str, way: str, courses: Sequence[Course]) -> None:
    cells = "".join(f"{_quartiles([each.regrets[n - 1] for each in courses]):>24}" for n in AFTER)
    close = _quartiles([each.close for each in courses], ".0f")
    print(
        f"{search:8}{way:14}{close:>18}{cells}{statistics.median(each.untrained for each in courses):>13g}", flush=True
    )


def _quartiles(values: Sequence[float], form: str = ".4f") -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:{form}} ({low:{form}} {high:{form}})"


if __name__ == "__main__":
    main()

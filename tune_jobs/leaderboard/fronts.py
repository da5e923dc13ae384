"""The leaderboard of several objectives: configurations that no other dominates come first. Pure functions over rows.

Non-dominated sorting as in Deb et al. (2002); docs/leaderboard.md says how to read it.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tune_jobs.leaderboard import ranking
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records.objectives import value
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces.protocol import Objective


def by_front(rows: Sequence[Row], trials: Iterable[TrialRecord], objectives: Sequence[Objective]) -> tuple[Row, ...]:
    """Put the rows of `ranking.rank` in the order of fronts; with one objective they stay as they are.

    A row's rank is then the number of its front, and it is tied with rows of exactly the same values. Within a front,
    the rows keep their order, best in the first objective first. Configurations whose trials were all stopped, and
    those that break a limit, are on no front and come last. Probabilities and places, which are of the first objective
    alone, are left out.
    """
    if len(objectives) == 1:
        return tuple(rows)
    by_number = {trial.number: trial for trial in trials}
    valued = [replace(row, values=_means(row, by_number, objectives), p_best=None, places=None) for row in rows]
    complete = [row for row in valued if row.is_result]
    fronts = numbers([_costs(row, objectives) for row in complete])
    equals = Counter(row.values for row in complete)
    placed = [
        replace(row, rank=front, tied=equals[row.values] > 1) for row, front in zip(complete, fronts, strict=True)
    ]
    last = 1 + max(fronts, default=0)
    others = [replace(row, rank=last, tied=False) for row in valued if not row.is_result]
    return (*sorted(placed, key=lambda row: row.rank), *others)


def first(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Return the Pareto front of rows that `by_front` put in order."""
    return tuple(row for row in rows if row.rank == 1 and row.is_result)


def best(rows: Sequence[Row]) -> Row | None:
    """Return the winner; with several objectives, the best of the front in the first of them."""
    return ranking.best(first(rows) if any(row.values for row in rows) else rows)


def numbers(costs: Sequence[Sequence[float]]) -> tuple[int, ...]:
    """Return the front of each point, from 1; a smaller cost is better.

    A point dominates another if it is nowhere worse and somewhere better. The first front has the points that no other
    dominates, the next those that only points on earlier fronts dominate.
    """
    import numpy as np  # takes a tenth of a second, and studies with one objective do not need it

    if not costs:
        return ()
    n = len(costs)
    nowhere_worse, somewhere_better = np.ones((n, n), bool), np.zeros((n, n), bool)  # row against column
    for cost in np.asarray(costs, float).T:
        nowhere_worse &= cost[:, None] <= cost
        somewhere_better |= cost[:, None] < cost
    dominates = nowhere_worse & somewhere_better
    dominated_by = dominates.sum(axis=0)
    fronts = np.zeros(n, int)
    front = 0
    while (fronts == 0).any():
        front += 1
        is_next = (fronts == 0) & (dominated_by == 0)
        fronts[is_next] = front
        dominated_by -= dominates[is_next].sum(axis=0)
    return tuple(fronts.tolist())


def _means(row: Row, by_number: Mapping[int, TrialRecord], objectives: Sequence[Objective]) -> tuple[float | None, ...]:
    """Return the row's score, and the mean over its trials of each further objective."""
    further = [[value(by_number[number], objective) for number in row.trials] for objective in objectives[1:]]
    means = [
        None if None in values else float(statistics.mean(v for v in values if v is not None)) for values in further
    ]
    return (row.score, *means)


def _costs(row: Row, objectives: Sequence[Objective]) -> list[float]:
    """Return the row's values as costs, which are better when smaller; an unknown value is the worst."""
    return [
        _cost(objective.worst if known is None else known, objective)
        for known, objective in zip(row.values, objectives, strict=True)
    ]


def _cost(reached: float, objective: Objective) -> float:
    return -reached if objective.direction == "maximize" else reached

"""The leaderboard of several objectives: what nothing tried is better than comes first. Pure functions over rows.

Non-dominated sorting as in Deb et al. (2002); what it says, and what it does not, is in docs/leaderboard.md.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tune_jobs.leaderboard import ranking
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records import objectives
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces.protocol import Objective


def by_front(rows: Sequence[Row], trials: Iterable[TrialRecord], aims: Sequence[Objective]) -> tuple[Row, ...]:
    """The rows of `leaderboard.rank`, best in the first objective first, put in the order of fronts; as they are where
    there is one objective.

    A row's rank is then the number of its front, and it is tied with those of the very same values. Within a front the
    rows stay in their order. Those that were only ever stopped are on none and come last. What is known about places
    by the first objective alone is left out.
    """
    if len(aims) == 1:
        return tuple(rows)
    by_number = {trial.number: trial for trial in trials}
    valued = [replace(row, values=_means(row, by_number, aims), p_best=None, places=None) for row in rows]
    complete = [row for row in valued if row.state == "complete"]
    fronts = numbers([_costs(row, aims) for row in complete])
    equals = Counter(row.values for row in complete)
    placed = [
        replace(row, rank=front, tied=equals[row.values] > 1) for row, front in zip(complete, fronts, strict=True)
    ]
    last = 1 + max(fronts, default=0)
    stopped = [replace(row, rank=last, tied=False) for row in valued if row.state == "stopped"]
    return (*sorted(placed, key=lambda row: row.rank), *stopped)


def first(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The Pareto front, of rows that `by_front` put in order."""
    return tuple(row for row in rows if row.rank == 1 and row.state == "complete")


def best(rows: Sequence[Row]) -> Row | None:
    """The winner; with several objectives that of the front in the first of them."""
    return ranking.best(first(rows) if any(row.values for row in rows) else rows)


def numbers(costs: Sequence[Sequence[float]]) -> tuple[int, ...]:
    """The front of each point, from one, where every cost is to be small.

    A point dominates another if it is nowhere worse and somewhere better. On the first front are those that none
    dominates, on the next those that only points on earlier fronts do.
    """
    import numpy as np  # a tenth of a second, for who has several objectives

    if not costs:
        return ()
    n = len(costs)
    nowhere_worse, somewhere_better = np.ones((n, n), bool), np.zeros((n, n), bool)  # row against column
    for cost in np.asarray(costs, float).T:
        nowhere_worse &= cost[:, None] <= cost
        somewhere_better |= cost[:, None] < cost
    dominates = nowhere_worse & somewhere_better
    dominated_by = dominates.sum(axis=0)
    found = np.zeros(n, int)
    front = 0
    while (found == 0).any():
        front += 1
        now = (found == 0) & (dominated_by == 0)
        found[now] = front
        dominated_by -= dominates[now].sum(axis=0)
    return tuple(found.tolist())


def _means(row: Row, by_number: Mapping[int, TrialRecord], aims: Sequence[Objective]) -> tuple[float | None, ...]:
    """The row's score, and the mean over its trials of each further objective."""
    found = [[objectives.value(by_number[number], aim) for number in row.trials] for aim in aims[1:]]
    means = [None if None in values else float(statistics.mean(v for v in values if v is not None)) for values in found]
    return (row.score, *means)


def _costs(row: Row, aims: Sequence[Objective]) -> list[float]:
    """What is to be small; a value that is not there is the worst."""
    values = [aim.worst if value is None else value for value, aim in zip(row.values, aims, strict=True)]
    return [-value if aim.direction == "maximize" else value for value, aim in zip(values, aims, strict=True)]

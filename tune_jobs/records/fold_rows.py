"""The rows of a cross-validated trial, one a fold with the metrics of its best epoch, and what they come to."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from tune_jobs.records.trials import Metrics, TrialResult

BEST_EPOCH, EPOCHS = "fold_best_epoch", "fold_epochs"  # of a row: the fold's best epoch, and how many it trained


def row_of(result: TrialResult) -> Metrics:
    """Return the row of a fold that ended with this result."""
    return {**result.metrics, BEST_EPOCH: float(result.best_epoch or 0), EPOCHS: float(len(result.history))}


def score(rows: Sequence[Metrics], metric: str) -> float:
    """Return the score over the folds so far, of which there is at least one: the mean of theirs."""
    return statistics.fmean(row[metric] for row in rows)


def spread_name(metric: str) -> str:
    """Return the name of the metric's spread: its standard deviation over the folds."""
    return f"{metric}_std"


def summary(rows: Sequence[Metrics], metric: str) -> Metrics:
    """Return the mean of each metric that every fold has, and the spread of the one that decides."""
    names = [name for name in rows[0] if all(name in row for row in rows) and name not in (BEST_EPOCH, EPOCHS)]
    means = {name: score(rows, name) for name in names}
    return means if len(rows) < 2 else {**means, spread_name(metric): statistics.stdev(row[metric] for row in rows)}


def epochs_of(rows: Sequence[Metrics]) -> int:
    """Return how many epochs were trained for these rows."""
    return sum(round(row.get(EPOCHS, 0)) for row in rows)


def usual_epoch(rows: Sequence[Metrics]) -> int:
    """Return for how many epochs a model of all rows is trained: the mean of the folds' best ones."""
    return max(1, round(statistics.fmean(row[BEST_EPOCH] for row in rows)))

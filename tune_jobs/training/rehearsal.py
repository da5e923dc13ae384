"""A few rows of a new study's data, trained for an epoch with its baseline: what only a model that is there can say."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from tune_jobs.datasets import TrainingData
from tune_jobs.datasets.dataset import Split
from tune_jobs.search_spaces.task import Task
from tune_jobs.training import epochs

_ROWS = 64  # at most


@dataclass(frozen=True)
class Rehearsal:
    """What a model of the baseline is like: whether its builder compiles it, and the metrics of its first epoch, none
    where that could not be trained."""

    compiles_itself: bool = False
    metrics: tuple[str, ...] = ()


def few_rows(data: TrainingData) -> TrainingData:
    """Return rows from all over the data, of the first fold where there are some."""
    data = data if data.folds is None else data.fold(0)
    return replace(data, train=_few(data.train), validation=_few(data.validation))


def _few(split: Split) -> Split:
    return split.take(np.unique(np.linspace(0, len(split) - 1, min(_ROWS, len(split))).astype(np.intp)))


def rehearse(task: Task, data: TrainingData) -> Rehearsal:
    """Build the baseline's model on a few rows, and train it for an epoch."""
    params, metrics = task.baseline, dict[str, float]()
    compiles_itself = bool(epochs.built(task, params, data).compiled)
    with suppress(Exception):  # a task's own code may need more rows than these
        first: Mapping[str, float] = next(epochs.KerasTraining(task, params, data, seed=0).epochs())
        metrics.update(first)
    return Rehearsal(compiles_itself, tuple(metrics))

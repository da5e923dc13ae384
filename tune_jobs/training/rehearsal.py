"""A few rows of a new study's data, trained for an epoch with its baseline: what only a model that is there can say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from tune_jobs.datasets import TrainingData, nests
from tune_jobs.datasets.dataset import Nest, Split
from tune_jobs.errors import TrialError
from tune_jobs.search_spaces.protocol import TaskError
from tune_jobs.search_spaces.task import Task
from tune_jobs.training import epochs

_ROWS = 64  # beside those of the least and the largest labels


@dataclass(frozen=True)
class Rehearsal:
    """What a model of the baseline is like: whether its builder compiles it, the metrics of its first epoch, none where
    that could not be trained, and why no trial of the task could be; None if that is not known."""

    compiles_itself: bool = False
    metrics: tuple[str, ...] = ()
    refusal: str | None = None


def few_rows(data: TrainingData) -> TrainingData:
    """Return rows from all over the data, of the first fold where there are some. If their labels fit a network as
    places in its output, all do."""
    data = data if data.folds is None else data.fold(0)
    return replace(data, train=_few(data.train), validation=_few(data.validation))


def _few(split: Split) -> Split:
    rows = np.linspace(0, len(split) - 1, min(_ROWS, len(split))).astype(np.intp)
    return split.take(np.unique([*rows, *_extremes(split.labels)]))


def _extremes(labels: Nest) -> Iterator[int]:
    """Yield the rows of the least and of the largest whole number."""
    for array in nests.arrays(labels):
        if array.dtype.kind in "iu" and array.size:
            row = array.size // len(array)
            yield int(array.argmin()) // row
            yield int(array.argmax()) // row


def rehearse(task: Task, data: TrainingData) -> Rehearsal:
    """Build the baseline's model on a few rows, and train it for an epoch."""
    params = task.baseline
    compiles_itself = bool(epochs.built(task, params, data).compiled)
    try:
        first = next(epochs.KerasTraining(task, params, data, seed=0).epochs())
    except Exception as error:
        return Rehearsal(compiles_itself, refusal=_refusal(error))
    return Rehearsal(compiles_itself, tuple(first))


def _refusal(error: Exception) -> str | None:
    """Return why no trial could be trained. A task's own code that fails may need more rows than these."""
    from tune_jobs.training.sparse_labels import LabelsError

    is_of_task = isinstance(error, TaskError)
    is_of_labels = isinstance(error, TrialError) and isinstance(error.__cause__, LabelsError)
    return str(error) if is_of_task or is_of_labels else None

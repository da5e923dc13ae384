"""The model of a cross-validated configuration: trained on all rows, for as many epochs as its folds took to be best.

Nothing is held out, so that no epoch of it is scored: the score of the configuration is that of its folds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from tune_jobs.datasets import TrainingData
from tune_jobs.errors import Reason, TrialError
from tune_jobs.records.trials import Metrics
from tune_jobs.search_spaces.protocol import TaskError
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.search_spaces.task import Task
from tune_jobs.training.epochs import KerasTraining
from tune_jobs.words import one_line

if TYPE_CHECKING:
    from tune_jobs.models.lazy_keras import keras


def trained_model(
    task: Task,
    params: Params,
    data: TrainingData,
    *,
    seed: int,
    epochs: int,
    report: Callable[[int, Metrics], None] | None = None,
) -> keras.Model:
    """Return a model that is trained for so many epochs; `report` is called after each.

    Raises:
        TrialError: it cannot be trained, or its loss is not finite.
    """
    try:
        return _trained(task, params, data, seed, epochs, report)
    except (TrialError, TaskError):
        raise
    except (Exception, SystemExit) as error:  # of the task's own code
        raise TrialError(Reason.CRASHED, one_line(error)) from error


def _trained(
    task: Task,
    params: Params,
    data: TrainingData,
    seed: int,
    epochs: int,
    report: Callable[[int, Metrics], None] | None,
) -> keras.Model:
    task = replace(task, protocol=replace(task.protocol, folds=None))
    training = KerasTraining(task, params, data, seed, is_scored=False)
    for epoch, metrics in enumerate(itertools.islice(training.epochs(), epochs), start=1):
        if not math.isfinite(metrics.get("loss", 0.0)):
            raise TrialError(Reason.DIVERGED, f"loss was {metrics['loss']} in epoch {epoch}, of a training on all rows")
        if report is not None:
            report(epoch, metrics)
    training.save_best()
    training.restore_best()
    return training.model

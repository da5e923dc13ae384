"""Trains a saved configuration again, to the score it was saved with, and hands the model out.

On the same machine and data the score is the same to the last digit: the threads, the seed and the protocol are those
of the trial that won.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tune_jobs import datasets, files, tracking
from tune_jobs.datasets import TrainingData
from tune_jobs.errors import DataError, SettingsError, UserError
from tune_jobs.exports.best import BestConfig, load_best
from tune_jobs.prediction import saved_models
from tune_jobs.prediction.saved_models import Origin
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.task import Task
from tune_jobs.settings import Settings
from tune_jobs.study.provenance import versions
from tune_jobs.training import tensorflow_start
from tune_jobs.training.trial import TrialRun, rerun
from tune_jobs.words import duration

if TYPE_CHECKING:
    from tune_jobs.models.lazy_keras import keras

_SAMPLE = 8  # images that show a model's signature


@dataclass(frozen=True)
class Retrained:
    """A configuration trained again; `recorded` is the score it was saved with."""

    metric: str
    score: float
    recorded: float
    best_epoch: int
    model_uri: str | None

    @property
    def is_same(self) -> bool:
        return self.score == self.recorded


def train(
    path: Path,
    settings: Settings,
    *,
    output: Path | None,
    with_mlflow: bool,
    say: Callable[[str], None],
    trial: int | None = None,
) -> Retrained:
    """Trains the configuration in `path`, or that of `trial` where it holds several, saves the model to `output` and
    logs it to MLflow.

    Raises:
        UserError: if the file, its task or its data are not there or not what they were; if the trial fails.
    """
    config = load_best(path, trial)
    task = replace(catalog.find_said(config.reference, str(path)), protocol=config.protocol, objective=config.objective)
    data = datasets.load_for_task(task, settings.data_dir).training
    if data.digest != config.data_digest:
        raise DataError(f"{path} was found on data {config.data_digest}, and {data.name} is now {data.digest}")
    if output is not None and output.suffix != ".keras":
        raise SettingsError(f"a model is saved as FILE.keras; got {output}")
    if with_mlflow:
        settings.prepare()
        tracking.check(settings)
    if task.train is None:
        tensorflow_start.start(config.cpus)
    model, retrained = _train(config, rerun(task, config.trial, config.params, config.seed, config.course, data), say)
    if model is None:
        return retrained
    if output is not None:
        _save(model, output, _origin(config, task, data, retrained.score))
        say(f"model saved to {output}")
    if with_mlflow:
        say("logging the model to MLflow …")
        sample = np.ascontiguousarray(data.validation.x[:_SAMPLE])
        uri = tracking.log_model(settings, config.task, _bare(model), sample, retrained.score, retrained.metric)
        return replace(retrained, model_uri=uri)
    return retrained


def _train(config: BestConfig, run: TrialRun, say: Callable[[str], None]) -> tuple[keras.Model | None, Retrained]:
    for epoch, metrics in run:
        say(f"epoch {epoch}/{config.protocol.epochs}  {config.metric} {metrics.get(config.metric, float('nan')):.4f}")
    result = run.result
    if result.score is None or result.best_epoch is None:
        raise UserError(f"the configuration did not train: {result.reason} ({result.message})")
    say(f"trained in {duration(result.train_seconds)}")
    return run.model, Retrained(config.metric, result.score, config.score, result.best_epoch, None)


def _origin(config: BestConfig, task: Task, data: TrainingData, score: float) -> Origin:
    """What the saved model has to know of itself to be read with."""
    return Origin(
        task=config.task,
        reference=config.reference,
        task_digest=config.task_digest,
        params=dict(config.params),
        seed=config.seed,
        encoding=task.encoding_of(config.params).name,
        input_shape=data.train.x.shape[1:],
        dataset=data.name,
        data_digest=data.digest,
        metric=config.metric,
        direction=config.direction,
        score=score,
        versions=versions(),
    )


def _save(model: keras.Model, path: Path, origin: Origin) -> None:
    """Writes the model with its origin, whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"the folder {path.parent} cannot be made: {error.strerror}") from error
    with files.replacement(path, suffix=".keras") as part:
        _bare(model).save(part)
        saved_models.add(part, origin)


def _bare(model: keras.Model) -> keras.Model:
    """The model without what a plain `load_model` would not know: its optimizer's schedule, and random views."""
    from tune_jobs.models import pictures
    from tune_jobs.models.lazy_keras import keras

    if type(model).__name__ != "Functional":  # a subclass saves itself, in its own way
        return model
    return pictures.without_views(keras.Model(model.input, model.output, name=model.name))

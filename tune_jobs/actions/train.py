"""Train a configuration again, to the score it was recorded with, and return or save the model.

On the same machine and data the score is the same to the last digit: the threads, the seed and the protocol are those
of the trial that won. The model of a cross-validated configuration is another: it is trained on all rows, and its score
is that of the folds.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tune_jobs import datasets, neutral_keras, tracking
from tune_jobs.actions import model_files
from tune_jobs.actions.moved import find_place
from tune_jobs.datasets import AnyTrainingData, TrainingData, nests
from tune_jobs.errors import DataError, SettingsError, StudyError, TrialError, UserError
from tune_jobs.exports.best import BestConfig, best_row, load_best
from tune_jobs.prediction import keras_files
from tune_jobs.prediction.input_forms import forms_of
from tune_jobs.prediction.keras_files import UnsavableModelError
from tune_jobs.prediction.saved_models import Origin
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import Metrics, TrialRecord, TrialResult
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.moving import check_kinds, meant_params
from tune_jobs.search_spaces.narrowing import open_all
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.search_spaces.task import Task
from tune_jobs.settings import Settings
from tune_jobs.study import provenance
from tune_jobs.study.study import Study
from tune_jobs.training import epochs, on_all_rows, tensorflow_start, weights
from tune_jobs.training.devices import FewGpusError
from tune_jobs.training.runs import AnyRun, rerun
from tune_jobs.words import Say, duration

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
    files: Path | None = None  # a folder of what a function reported
    is_of_folds: bool = False  # the score is the mean over folds, and the model was trained on the rows of all

    @property
    def is_same(self) -> bool:
        return self.score == self.recorded


def train(
    path: Path,
    settings: Settings,
    *,
    output: Path | None,
    with_mlflow: bool,
    say: Say,
    trial: int | None = None,
    register: str | None = None,
) -> Retrained:
    """Train the configuration in `path`, or that of `trial` if it holds several; save the model and log it to MLflow.

    Of a task that runs a function, `output` is a new folder for the files that the function reports. `register` names
    the model in MLflow's registry.

    Raises:
        UserError: if the file, its task or its data are missing or have changed; if the trial fails.
    """
    config, task, data = _found(path, trial, settings, say)
    if other := provenance.other_machine(config.numerics, config.protocol):
        say(other)
    model_files.check(output, task)
    if register is not None:
        tracking.check_registered_name(register, with_mlflow=with_mlflow)
    if with_mlflow:
        settings.prepare()
        tracking.check(settings)
    form: TrainingData | None = None
    if data is not None and not task.trains_itself:
        _start(config.cpus, config.gpus, say, portable=config.protocol.portable)
        with_mlflow = _can_be_saved(config, task, data, output, with_mlflow, say)
        form = epochs.form_of(task, config.params, data, config.seed)
    if form is not None and data is not None and _is_of_folds(task):
        epochs_on_all = config.best_epoch or 1
        model = _model_of_all(task, config.params, data, config.seed, epochs_on_all, say)
        retrained = Retrained(config.metric, config.score, config.score, epochs_on_all, None, is_of_folds=True)
    else:
        run = rerun(task, config.trial, config.params, config.seed, config.course, data)
        score, best_epoch = _train_again(run, task, say)
        model, retrained = run.model, Retrained(config.metric, score, config.score, best_epoch, None)
        if output is not None and run.artifacts is not None:
            shutil.copytree(run.artifacts, output)
            say(f"the files of the function are in {output}")
            return replace(retrained, files=output)
    if model is None or form is None:
        return retrained
    sample = nests.rows(form.validation.x, slice(_SAMPLE))
    if output is not None:
        model_files.save(model, output, _origin(config, task, form, retrained.score), sample, say)
    if with_mlflow:
        say("logging the model to MLflow …")
        trained = tracking.TrainedModel(config.task, sample, retrained.score, config.metric, _tags(config))
        uri = tracking.log_model(settings, keras_files.bare(model), trained, register, say)
        return replace(retrained, model_uri=uri)
    return retrained


def _found(
    path: Path, trial: int | None, settings: Settings, say: Say
) -> tuple[BestConfig, Task, AnyTrainingData | None]:
    """Return the configuration in a file, its task as it was launched, and its data, which have to be those of then."""
    config = load_best(path, trial)
    with tensorflow_start.prepared(config.cpus):
        place = find_place(config.reference, config.study, config.task, config.data_digest, settings)
        config = replace(config, reference=place[0])
        task = catalog.find_said(config.reference, str(path), place[1])
        task = replace(datasets.on_data(task, config.given_data), protocol=config.protocol, objective=config.objective)
        space = open_all(task.space)
        config = replace(config, params=meant_params(space, config.params))
        check_kinds(space, config.params, str(path))
        data = datasets.training_data(task, settings.data_dir, say)
    if data is not None and data.digest != config.data_digest:
        datasets.check_steady(task, data.digest, settings.data_dir)
        raise DataError(f"{path} was found on data {config.data_digest}, and {data.name} is now {data.digest}")
    return config, task, data


def _is_of_folds(task: Task) -> bool:
    return task.protocol.folds is not None and not task.trains_itself


def _model_of_all(task: Task, params: Params, data: AnyTrainingData, seed: int, n_epochs: int, say: Say) -> keras.Model:
    """Return the model of a cross-validated configuration, trained on all rows, with a message for each epoch.

    Raises:
        UserError: it does not train.
    """
    assert isinstance(data, TrainingData)
    say(f"training on all {len(data.train)} rows of the {task.protocol.folds} folds, for {n_epochs} epochs")

    def report(epoch: int, metrics: Metrics) -> None:
        say(f"epoch {epoch}/{n_epochs}" + (f"  loss {metrics['loss']:.4f}" if "loss" in metrics else ""))

    try:
        return on_all_rows.trained_model(task, params, data, seed=seed, epochs=n_epochs, report=report)
    except TrialError as error:
        raise UserError(f"the configuration did not train on all rows: {error.reason} ({error})") from error


def _tags(config: BestConfig) -> dict[str, str]:
    """Return the tags of a logged model that lead back to the trial that it is of."""
    tags = {"study": config.study, "trial": str(config.trial), "task": config.task, "data": config.data_digest}
    return {name: value for name, value in tags.items() if value is not None}


def _can_be_saved(
    config: BestConfig, task: Task, data: AnyTrainingData, output: Path | None, with_mlflow: bool, say: Say
) -> bool:
    """Check before training that the model can be saved where it is asked for; return whether MLflow can have it.

    Raises:
        UserError: it is to be saved to a file, and cannot be.
    """
    if not model_files.is_keras(output) and not with_mlflow:
        return False
    try:
        model = epochs.build_model(task, config.params, data, seed=config.seed)
        why_not_read = keras_files.why_not_read(model, task)
    except TrialError:  # training says it, too
        return with_mlflow
    except UnsavableModelError as error:
        if model_files.is_keras(output):
            raise
        say(f"MLflow will not have the model: {error}")
        return False
    if why_not_read is not None and model_files.is_keras(output):
        say(f"`tune-jobs predict` will not be able to read the model: {why_not_read}")
    return with_mlflow


def run_with_messages(run: AnyRun, task: Task, say: Say) -> TrialResult:
    """Train a trial to its end, with a message for each epoch or fold."""
    metric, most = task.objective.metric, task.protocol.steps
    for step, metrics in run:
        score = f"{metrics[metric]:.4f}" if metric in metrics else "not scored"
        say(f"{task.protocol.step} {step}{'' if most is None else f'/{most}'}  {metric} {score}")
    return run.result


def _train_again(run: AnyRun, task: Task, say: Say) -> tuple[float, int]:
    """Train a trial that trained before; return its score and its best epoch.

    Raises:
        UserError: if the trial fails.
    """
    result = run_with_messages(run, task, say)
    if result.score is None or result.best_epoch is None:
        raise UserError(f"the configuration did not train: {result.reason} ({result.message})")
    say(f"trained in {duration(result.train_seconds)}")
    return result.score, result.best_epoch


def best_model(name: str, settings: Settings, say: Say) -> keras.Model:
    """Return the model of a study's best configuration, in this process: from kept weights, or trained again.

    Of a configuration with several seeds it is the model of the first one. That of a cross-validated one is of all
    rows.

    Raises:
        UserError, TaskError: if no trial is complete, the task has no model, the task or its data are missing or have
            changed, or the trial fails now.
    """
    record = Study.open(name, settings).record()
    trial = _winner(record)
    with tensorflow_start.prepared(trial.cpus or 1.0):
        task = _task_of(record)
        data = datasets.load_for_task(task, settings.data_dir, say).training
    if data.digest != record.terms.data_digest:
        datasets.check_steady(task, data.digest, settings.data_dir)
        raise DataError(f"study {name!r} has data {record.terms.data_digest}, and {data.name} is now {data.digest}")
    start_tensorflow(trial.cpus or 1.0, say, trial.gpus, portable=task.protocol.portable)

    if _is_of_folds(task):
        epochs_on_all = trial.best_epoch or 1
        return keras_files.bare(_model_of_all(task, trial.params, data, trial.seed, epochs_on_all, say))
    kept = weights.load(settings.weights_dir(record.identity), trial.number)
    loaded = weights.scored_model(task, trial, data, kept)
    if loaded is not None:
        return keras_files.bare(loaded[0])
    run = rerun(task, trial.number, trial.params, trial.seed, trial.course, data)
    score, _ = _train_again(run, task, say)
    if score != trial.score:
        say(f"{task.objective.metric} is {score!r}, and the study has {trial.score!r} of trial {trial.number}")
    return keras_files.bare(run.model)


def _winner(record: StudyRecord) -> TrialRecord:
    row = best_row(record)
    if row is None:
        raise StudyError(f"study {record.name!r} has no best configuration: {record.no_result}")
    return record.trials[row.trials[0]]


def _task_of(record: StudyRecord) -> Task:
    """Return a study's task as it is trained there."""
    terms = record.terms
    task = catalog.find_said(record.reference, f"study {record.name!r}", record.with_paths)
    if task.trains_itself:
        raise UserError(f"task {task.name!r} trains itself: it leaves no model")
    return replace(datasets.on_data(task, terms.given_data), protocol=terms.protocol, objective=terms.objective)


def _start(cpus: float, gpus: int | None, say: Say, *, portable: bool) -> None:
    """Import TensorFlow with the threads of a trial and, where they are here, as many GPUs together as it had."""
    if gpus is not None:
        try:
            tensorflow_start.start(cpus, gpus, portable=portable)
            return
        except FewGpusError:
            say(f"the trial had {gpus} GPUs together, and here are fewer: the last digits of its score may differ")
    tensorflow_start.start(cpus, portable=portable)


def start_tensorflow(cpus: float, say: Say, gpus: int | None = None, *, portable: bool = False) -> None:
    """Import TensorFlow with these threads and GPUs; leave it as it is, with a message, if it was used already."""
    try:
        _start(cpus, gpus, say, portable=portable)
    except SettingsError:
        from tune_jobs.models.lazy_keras import keras

        say("this process has used TensorFlow already, so the last digits of scores may differ")
        other = neutral_keras.other_settings(keras.config)
        if other is not None:
            say(f"Keras has {other} in this process, and not in the workers of a sweep: scores may differ")


def _origin(config: BestConfig, task: Task, data: TrainingData, score: float) -> Origin:
    """Return what a saved model has to record about itself, so that its outputs can be read."""
    return Origin(
        task=config.task,
        reference=config.reference,
        task_digest=config.task_digest,
        params=dict(config.params),
        seed=config.seed,
        encoding=task.encoding_of(config.params).name,
        input_shape=() if nests.is_nested(data.train.x) else data.train.x.shape[1:],
        dataset=data.name,
        data_digest=data.digest,
        metric=config.metric,
        direction=config.direction,
        score=score,
        versions=provenance.versions(),
        study=config.study,
        classes=data.classes,
        inputs=forms_of(data.train.x),
        columns=data.columns,
        images=task.protocol.images,
        given_data=config.given_data,
    )

"""Where a trial's epochs come from: a Keras model trained in compiled epochs, or a task's own code (`own_code.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tune_jobs.datasets import AnyTrainingData, TrainingData, nests
from tune_jobs.errors import Reason, TrialError
from tune_jobs.models.label_encodings import fitted
from tune_jobs.models.presentation import Presentation
from tune_jobs.records import trial_pictures
from tune_jobs.records.objectives import LATENCY, PARAMETERS
from tune_jobs.records.per_image import Errors
from tune_jobs.records.trials import Metrics
from tune_jobs.search_spaces.declarations import takes_epoch
from tune_jobs.search_spaces.protocol import TaskError
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.search_spaces.task import Task
from tune_jobs.training import own_answers
from tune_jobs.training.checkpoints import Checkpoint
from tune_jobs.words import one_line

if TYPE_CHECKING:
    from tune_jobs.models.label_encodings import LabelEncoding
    from tune_jobs.models.lazy_keras import keras
    from tune_jobs.training.callbacks import EpochCallbacks


class Training(Protocol):
    """The training of one configuration, epoch by epoch."""

    @property
    def model(self) -> keras.Model | None:
        """The model; None if the training does not show it."""

    @property
    def n_weights(self) -> int | None:
        """How many weights the model has; None if that is not known."""

    @property
    def known_objectives(self) -> tuple[str, ...]:
        """The objectives that are known or measured without being a metric of each epoch."""

    @property
    def must_be_finite(self) -> tuple[str, ...]:
        """The metrics that show, beside the objectives, that a training diverged."""

    @property
    def scores_each_epoch(self) -> bool:
        """False if epochs without the objectives are allowed between those that have them."""

    def epochs(self) -> Iterator[Metrics]:
        """Train an epoch for each metrics that are asked for."""

    @property
    def artifacts(self) -> Path | None:
        """The folder of the files that the training reports; None if it reports none."""

    def checkpoint(self, best_epoch: int | None, history: Sequence[Metrics], seconds: float) -> Checkpoint | None:
        """Return the state after the last epoch; None if this training cannot be resumed."""

    def resume(self, start: Checkpoint) -> bool:
        """Continue from a checkpoint. Return False, and change nothing, if it does not fit."""

    def save_best(self) -> None:
        """Remember the weights as they are now: those of the best epoch so far."""

    def restore_best(self) -> None:
        """Set the weights that were remembered last."""

    def validation_errors(self) -> Errors | None:
        """Return how wrong the model is about each validation image, `(N,)`; None if that is not known."""

    def release(self) -> None:
        """Let a later trial of this process use what this one has no more use for, its model among it."""

    def pictures(self, epoch: int | None = None) -> dict[str, str] | None:
        """Return the pictures that the task makes of the model, packed; None if it makes none.

        With an `epoch`, counted from one, these are the smaller ones of a training in its course.
        """

    def measure_latency(self) -> float:
        """Return the milliseconds that the model takes for one image."""


class KerasTraining:
    """A Keras model, built from the params and trained in compiled epochs. If it is not to be scored, its epochs have
    the metrics of training alone.

    Raises:
        TrialError: the builder or the encoding refuses the params.
    """

    artifacts = None
    known_objectives = (PARAMETERS, LATENCY)
    must_be_finite = ("loss", "val_loss")
    scores_each_epoch = True

    def __init__(self, task: Task, params: Params, data: AnyTrainingData, seed: int, *, is_scored: bool = True) -> None:
        from tune_jobs.training import compiled, parts, programs

        _reset(task, seed)
        self._encoding = _encoding(task, params)
        self._parts = parts.opened(task, params, data, self._encoding, seed)
        self._batch_size = batch_size = task.route(params).batch_size
        model = _compiled_model(task, params, self._parts.form, self._parts.n_batches(batch_size))
        fitting = fitted(self._encoding, self._parts.form.train.labels)
        is_plain = task.callbacks is None and task.pictures is None and not self._parts.is_streamed
        self._program = programs.of(model, fitting, batch_size=batch_size, seed=seed, is_plain=is_plain)
        self.model, self._epochs = self._program.model, self._program.epochs
        self.n_weights = compiled.count_weights(self.model)
        self._callbacks = _callbacks(task, params, self.model, self._parts.n_batches(batch_size) or 1)
        self._make_pictures, self._seed, self._is_scored = task.pictures, seed, is_scored
        self._metric = task.objective.metric.removeprefix("val_")
        self._best_weights: list[np.ndarray] = []

    def epochs(self) -> Iterator[Metrics]:
        if self._callbacks is not None:
            yield from self._epochs_with(self._callbacks)
            return
        while True:
            trained = self._epochs.train(self._parts.train)
            yield trained | {f"val_{name}": value for name, value in self._validate().items()}

    def _epochs_with(self, callbacks: EpochCallbacks) -> Iterator[Metrics]:
        callbacks.begin()
        while callbacks.wants_more:
            yield callbacks.epoch(lambda: self._epochs.train(self._parts.train), self._validate)

    def _validate(self) -> dict[str, float]:
        if not self._is_scored:
            return {}
        scores = self._epochs.evaluate(self._parts.validation)
        return scores | own_answers.further_scores(self.model, self._parts.images)

    def checkpoint(self, best_epoch: int | None, history: Sequence[Metrics], seconds: float) -> Checkpoint | None:
        if self._callbacks is not None:  # what they have counted is not known
            return None
        variables, best_weights = tuple(self._epochs.variables), tuple(self._best_weights)
        return Checkpoint(variables, best_weights, best_epoch, tuple(history), seconds)

    def resume(self, start: Checkpoint) -> bool:
        if not self._epochs.resume(start.variables, start.epoch, self._parts.train):
            return False
        self._best_weights = list(start.best_weights)
        return True

    def save_best(self) -> None:
        self._best_weights = self.model.get_weights()

    def restore_best(self) -> None:
        if self._callbacks is not None:
            self._callbacks.end()
        self.model.set_weights(self._best_weights)

    def release(self) -> None:
        from tune_jobs.training import programs

        programs.keep(self._program)

    def validation_errors(self) -> Errors | None:
        from tune_jobs.training import compiled

        if self._parts.is_streamed:
            return None
        validation = self._parts.form.validation
        if own_answers.has_image_errors(self.model):
            return own_answers.image_errors(self.model, validation.x, self._batch_size)
        predicted = self._encoding.decode(compiled.predict(self.model, validation.x))
        return Presentation(self._encoding).errors_of(self._metric, predicted, validation.labels)

    def pictures(self, epoch: int | None = None) -> dict[str, str] | None:
        if self._make_pictures is None or (epoch is not None and not takes_epoch(self._make_pictures)):
            return None
        if epoch is None:
            return trial_pictures.pack(self._make_pictures(self.model, self._parts.form, self._seed))
        drawn = self._make_pictures(self.model, self._parts.form, self._seed, epoch=epoch)
        return trial_pictures.pack(drawn, trial_pictures.MOST_BYTES_OF_AN_EPOCH)

    def measure_latency(self) -> float:
        from tune_jobs.training import compiled

        return compiled.measure_latency(self.model, nests.rows(self._parts.form.validation.x, slice(1)))


def _callbacks(task: Task, params: Params, model: keras.Model, steps: int) -> EpochCallbacks | None:
    """Return the callbacks of a trial; None where the task has none.

    Raises:
        TaskError: they cannot be called as they ask.
        TrialError: the function that makes them refuses the params.
    """
    from tune_jobs.training.callbacks import EpochCallbacks

    if task.callbacks is None:
        return None
    try:
        made = task.callbacks(**task.route(params).callbacks)
    except ValueError as error:
        raise TrialError(Reason.INVALID, one_line(error)) from error
    return EpochCallbacks(made, model, epochs=task.protocol.epochs, steps=steps)


def build_model(task: Task, params: Params, data: AnyTrainingData, *, seed: int) -> keras.Model:
    """Return the compiled, untrained model of `params`.

    Raises:
        TrialError: the builder refuses them.
    """
    from tune_jobs.training import parts

    _reset(task, seed)
    opened = parts.opened(task, params, data, _encoding(task, params), seed)
    return _compiled_model(task, params, opened.form, opened.n_batches(task.route(params).batch_size))


def form_of(task: Task, params: Params, data: AnyTrainingData, seed: int) -> TrainingData:
    """Return what shows the form of the data: the data, or a batch of those that are streamed."""
    from tune_jobs.training import parts

    return (
        data if isinstance(data, TrainingData) else parts.opened(task, params, data, _encoding(task, params), seed).form
    )


def _reset(task: Task, seed: int) -> None:
    from tune_jobs.training import tensorflow_process

    tensorflow_process.reset(seed)
    if task.protocol.deterministic:
        tensorflow_process.enable_determinism()


def _encoding(task: Task, params: Params) -> LabelEncoding:
    try:
        return task.encoding_of(params)
    except ValueError as error:
        raise TrialError(Reason.INVALID, one_line(error)) from error


def _compiled_model(task: Task, params: Params, data: TrainingData, steps_per_epoch: int | None) -> keras.Model:
    """Build and compile the model of `params`, and check that it takes the images.

    Raises:
        TrialError: the builder refuses the params, or the images have another type than the model's input.
        TaskError: the model has two losses, or none.
    """
    from tune_jobs.models import optimizers
    from tune_jobs.training import replicas, sparse_labels
    from tune_jobs.training.precision import dtype_policy

    encoding, routed = fitted(_encoding(task, params), data.train.labels), task.route(params)
    schedule: dict[str, Any] = {"steps_per_epoch": steps_per_epoch or 1, "epochs": task.protocol.epochs}
    try:
        with dtype_policy(task.protocol.precision), replicas.scope():
            model = built(task, params, data)
            if not model.compiled:
                _check_schedule(routed.optimizer, steps_per_epoch)
                _compile(model, encoding, optimizers.from_params(routed.optimizer, **schedule))
            elif task.encoding is None and encoding.loss() is not None:
                raise TaskError("build compiles the model, and the task names a loss too: leave one of them out")
            if task.encoding is None:
                for part in (data.train, data.validation):
                    sparse_labels.check(model, part.labels)
    except TaskError:  # which is a ValueError
        raise
    except (ValueError, TypeError) as error:
        raise TrialError(Reason.INVALID, one_line(error)) from error
    _check_images(model, data)
    return model


def built(task: Task, params: Params, data: TrainingData) -> keras.Model:
    """Return the model that the task's builder returns, compiled only if that does it; with its weights."""
    assert task.build is not None
    encoding = fitted(_encoding(task, params), data.train.labels)
    model = task.build(**_given(task, encoding, data), **task.route(params).builder)
    if not model.built:  # a subclass creates its weights when it first sees an image
        model(_first_row(data))
    return model


def _check_schedule(optimizer: Mapping[str, Any], steps_per_epoch: int | None) -> None:
    is_constant = optimizer.get("schedule", "constant") == "constant" and not optimizer.get("warmup_epochs")
    if steps_per_epoch is None and not is_constant:
        raise ValueError("a schedule of the learning rate needs to know how long an epoch is: streamed(…, rows=…)")


def _given(task: Task, encoding: LabelEncoding, data: TrainingData) -> dict[str, Any]:
    """Return what the builder is given beside params, as far as it names it."""
    from tune_jobs.training.precision import float32_head

    head = encoding.head if task.protocol.precision == "float32" else float32_head(encoding.head)
    train = data.train
    given = {"input_shape": nests.shapes(train.x), "head": head, "x_train": train.x, "y_train": train.labels}
    return {name: value for name, value in given.items() if name in task.given_names}


def _first_row(data: TrainingData) -> Any:
    from tune_jobs.training import compiled

    return compiled.as_inputs(nests.rows(data.train.x, slice(1)))


def _check_images(model: keras.Model, data: TrainingData) -> None:
    """Check that a model which takes images of bytes gets such."""
    if nests.is_nested(data.train.x) or not getattr(model, "inputs", None):
        return
    needed, actual = model.inputs[0].dtype, data.train.x.dtype
    if needed == "uint8" and actual != np.uint8:
        raise TrialError(Reason.INVALID, f"the model takes uint8 images of 0 to 255, and the data are {actual}")


def _compile(model: keras.Model, encoding: LabelEncoding, optimizer: keras.optimizers.Optimizer) -> None:
    from tune_jobs.training import steps

    loss = encoding.loss()
    if loss is None and not steps.trains_itself(model):
        raise TaskError(
            "build returns a model that is not compiled, and the task has no encoding and names no loss: compile it "
            'there, or name one, as in loss="mse"'
        )
    model.compile(
        optimizer=optimizer,
        loss=loss,
        metrics=encoding.metrics(),
        jit_compile=False,  # XLA takes seconds to compile, and is no faster on a CPU
    )

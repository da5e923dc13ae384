"""Where a trial's epochs come from: a Keras model that is built from the params and trained in compiled epochs, or the
training loop that a task brings itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tune_jobs.datasets import TrainingData
from tune_jobs.datasets.dataset import Split
from tune_jobs.errors import Reason, TrialError
from tune_jobs.records.objectives import LATENCY, PARAMETERS
from tune_jobs.records.per_image import Errors
from tune_jobs.records.trials import Metrics
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.search_spaces.task import Task
from tune_jobs.training.checkpoints import Checkpoint
from tune_jobs.words import one_line

if TYPE_CHECKING:
    from tune_jobs.models.label_encodings import LabelEncoding
    from tune_jobs.models.lazy_keras import keras


class Training(Protocol):
    """Where a trial's epochs come from."""

    @property
    def model(self) -> keras.Model | None: ...
    @property
    def weights(self) -> int | None: ...
    @property
    def measures(self) -> tuple[str, ...]: ...  # what it knows of a model without being told each epoch
    def epochs(self) -> Iterator[Metrics]: ...
    def checkpoint(self, best_epoch: int, history: Sequence[Metrics], seconds: float) -> Checkpoint | None: ...
    def go_on(self, start: Checkpoint) -> bool: ...
    def keep(self) -> None: ...
    def restore(self) -> None: ...
    def errors(self) -> Errors | None: ...
    def latency(self) -> float: ...


class OwnTraining:
    """The training that a task brings itself."""

    model = None
    weights = None
    measures = ()

    def __init__(self, task: Task, params: Params, data: TrainingData, seed: int) -> None:
        assert task.train is not None
        self._epochs = task.train(params, data, seed=seed, epochs=task.protocol.epochs)

    def epochs(self) -> Iterator[Metrics]:
        for metrics in self._epochs:
            yield _numbers(metrics)

    def checkpoint(self, best_epoch: int, history: Sequence[Metrics], seconds: float) -> None:
        """What such a training holds cannot be seen."""

    def go_on(self, start: Checkpoint) -> bool:
        return False

    def keep(self) -> None:
        """Nothing to keep: what such a training holds is its own."""

    def restore(self) -> None:
        """Nothing was kept."""

    def errors(self) -> None:
        """Such a training tells its metrics alone."""

    def latency(self) -> float:
        raise NotImplementedError("there is no model to measure")


def _numbers(metrics: object) -> Metrics:
    """What a task's own training yielded, as numbers; whatever counts as one, such as NumPy's.

    Raises:
        TrialError: it is no mapping, or one of its values is no number.
    """
    if not isinstance(metrics, Mapping):
        raise TrialError(Reason.INVALID, f"each epoch needs a mapping of metrics; the task's training gave {metrics!r}")
    found = {}
    for name, value in metrics.items():
        try:
            found[str(name)] = float("" if isinstance(value, str) else value)
        except (TypeError, ValueError):
            raise TrialError(Reason.INVALID, f"metric {name!r} needs a number; got {value!r}") from None
    return found


class KerasTraining:
    """A Keras model, built from the params and trained in compiled epochs."""

    measures = (PARAMETERS, LATENCY)

    def __init__(self, task: Task, params: Params, data: TrainingData, seed: int) -> None:
        from tune_jobs.training import compiled

        _begin(task, seed)
        encoding = _encoding(task, params)
        splits = (data.train, data.validation)
        self._train, self._validation = compiled.resident(f"{data.digest}/{encoding.name}", splits, encoding.targets)
        batch_size = task.route(params).batch_size
        self.model = _build(task, params, data, math.ceil(self._train.size / batch_size))
        self.weights = compiled.weight_count(self.model)
        self._epochs = compiled.CompiledEpochs(self.model, batch_size=batch_size, seed=seed)
        self._encoding, self._data = encoding, data
        self._best: list[np.ndarray] = []

    def epochs(self) -> Iterator[Metrics]:
        while True:
            trained = self._epochs.train(self._train)
            scored = self._epochs.evaluate(self._validation)
            yield trained | {f"val_{name}": value for name, value in scored.items()}

    def checkpoint(self, best_epoch: int, history: Sequence[Metrics], seconds: float) -> Checkpoint:
        return Checkpoint(tuple(self._epochs.variables), tuple(self._best), best_epoch, tuple(history), seconds)

    def go_on(self, start: Checkpoint) -> bool:
        if not self._epochs.go_on(start.variables, start.epoch, self._train):
            return False
        self._best = list(start.best_weights)
        return True

    def keep(self) -> None:
        self._best = self.model.get_weights()

    def restore(self) -> None:
        self.model.set_weights(self._best)

    def errors(self) -> Errors:
        return errors_of(self.model, self._encoding, self._data.validation)

    def latency(self) -> float:
        from tune_jobs.training import compiled

        return compiled.latency(self.model, self._data.validation.x[:1])


def errors_of(model: keras.Model, encoding: LabelEncoding, split: Split) -> Errors:
    """How wrong a trained model is about each image of a split, `(N,)`, in the encoding's unit."""
    from tune_jobs.training import compiled

    return encoding.errors(encoding.decode(compiled.outputs(model, split.x)), split.labels)


def built(task: Task, params: Params, data: TrainingData, *, seed: int) -> keras.Model:
    """The compiled, untrained model of `params`.

    Raises:
        TrialError: the builder refuses them.
    """
    _begin(task, seed)
    return _build(task, params, data, math.ceil(len(data.train) / task.route(params).batch_size))


def _begin(task: Task, seed: int) -> None:
    from tune_jobs.training import compiled

    compiled.begin(seed)
    if task.protocol.deterministic:
        compiled.be_deterministic()


def _encoding(task: Task, params: Params) -> LabelEncoding:
    try:
        return task.encoding_of(params)
    except ValueError as error:
        raise TrialError(Reason.INVALID, one_line(error)) from error


def _build(task: Task, params: Params, data: TrainingData, steps_per_epoch: int) -> keras.Model:
    """The compiled model of `params`; a builder that refuses them makes the trial `invalid`."""
    from tune_jobs.models import optimizers
    from tune_jobs.training.precision import exact, policy

    assert task.build is not None
    encoding = _encoding(task, params)
    routed = task.route(params)
    told: dict[str, Any] = {"steps_per_epoch": steps_per_epoch, "epochs": task.protocol.epochs}
    head = encoding.head if task.protocol.precision == "float32" else exact(encoding.head)
    try:
        with policy(task.protocol.precision):
            model = task.build(input_shape=data.train.x.shape[1:], head=head, **routed.builder)
            if not model.built:  # a subclass builds its weights when it first sees an image
                model(data.train.x[:1])
            if not model.compiled:
                model.compile(
                    optimizer=optimizers.build(**told | routed.optimizer),
                    loss=encoding.loss(),
                    metrics=encoding.metrics(),
                )
    except (ValueError, TypeError) as error:
        raise TrialError(Reason.INVALID, one_line(error)) from error
    wanted, came = model.inputs[0].dtype if getattr(model, "inputs", None) else None, data.train.x.dtype
    if wanted == "uint8" and came != np.uint8:
        raise TrialError(Reason.INVALID, f"the model takes uint8 images of 0 to 255, and the data are {came}")
    return model

"""Train any compiled Keras model, a whole epoch per compiled call, on data that stay in device memory.

`fit` pays Python for every batch: for a small network that is three quarters of its time (benchmarks/epoch.py). Here
an epoch is one `tf.function`. Its loop gathers each batch on the device and calls the model's own `train_step`, so that
a subclass with a train step of its own works too. Early stopping, scores and failures are the business of `trial.py`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tune_jobs.datasets.dataset import Split
from tune_jobs.models.lazy_keras import keras

EVALUATION_BATCH = 500  # images; it bounds the memory, and results do not depend on it

_LATENCY_CALLS = 500  # at most
_LATENCY_S = 2.0  # at most
_WARM_UP_CALLS = 10  # which compile and fill caches

_resident: dict[str, tuple[ResidentSplit, ...]] = {}


@dataclass(frozen=True)
class ResidentSplit:
    """A split as tensors on the device: images `(N, ...)` as they are stored, and their training targets."""

    x: Any
    targets: Any
    size: int


def resident_splits(
    key: str, splits: tuple[Split, ...], targets: Callable[[np.ndarray], np.ndarray]
) -> tuple[ResidentSplit, ...]:
    """Return the splits on the device. They stay there until another `key` is asked for, for the next trial to use."""
    if key not in _resident:
        _resident.clear()
        _resident[key] = tuple(to_device(split, targets) for split in splits)
    return _resident[key]


def to_device(split: Split, targets: Callable[[np.ndarray], np.ndarray]) -> ResidentSplit:
    """Return one split as tensors, with the targets that `targets` makes of its labels."""
    return ResidentSplit(tf.constant(split.x), tf.nest.map_structure(tf.constant, targets(split.labels)), len(split.x))


class CompiledEpochs:
    """The epochs of a compiled model over resident data, each one call.

    The order of the images is drawn from `seed` and the epoch's number alone. As in `fit`, the last batch of an epoch
    is the shorter one.
    """

    def __init__(self, model: keras.Model, *, batch_size: int, seed: int) -> None:
        self._model = model
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0
        self._train = tf.function(self._train_batches, autograph=True)
        self._evaluate = tf.function(self._evaluate_batches, autograph=True)

    def train(self, data: ResidentSplit) -> dict[str, float]:
        """Train one epoch, and return the means of the model's metrics over it, such as `loss` and `accuracy`."""
        order = np.random.default_rng((self._seed, self._epoch)).permutation(data.size).astype(np.int32)
        if self._epoch == 0:
            self._create_variables(data)
        self._epoch += 1
        self._model.reset_metrics()
        self._train(data.x, data.targets, tf.constant(order))
        return _as_floats(self._model.get_metrics_result())

    def evaluate(self, data: ResidentSplit) -> dict[str, float]:
        """Return the model's metrics over `data`, without training."""
        self._model.reset_metrics()
        self._evaluate(data.x, data.targets)
        return _as_floats(self._model.get_metrics_result())

    @property
    def variables(self) -> list[np.ndarray]:
        """Copies of all that training changes: weights, states of random generators, the optimizer's moments."""
        return [np.asarray(variable).copy() for variable in self._variables()]

    def resume(self, variables: Sequence[np.ndarray], epoch: int, data: ResidentSplit) -> bool:
        """Continue after `epoch`, with the `variables` that the training had there.

        The learning rate stays the model's own. Return False, and change nothing, if they are another model's.
        """
        self._create_variables(data)
        own = self._variables()
        if [tuple(variable.shape) for variable in own] != [array.shape for array in variables]:
            return False
        for variable, array in zip(own, variables, strict=True):
            variable.assign(array)
        self._epoch = epoch
        return True

    def _variables(self) -> list[Any]:
        optimizer = self._model.optimizer
        of_optimizer = [] if optimizer is None else optimizer.variables
        return [*self._model.variables, *(each for each in of_optimizer if each.name != "learning_rate")]

    def _create_variables(self, data: ResidentSplit) -> None:
        """Create the variables of metrics and optimizer; a function that creates variables is traced a second time."""
        first = tf.range(1)
        self._model.test_step((tf.gather(data.x, first), _gather(data.targets, first)))
        if self._model.optimizer is not None:
            self._model.optimizer.build(self._model.trainable_variables)

    def _train_batches(self, x: Any, targets: Any, order: Any) -> None:
        size = self._batch_size
        for batch in tf.range(-(-tf.shape(order)[0] // size)):
            rows = order[batch * size : (batch + 1) * size]
            self._model.train_step((tf.gather(x, rows), _gather(targets, rows)))

    def _evaluate_batches(self, x: Any, targets: Any) -> None:
        size = EVALUATION_BATCH
        for batch in tf.range(-(-tf.shape(x)[0] // size)):
            rows = tf.range(batch * size, tf.minimum((batch + 1) * size, tf.shape(x)[0]))
            self._model.test_step((tf.gather(x, rows), _gather(targets, rows)))


def predict(model: keras.Model, x: np.ndarray) -> Any:
    """Return the model's outputs for images `(N, ...)`: an array, or one for each head.

    Nothing is traced, because tracing takes longer than the few batches do.
    """
    parts = [model(x[first : first + EVALUATION_BATCH], training=False) for first in range(0, len(x), EVALUATION_BATCH)]
    return tf.nest.map_structure(lambda *part: np.concatenate([_as_array(piece) for piece in part]), *parts)


def measure_latency(model: keras.Model, image: np.ndarray) -> float:
    """Return the milliseconds that a model takes for one image `(1, ...)`, compiled, from an array to an array.

    It is the median of many calls, without the first ones, which compile and warm up.
    """
    forward = tf.function(lambda x: model(x, training=False))
    seconds: list[float] = []
    deadline = time.perf_counter() + _LATENCY_S
    while len(seconds) < _LATENCY_CALLS and (len(seconds) <= 2 * _WARM_UP_CALLS or time.perf_counter() < deadline):
        started = time.perf_counter()
        tf.nest.map_structure(np.asarray, forward(image))
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds[_WARM_UP_CALLS:])


def count_weights(model: keras.Model) -> int:
    """Return how many weights a model has."""
    return int(model.count_params())


def _gather(targets: Any, rows: Any) -> Any:
    """Return the rows of each part of the targets; those of a model with several heads have several parts."""
    return tf.nest.map_structure(lambda part: tf.gather(part, rows), targets)


def _as_array(outputs: Any) -> np.ndarray:
    """Return outputs as an array, in float32 if the network's last layer computes in half precision."""
    return np.asarray(tf.cast(outputs, tf.float32) if outputs.dtype in (tf.float16, tf.bfloat16) else outputs)


def _as_floats(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items()}

"""Train any compiled Keras model, a whole epoch per compiled call, on data that stay in device memory.

`fit` pays Python for every batch: for a small network that is three quarters of its time (benchmarks/epoch.py). Here
an epoch is one `tf.function`. Its loop gathers each batch on the device and calls the model's own `train_step`, so that
a subclass with a train step of its own works too. `steps.py` has what such a step may be. Early stopping, scores and
failures are the business of `trial.py`.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tune_jobs.datasets import nests
from tune_jobs.datasets.dataset import Nest, Split
from tune_jobs.errors import DataError
from tune_jobs.models.lazy_keras import keras
from tune_jobs.training import devices, own_answers, replicas, steps
from tune_jobs.training.numbers import as_numbers
from tune_jobs.training.steps import Step
from tune_jobs.training.streams import Stream

PREDICTION_BATCH = 500  # rows; it bounds the memory, and outputs do not depend on it

_LATENCY_CALLS = 500  # at most
_LATENCY_S = 2.0  # at most
_WARM_UP_CALLS = 10  # which compile and fill caches

_resident: list[tuple[Nest, Any]] = []  # the inputs of each split, and the same on the device


@dataclass(frozen=True)
class ResidentSplit:
    """A split as tensors on the device: inputs `(N, ...)` as they are stored, their training targets, and weights.

    Each is a tensor, or a mapping or tuple of tensors.
    """

    x: Any
    targets: Any
    size: int
    weights: Any = None

    @property
    def parts(self) -> tuple[Any, ...]:
        """What `fit` would be given: `(x, targets)`, or `(x, targets, weights)`."""
        return (self.x, self.targets) if self.weights is None else (self.x, self.targets, self.weights)


def resident_splits(splits: Sequence[Split], targets: Callable[[Nest], Nest]) -> tuple[ResidentSplit, ...]:
    """Return the splits on the device, with the targets that `targets` makes of their labels.

    The images stay there for the next trial, until others are asked for. Targets do not stay: what they are depends on
    all that the trial's label encoding holds.

    Raises:
        DataError: the inputs need more than the whole memory of the device.
    """
    if _identities([split.x for split in splits]) != _identities([x for x, _ in _resident]):
        _check_room(splits)
        _resident.clear()  # before others take their place
        _resident.extend((split.x, _on_device(split.x)) for split in splits)
    pairs = zip(splits, _resident, strict=True)
    return tuple(_with_targets(split, x, targets(split.labels)) for split, (_, x) in pairs)


def _check_room(splits: Sequence[Split]) -> None:
    """Refuse inputs that no trial could hold, however few share a device; where less is free, TensorFlow says so."""
    needed_mb = sum(_size_mb(array) for split in splits for array in nests.arrays(split.x))
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    memory_mb = devices.least_memory_mb() if has_gpu else devices.host_memory_mb() / replicas.count()
    if 0 < memory_mb < needed_mb:
        raise DataError(
            f"the inputs of the data set need {needed_mb / 1024:,.1f} GiB on the device, which has "
            f"{memory_mb / 1024:,.1f} GiB: train on fewer (--images), or make them smaller"
        )


def _size_mb(array: np.ndarray) -> float:
    itemsize = np.dtype(keras.config.floatx()).itemsize if array.dtype.kind == "f" else array.dtype.itemsize
    return float(array.size * itemsize / 2**20)


def to_device(split: Split, targets: Callable[[Nest], Nest]) -> ResidentSplit:
    """Return one split as tensors, with the targets that `targets` makes of its labels."""
    return _with_targets(split, _on_device(split.x), targets(split.labels))


def _with_targets(split: Split, x: Any, targets: Nest) -> ResidentSplit:
    weights = split.weights
    if weights is not None and nests.is_nested(targets) and not nests.is_nested(weights):
        weights = nests.mapped(lambda _: split.weights, targets)  # as in `fit`: for each output
    return ResidentSplit(x, _on_device(targets), len(split), None if weights is None else _on_device(weights))


def as_in_fit(array: Any) -> Any:
    """Return an array as `fit` hands it to the model: floats in `floatx`, texts as tensors, the rest unchanged."""
    array = np.asarray(array)
    if array.dtype.kind == "O":
        return tf.constant(array, tf.string)
    return array.astype(keras.config.floatx(), copy=False) if array.dtype.kind == "f" else array


def as_inputs(x: Nest) -> Any:
    """Return inputs as `fit` hands them to the model; all as tensors if one is, for Keras takes no others beside it."""
    given = nests.mapped(as_in_fit, x)
    return nests.mapped(tf.convert_to_tensor, given) if any(map(tf.is_tensor, nests.arrays(given))) else given


def _on_device(nest: Nest) -> Any:
    return nests.mapped(lambda part: replicas.copies(as_in_fit(part)), nest)


def _identities(inputs: Sequence[Nest]) -> list[list[int]]:
    return [[id(array) for array in nests.arrays(x)] for x in inputs]


class CompiledEpochs:
    """The epochs of a compiled model over resident data, each one call.

    The order of the images is drawn from `seed` and the epoch's number alone. As in `fit`, the last batch of an epoch
    is the shorter one. A model that is compiled with `run_eagerly` is run so. Between two epochs the model has the
    weights that `fit` would leave behind there.
    """

    def __init__(self, model: keras.Model, *, batch_size: int, seed: int) -> None:
        self._model = model
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0
        self._has_variables = False
        self._final = steps.FinalWeights(model)
        self._train_step, self._test_step = steps.train_step(model), steps.test_step(model)
        replicas.share_gradients(model)
        self._train = self._compiled(self._train_batches)
        self._evaluate = self._compiled(self._evaluate_batches)
        self._train_streamed = self._compiled(functools.partial(_over_stream, self._train_step))
        self._evaluate_streamed = self._compiled(functools.partial(_over_stream, self._test_step or self._train_step))

    def train(self, data: ResidentSplit | Stream) -> dict[str, float]:
        """Train one epoch, and return the means of the model's metrics over it, such as `loss` and `accuracy`."""
        if self._epoch == 0:
            self._create_variables(data)
        self._final.give_back()
        self._model.reset_metrics()
        if isinstance(data, ResidentSplit):
            order = np.random.default_rng((self._seed, self._epoch)).permutation(data.size).astype(np.int32)
            logs = self._train(data.parts, tf.constant(order))
        else:
            logs = self._train_streamed(data.epoch(self._epoch))
        self._epoch += 1
        metrics = as_numbers(self._train_step.results(logs))
        self._final.take()
        return metrics

    def evaluate(self, data: ResidentSplit | Stream) -> dict[str, float]:
        """Return the model's metrics over `data`, without training; none for a model that nothing scores."""
        if self._test_step is None:
            return {}
        self._model.reset_metrics()
        if isinstance(data, ResidentSplit):
            logs = self._evaluate(data.parts, tf.range(data.size))
        else:
            logs = self._evaluate_streamed(data.epoch(0))
        return as_numbers(self._test_step.results(logs))

    @property
    def variables(self) -> list[np.ndarray]:
        """Copies of all that training changes: weights, states of random generators, the optimizer's moments."""
        return [np.asarray(self._final.as_trained(variable)).copy() for variable in self._variables()]

    def resume(self, variables: Sequence[np.ndarray], epoch: int, data: ResidentSplit | Stream) -> bool:
        """Continue after `epoch`, with the `variables` that the training had there.

        The learning rate stays the model's own. Return False, and change nothing, if they are another model's.
        """
        self._create_variables(data)
        weights = self._model.variables
        is_whole = all(optimizer.built for optimizer in steps.optimizers(self._model))
        if not is_whole and _shapes(weights) == _shapes(variables[: len(weights)]):
            self._on_first_rows(self._model.train_step, data)  # which builds the optimizers that it uses
        own = self._variables()
        if _shapes(own) != _shapes(variables):
            return False
        for variable, array in zip(own, variables, strict=True):
            variable.assign(array)
        self._final.forget()
        self._epoch = epoch
        return True

    def begin_as(self, model: keras.Model, seed: int) -> None:
        """Begin anew with the values that `model` begins with, which is built and compiled like this one."""
        model.optimizer.build(model.trainable_variables)
        for own, other in zip(self.all_variables(), _all_variables(model), strict=True):
            own.assign(other)
        self._final.forget()
        self._seed, self._epoch = seed, 0

    def all_variables(self) -> list[Any]:
        """Return the variables of the model and, once they are created, of its optimizer, the learning rate too."""
        return _all_variables(self._model)

    def _variables(self) -> list[Any]:
        of_optimizers = [each for optimizer in steps.optimizers(self._model) for each in optimizer.variables]
        return [*self._model.variables, *(each for each in of_optimizers if each.name != "learning_rate")]

    def _create_variables(self, data: ResidentSplit | Stream) -> None:
        """Create the variables of metrics and optimizer; a function that creates variables is traced a second time."""
        if self._has_variables:
            return
        self._has_variables = True
        if self._test_step is not None:
            self._on_first_rows(self._model.test_step, data)
            for layer in self._model._flatten_layers():
                if getattr(layer, "stateful", False):
                    layer.reset_state()
        if self._model.optimizer is not None:
            with replicas.scope():
                self._model.optimizer.build(self._model.trainable_variables)

    def _on_first_rows(self, step: Callable[..., Any], data: ResidentSplit | Stream) -> None:
        """Run a step of the model's over as few rows as it takes."""
        if isinstance(data, ResidentSplit):
            replicas.run(step, self._model, _batch, tf.range(_fixed_batch(self._model) or 1), data.parts)
        else:
            replicas.run(step, self._model, _whole, _as_tensors(data.first_row()))

    def _compiled(self, loop: Callable[..., Any]) -> Callable[..., Any]:
        return loop if self._model.run_eagerly else tf.function(loop, autograph=True)

    def _train_batches(self, parts: Any, order: Any) -> Any:
        return _over_batches(self._train_step, parts, order, self._batch_size)

    def _evaluate_batches(self, parts: Any, rows: Any) -> Any:
        # scores may depend on the size of a batch, as sums and masked means do; in `fit` it is that of training
        assert self._test_step is not None
        size = own_answers.evaluation_batch(self._model, self._batch_size)
        return _over_batches(self._test_step, parts, rows, size)


def _shapes(variables: Sequence[Any]) -> list[tuple[int, ...]]:
    return [tuple(variable.shape) for variable in variables]


def _all_variables(model: keras.Model) -> list[Any]:
    return [*model.variables, *(() if model.optimizer is None else model.optimizer.variables)]


def _over_batches(step: Step, parts: Any, order: Any, size: int) -> Any:
    """Run a step over the rows of `order`, batch after batch; return what the last one returned, if that may be read.

    The loops become part of a graph: their batches have no size that is known before.
    """
    n_batches = -(-tf.shape(order)[0] // size)
    if step.is_own:
        logs = step.on_batch(_batch, order[tf.constant(0) : tf.constant(size)], parts)
        for batch in tf.range(1, n_batches):
            logs = step.on_batch(_batch, order[batch * size : (batch + 1) * size], parts)
    else:
        logs = {}
        for batch in tf.range(n_batches):
            step.on_batch(_batch, order[batch * size : (batch + 1) * size], parts)
    return logs


def _over_stream(step: Step, batches: Any) -> Any:
    """Run a step over all batches of an iterator, as `_over_batches` does."""
    if step.is_own:
        logs = step.on_batch(_whole, next(batches))
        for batch in batches:
            logs = step.on_batch(_whole, batch)
    else:
        logs = {}
        for batch in batches:
            step.on_batch(_whole, batch)
    return logs


def predict(model: keras.Model, x: Nest) -> Any:
    """Return the model's outputs for inputs `(N, ...)`: an array, or one for each head.

    In float32 nothing is traced, because tracing takes longer than the few batches do. In half precision processors
    may round otherwise in a compiled call, and outputs have to be those that were scored.
    """
    x = as_inputs(x)
    size = _fixed_batch(model) or PREDICTION_BATCH
    firsts = range(0, nests.size(x), size)
    forward = functools.partial(model, training=False)
    if model.compute_dtype != "float32":
        forward = tf.function(forward, reduce_retracing=True)
    parts = [forward(nests.rows(x, slice(first, first + size))) for first in firsts]
    return tf.nest.map_structure(lambda *part: np.concatenate([_as_array(piece) for piece in part]), *parts)


def _fixed_batch(model: keras.Model) -> int | None:
    """Return how many rows a model takes at once; None if it takes any number."""
    inputs = tf.nest.flatten(getattr(model, "inputs", None))
    return inputs[0].shape[0] if inputs and inputs[0] is not None else None


def measure_latency(model: keras.Model, row: Nest) -> float:
    """Return the milliseconds that a model takes for one row `(1, ...)`, compiled, from an array to an array.

    It is the median of many calls, without the first ones, which compile and warm up.
    """
    forward, row = tf.function(lambda x: model(x, training=False)), as_inputs(row)
    seconds: list[float] = []
    deadline = time.perf_counter() + _LATENCY_S
    while len(seconds) < _LATENCY_CALLS and (len(seconds) <= 2 * _WARM_UP_CALLS or time.perf_counter() < deadline):
        started = time.perf_counter()
        tf.nest.map_structure(np.asarray, forward(row))
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds[_WARM_UP_CALLS:])


def count_weights(model: keras.Model) -> int:
    """Return how many weights a model has."""
    return int(model.count_params())


def _batch(rows: Any, parts: Any) -> Any:
    """Return rows of each input, of each part of the targets, and of the weights where there are some."""
    return tf.nest.map_structure(lambda part: tf.gather(part, rows), parts)


def _as_tensors(nest: Any) -> Any:
    return tf.nest.map_structure(tf.constant, nest)


def _whole(batch: Any) -> Any:
    """Return a batch as it is."""
    return batch


def _as_array(outputs: Any) -> np.ndarray:
    """Return outputs as an array, in float32 if the network's last layer computes in half precision."""
    return np.asarray(tf.cast(outputs, tf.float32) if outputs.dtype in (tf.float16, tf.bfloat16) else outputs)

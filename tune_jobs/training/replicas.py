"""The devices that train one trial together: each has a copy of the model and of the data, and a share of every batch.

Batches, their order and their gradients are those of one device (`tf.distribute.MirroredStrategy`). Keras adds up the
gradients of the devices' mean losses, which is the gradient of the batch where all shares are equal. Here a share
counts by its size, so that a last batch trains as on one device, too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any

import tensorflow as tf

from tune_jobs.errors import Reason, TrialError
from tune_jobs.models.lazy_keras import keras
from tune_jobs.training import mapped

_devices: tuple[str, ...] = ()  # that this process trains on together
_weight: ContextVar[Any] = ContextVar("weight", default=None)  # of the share that a device has of the batch at hand


def use(devices: Sequence[str]) -> None:
    """Train on these devices together from now on, by TensorFlow's names; on one, or none, as without them."""
    global _devices
    _devices = tuple(devices)


def count() -> int:
    """Return how many devices train a trial."""
    return max(1, len(_devices))


def scope() -> AbstractContextManager[Any]:
    """Return the context in which a model and its optimizer are made, for all devices."""
    scope: AbstractContextManager[Any] = _strategy().scope()
    return scope


def _strategy() -> Any:
    return _mirrored(_devices) if count() > 1 else tf.distribute.get_strategy()


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> Any:
    # On processors TensorFlow's collective operations are of one group for a whole process, whatever its size.
    are_gpus = all("GPU" in device for device in devices)
    return tf.distribute.MirroredStrategy(devices, None if are_gpus else tf.distribute.ReductionToOneDevice())


def copies(array: Any) -> Any:
    """Return an array as a tensor on the device, or as one on each device."""
    if tf.as_dtype(array.dtype) == tf.string:
        return tf.constant(array)
    if count() == 1:
        return mapped.tensor(array)

    def on_device(context: Any) -> Any:
        with tf.device(_devices[context.replica_id_in_sync_group]):
            return tf.constant(array)

    return _strategy().experimental_distribute_values_from_function(on_device)


def share_gradients(model: keras.Model) -> None:
    """Have the model's optimizer apply the gradient of the whole batch, on several devices.

    Raises:
        TrialError: Keras cannot train on several devices with this optimizer.
    """
    optimizer = model.optimizer
    if count() == 1 or optimizer is None or isinstance(optimizer.apply, _SharedApply):
        return
    for inner in _inside(optimizer, model):
        for name in ("gradient_accumulation_steps", "ema_overwrite_frequency"):
            if getattr(inner, name, None):
                raise TrialError(
                    Reason.INVALID,
                    f"an optimizer with {name} cannot train on {count()} devices, in Keras: leave it out, or give a "
                    "trial one GPU (--gpus-per-trial 1)",
                )
        inner._all_reduce_sum_gradients = list  # they are the whole batch's already
    optimizer.apply = _SharedApply(optimizer.apply)


def _inside(optimizer: Any, model: keras.Model) -> Sequence[Any]:
    """Return the optimizers that change weights: what is inside of one that scales the loss or divides weights among
    several, or the optimizer itself."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not isinstance(inner, keras.optimizers.MultiOptimizer):
        return [inner]
    with scope():
        optimizer.build(model.trainable_variables)  # only then it is known which there are
    return list(inner.optimizers)


class _SharedApply:
    """An optimizer's `apply`, given the gradient of one device's share.

    Keras would clip it, and look for numbers that are not finite, on each device by itself, before it adds them up.
    """

    def __init__(self, apply: Callable[..., None]) -> None:
        self._apply = apply

    def __call__(self, gradients: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        weight = _weight.get()
        weighed = [_times(gradient, weight) for gradient in gradients if gradient is not None]
        total = iter(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, weighed))
        self._apply([None if gradient is None else next(total) for gradient in gradients], trainable_variables)


def _times(gradient: Any, weight: Any) -> Any:
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(_times(gradient.values, weight), gradient.indices, gradient.dense_shape)
    return gradient * tf.cast(weight, gradient.dtype)


def run(step: Callable[[Any], Any], model: keras.Model, batch: Callable[..., Any], whole: Any, *copied: Any) -> Any:
    """Run a step over one batch: `batch(whole, *copied)`, or on each device `batch` of its share of `whole`.

    `whole` has tensors whose first axis is the batch, and `copied` what `copies` returned. Returns what the step did;
    of several devices the mean, as `fit` does.
    """
    if count() == 1:
        return step(batch(whole, *copied))
    strategy = _strategy()
    on_replica = functools.partial(_on_replica, step, model, batch)
    logs = strategy.run(on_replica, args=(whole, *copied))
    return tf.nest.map_structure(lambda value: tf.reduce_mean(strategy.experimental_local_results(value), axis=0), logs)


def _on_replica(
    step: Callable[[Any], Any], model: keras.Model, batch: Callable[..., Any], whole: Any, *copied: Any
) -> Any:
    """Run a step over this device's share of the batch.

    A device for which there is none takes one row all the same, with a gradient of weight 0, and forgets its metrics:
    the mean loss of no row is no number.
    """
    with tf.device("CPU:0"):  # so that a device gets its share of a batch only
        first, size, weight = _share(tf.shape(tf.nest.flatten(whole)[0])[0])
        share = tf.nest.map_structure(lambda part: part[first : first + tf.maximum(size, 1)], whole)
    counts = model.metrics_variables
    before = [tf.identity(variable) for variable in counts]
    token = _weight.set(weight)
    try:
        logs = step(batch(share, *copied))
    finally:
        _weight.reset(token)
    for variable, value in zip(counts, before, strict=True):
        variable.assign(tf.where(size > 0, tf.identity(variable), value))
    return logs


def _share(n: Any) -> tuple[Any, Any, Any]:
    """Return this device's first row of a batch of `n`, how many it has, and the weight of their mean loss."""
    n_devices, index = count(), tf.distribute.get_replica_context().replica_id_in_sync_group
    least, rest = n // n_devices, n % n_devices
    size = least + tf.cast(index < rest, n.dtype)
    first = tf.minimum(index * least + tf.minimum(index, rest), n - 1)
    return first, size, tf.cast(size * n_devices, tf.float32) / tf.cast(n, tf.float32)

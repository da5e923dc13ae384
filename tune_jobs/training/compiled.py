"""Trains any compiled Keras model, a whole epoch per compiled call, on data that stays in device memory.

`fit` pays Python for every batch: for a small network that is three quarters of its time (benchmarks/epoch.py). Here
an epoch is one `tf.function` whose loop gathers each batch on the device and calls the model's own `train_step`, so a
subclass with a train step of its own works too. Early stopping, scoring and what a failure means are `trial.py`'s.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import ops as tf_ops

from tune_jobs.datasets.dataset import Split
from tune_jobs.errors import SettingsError
from tune_jobs.models.lazy_keras import keras
from tune_jobs.training import devices, malloc

EVALUATION_BATCH = 500  # images; only memory bounds it, and the result does not depend on it

_LATENCY_CALLS = 500  # at most, in two seconds at most
_LATENCY_S = 2.0
_WARMING_CALLS = 10  # which compile and fill caches

# MiB that a process takes of a GPU beside its tensors: CUDA's context, cuBLAS, cuDNN. TensorFlow sets 500 to 1,800
# aside for them where it has the whole of one, by its generation (MinSystemMemory in gpu_device.cc).
CONTEXT_MB = 1024

_resident: dict[str, tuple[ResidentSplit, ...]] = {}


def prepare_devices(cpus: float, gpu_share: float | None = None, memory_mb: float | None = None) -> None:
    """Holds TensorFlow to `cpus` threads and to its share of a GPU; call it before the first op of the process.

    TensorFlow takes every core it sees unless told, and all of a GPU's memory. With `gpu_share` below 1 its tensors
    get that share of the memory at most, or `memory_mb` where that is given; with a whole GPU, or one that does not
    tell how much it has, what they take grows. On a CPU deterministic kernels are asked for: with one seed and one
    number of threads a score repeats bit for bit. On a GPU they are slower, and `be_deterministic` asks for them.

    Raises:
        SettingsError: the process has used TensorFlow already, or the share has no room for a tensor.
    """
    malloc.keep_freed()
    gpus = _gpus()
    limits = _limits_mb(len(gpus), gpu_share, memory_mb)
    threads = max(1, int(cpus))
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        for gpu, limit in zip(gpus, limits, strict=True):
            if limit is None:
                tf.config.experimental.set_memory_growth(gpu, True)
            else:
                held = tf.config.LogicalDeviceConfiguration(memory_limit=limit)
                tf.config.set_logical_device_configuration(gpu, [held])
    except RuntimeError as error:
        raise SettingsError(
            "threads and memory need to be set before TensorFlow is first used, and this process has used it "
            f"({error}): a task's file must compute nothing when it is imported"
        ) from error
    if not gpus:
        be_deterministic()
    keras.backend.clear_session()  # imports Keras whole
    gc.freeze()  # what was imported stays: looking through it at each collection cost half a second a trial


def _gpus() -> list[Any]:
    return list(tf.config.list_physical_devices("GPU"))


def _limits_mb(gpus: int, share: float | None, memory_mb: float | None) -> list[int | None]:
    """What tensors may take of each GPU, in whole MiB; None is what there is."""
    if memory_mb is not None:
        return [_limit_mb(memory_mb, f"{memory_mb:g} MB of a GPU were given")] * gpus
    if share is None or share >= 1 or not gpus:
        return [None] * gpus
    totals = [found.memory_total_mb for found in devices.reader().read() if found.index != devices.HOST]
    totals += [0.0] * (gpus - len(totals))  # not known
    return [
        _limit_mb(share * total - CONTEXT_MB, f"{share:g} of a GPU of {total:,.0f} MB was given") if total else None
        for total in totals[:gpus]
    ]


def _limit_mb(limit: float, given: str) -> int:
    if limit < 1:
        raise SettingsError(
            f"{given}, and a process needs more than {CONTEXT_MB:,} MB for CUDA alone: run fewer trials on a GPU "
            "(--gpus-per-trial)"
        )
    return int(limit)


def be_deterministic() -> None:
    """From now on this process takes kernels whose results repeat, on a GPU too; there is no way back."""
    tf.config.experimental.enable_op_determinism()


def device_peak_mb() -> float | None:
    """The most that the tensors of this process took of a GPU since the last `begin`; None without one."""
    peaks = [tf.config.experimental.get_memory_info(name)["peak"] for name in _gpu_names()]
    return max(peaks) / 2**20 if peaks else None


def _gpu_names() -> list[str]:
    return [f"GPU:{at}" for at in range(len(tf.config.list_logical_devices("GPU")))]


@dataclass(frozen=True)
class ResidentSplit:
    """Images `(N, ...)` as stored and their training targets, as tensors on the device."""

    x: Any
    targets: Any
    size: int


def resident(
    key: str, splits: tuple[Split, ...], targets: Callable[[np.ndarray], np.ndarray]
) -> tuple[ResidentSplit, ...]:
    """The splits on the device; kept until another `key` is asked for, so that the next trial finds them there."""
    if key not in _resident:
        _resident.clear()
        _resident[key] = tuple(on_device(split, targets) for split in splits)
    return _resident[key]


def on_device(split: Split, targets: Callable[[np.ndarray], np.ndarray]) -> ResidentSplit:
    """One split as tensors, with its labels as targets."""
    return ResidentSplit(tf.constant(split.x), tf.nest.map_structure(tf.constant, targets(split.labels)), len(split.x))


class CompiledEpochs:
    """A compiled model's epochs over resident data, each one call.

    The order of the images is drawn from `seed` and the epoch's number alone. The last batch of an epoch is the
    shorter one, as in `fit`.
    """

    def __init__(self, model: keras.Model, *, batch_size: int, seed: int) -> None:
        self._model = model
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0
        self._train = tf.function(self._train_batches, autograph=True)
        self._evaluate = tf.function(self._evaluate_batches, autograph=True)

    def train(self, data: ResidentSplit) -> dict[str, float]:
        """Trains one epoch; the means of the model's metrics over it, such as `loss` and `accuracy`."""
        order = np.random.default_rng((self._seed, self._epoch)).permutation(data.size).astype(np.int32)
        if self._epoch == 0:
            self._make_variables(data)
        self._epoch += 1
        self._model.reset_metrics()
        self._train(data.x, data.targets, tf.constant(order))
        return _floats(self._model.get_metrics_result())

    def evaluate(self, data: ResidentSplit) -> dict[str, float]:
        """The model's metrics over `data`, without training."""
        self._model.reset_metrics()
        self._evaluate(data.x, data.targets)
        return _floats(self._model.get_metrics_result())

    @property
    def variables(self) -> list[np.ndarray]:
        """Copies of all that training changes: weights, states of random generators, the optimizer's moments."""
        return [np.asarray(variable).copy() for variable in self._variables()]

    def go_on(self, variables: Sequence[np.ndarray], epoch: int, data: ResidentSplit) -> bool:
        """Takes up the training after `epoch` with what `variables` gave then; whether they are this model's at all.

        The learning rate stays the model's own.
        """
        self._make_variables(data)
        mine = self._variables()
        if [tuple(variable.shape) for variable in mine] != [array.shape for array in variables]:
            return False
        for variable, array in zip(mine, variables, strict=True):
            variable.assign(array)
        self._epoch = epoch
        return True

    def _variables(self) -> list[Any]:
        optimizer = self._model.optimizer
        of_optimizer = [] if optimizer is None else [one for one in optimizer.variables if one.name != "learning_rate"]
        return [*self._model.variables, *of_optimizer]

    def _make_variables(self, data: ResidentSplit) -> None:
        """Those of metrics and optimizer: a function that meets a variable's making is traced a second time."""
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


def begin(seed: int) -> None:
    """A fresh start in a process that trained before: what was left is freed, every generator seeded."""
    keras.backend.clear_session(free_memory=False)
    free()
    keras.utils.set_random_seed(seed)
    for name in _gpu_names():
        tf.config.experimental.reset_memory_stats(name)


def free() -> None:
    """Gives back what models left behind that nobody holds any more; the resident data stay for the next trial.

    TensorFlow never forgets a gradient of one's own that it met while tracing, and Keras' optimizers have one in each
    function that trains: with it stay the function and all variables of model and optimizer, of Adam three times the
    weights. There is no call for it, up to TensorFlow 2.21.
    """
    known = getattr(getattr(tf_ops, "gradient_registry", None), "_registry", {})
    for name in [name for name in known if name.startswith("CustomGradient-")]:
        del known[name]
    gc.collect()  # models and their functions refer to themselves
    malloc.give_back()


def outputs(model: keras.Model, x: np.ndarray) -> Any:
    """What a model answers to images `(N, ...)`: an array, or one for each head. Nothing is traced for it, which
    would take longer than the few batches do."""
    parts = [model(x[first : first + EVALUATION_BATCH], training=False) for first in range(0, len(x), EVALUATION_BATCH)]
    return tf.nest.map_structure(lambda *part: np.concatenate([_exact(piece) for piece in part]), *parts)


def latency(model: keras.Model, image: np.ndarray) -> float:
    """The milliseconds that a compiled model takes for one image `(1, ...)`: the median of many calls, from an array to
    an array, without what the first ones spend on compiling and warming up."""
    forward = tf.function(lambda x: model(x, training=False))
    taken: list[float] = []
    until = time.perf_counter() + _LATENCY_S
    while len(taken) < _LATENCY_CALLS and (len(taken) <= 2 * _WARMING_CALLS or time.perf_counter() < until):
        started = time.perf_counter()
        tf.nest.map_structure(np.asarray, forward(image))
        taken.append(time.perf_counter() - started)
    return 1000 * statistics.median(taken[_WARMING_CALLS:])


def weight_count(model: keras.Model) -> int:
    return int(model.count_params())


def _gather(targets: Any, rows: Any) -> Any:
    """The rows of each part of the targets, of which a model with several heads has several."""
    return tf.nest.map_structure(lambda part: tf.gather(part, rows), targets)


def _exact(outputs: Any) -> np.ndarray:
    """As an array; in float32 where a network of half precision did not end so."""
    return np.asarray(tf.cast(outputs, tf.float32) if outputs.dtype in (tf.float16, tf.bfloat16) else outputs)


def _floats(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items()}

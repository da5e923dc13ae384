"""What a process that trains does to TensorFlow around its trials: devices, kernels that repeat, seeds, memory."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import context as tf_context
from tensorflow.python.framework import ops as tf_ops

from tune_jobs.datasets import AnyTrainingData, TrainingData, nests
from tune_jobs.errors import DataError, SettingsError, UserError
from tune_jobs.models.lazy_keras import keras
from tune_jobs.training import autograph_files, devices, malloc, replicas

# MiB that a process takes of a GPU beside its tensors: CUDA's context, cuBLAS, cuDNN. TensorFlow sets 500 to 1,800
# aside for them where it has the whole of one, by its generation (MinSystemMemory in gpu_device.cc).
CONTEXT_MB = 1024


class BackendError(UserError):
    """Keras was imported with another backend than the one that trains models."""


def prepare_devices(cpus: float, gpu_share: float | None = None, memory_mb: float | None = None) -> None:
    """Limit TensorFlow to `cpus` threads and to its share of GPUs; call it before the first op of the process.

    Without this, TensorFlow takes every core it sees, and all of a GPU's memory. With `gpu_share` below 1 its tensors
    get at most that share of the memory, or `memory_mb` MiB if that is given. With whole GPUs, or one that does not
    report its memory, TensorFlow takes memory as it needs it. Two GPUs or more train each trial together (`replicas`).
    On a CPU, deterministic kernels are enabled: with the same seed and number of threads a score repeats bit for bit.
    On a GPU they are slower; `enable_determinism` enables them there.

    Raises:
        BackendError: Keras does not run on TensorFlow.
        FewGpusError: TensorFlow does not see that many GPUs.
        SettingsError: the process has used TensorFlow already, or the share has no room for a tensor.
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise BackendError(f"Keras runs on {backend} here, and the model is trained by TensorFlow: unset KERAS_BACKEND")
    malloc.keep_freed()
    together = _devices_together(gpu_share)
    limit_devices(cpus, gpu_share, memory_mb)
    replicas.use(together)
    keras.backend.clear_session()  # imports Keras whole
    _first_settings()
    gc.freeze()  # imported modules stay: collecting through them took half a second a trial


def limit_devices(cpus: float | None, gpu_share: float | None = None, memory_mb: float | None = None) -> None:
    """Do what `prepare_devices` does to TensorFlow, without Keras, which may be about to be imported; with None, limit
    no threads."""
    autograph_files.keep_private()
    gpus = _gpus()
    limits = _memory_limits(len(gpus), gpu_share, memory_mb)
    try:
        if cpus is not None:
            tf.config.threading.set_intra_op_parallelism_threads(max(1, int(cpus)))
            tf.config.threading.set_inter_op_parallelism_threads(len(_devices_together(gpu_share)) or 1)
        for gpu, limit in zip(gpus, limits, strict=True):
            if limit is None:
                tf.config.experimental.set_memory_growth(gpu, True)
            else:
                logical = tf.config.LogicalDeviceConfiguration(memory_limit=limit)
                tf.config.set_logical_device_configuration(gpu, [logical])
    except RuntimeError as error:
        raise SettingsError(
            "threads and memory need to be set before TensorFlow is first used, and this process has used it "
            f"({error}): do this in a new process"
        ) from error
    if not gpus and cpus is not None:
        enable_determinism()


def _devices_together(gpus: float | None) -> list[str]:
    """Return the GPUs that train a trial together, by TensorFlow's names; none if there are not several.

    Raises:
        FewGpusError: TensorFlow sees fewer than that.
    """
    needed, there = int(gpus or 0), len(_gpus())
    if needed < 2:
        return []
    if there < needed:
        raise devices.FewGpusError(
            f"a trial was given {needed} GPUs, and TensorFlow sees {there} of them: check NVIDIA's driver and that "
            "TensorFlow was installed with CUDA, or ask for fewer with --gpus-per-trial"
        )
    return [f"GPU:{index}" for index in range(needed)]


def check_room(data: AnyTrainingData | None, gpu_share: float | None = None) -> None:
    """Check that data which are to stay on the device fit there, where its memory is known.

    Raises:
        DataError: they do not.
    """
    if not isinstance(data, TrainingData):
        return
    nested = (nest for split in (data.train, data.validation) for nest in (split.x, split.labels))
    needed_mb = sum(array.nbytes for nest in nested for array in nests.arrays(nest)) / 2**20
    room_mb, place = _room_mb(gpu_share)
    if room_mb and needed_mb > room_mb:
        raise DataError(
            f"the data set {data.name} takes {needed_mb:,.0f} MB, and {place} has {room_mb:,.0f} MB: train on "
            "fewer rows (--images), or stream it (tj.streamed, docs/data.md)"
        )


def _room_mb(gpu_share: float | None) -> tuple[float, str]:
    """Return how many MiB data may take, 0 if that is not known, and of what."""
    if not _gpus():
        return devices.host_memory_mb(), "the machine"
    totals = [device.memory_total_mb for device in devices.device_reader().read() if device.index != devices.HOST]
    total, share = min(totals, default=0.0), min(1.0, gpu_share or 1.0)
    return max(0.0, share * total - CONTEXT_MB), f"{share:g} of a GPU" if share < 1 else "a GPU"


def check_unused() -> None:
    """Import Keras whole, and check that TensorFlow has touched no device and started no thread.

    Raises:
        RuntimeError: if it has. No public call tells.
    """
    keras.backend  # noqa: B018 - it is imported at its first use
    if tf_context._context is not None:
        raise RuntimeError("TensorFlow was used at its import")


def _gpus() -> list[Any]:
    return list(tf.config.list_physical_devices("GPU"))


def _memory_limits(n_gpus: int, share: float | None, memory_mb: float | None) -> list[int | None]:
    """Return how much of each GPU tensors may take, in whole MiB; None is no limit."""
    if memory_mb is not None:
        return [_memory_limit(memory_mb, f"{memory_mb:g} MB of a GPU were given")] * n_gpus
    if share is None or share >= 1 or not n_gpus:
        return [None] * n_gpus
    totals = [device.memory_total_mb for device in devices.device_reader().read() if device.index != devices.HOST]
    totals += [0.0] * (n_gpus - len(totals))  # not known
    return [
        _memory_limit(share * total - CONTEXT_MB, f"{share:g} of a GPU of {total:,.0f} MB was given") if total else None
        for total in totals[:n_gpus]
    ]


def _memory_limit(limit: float, given: str) -> int:
    if limit < 1:
        raise SettingsError(
            f"{given}, and a process needs more than {CONTEXT_MB:,} MB for CUDA alone: run fewer trials on a GPU "
            "(--gpus-per-trial)"
        )
    return int(limit)


def enable_determinism() -> None:
    """Make this process use kernels whose results repeat, on a GPU too. It cannot be undone."""
    tf.config.experimental.enable_op_determinism()


def device_peak_mb() -> float | None:
    """Return the most memory of a GPU, in MiB, that tensors of this process took since the last `reset`.

    None without a GPU.
    """
    peaks = [tf.config.experimental.get_memory_info(name)["peak"] for name in _logical_gpus()]
    return max(peaks) / 2**20 if peaks else None


def _logical_gpus() -> list[str]:
    return [f"GPU:{index}" for index in range(len(tf.config.list_logical_devices("GPU")))]


def reset(seed: int) -> None:
    """Make the process as if it had not trained before: free what is left, and seed every random generator."""
    keras.backend.clear_session(free_memory=False)
    release_memory()
    _restore_settings()
    keras.utils.set_random_seed(seed)
    for name in _logical_gpus():
        tf.config.experimental.reset_memory_stats(name)


@functools.cache
def _first_settings() -> tuple[tuple[Callable[[Any], None], Any], ...]:
    """Return what sets each setting with its value when this is first called: the one that the task's file chose."""
    config, tensorflow = keras.config, tf.config
    return (
        (config.set_floatx, config.floatx()),
        (config.set_epsilon, config.epsilon()),
        (config.set_image_data_format, config.image_data_format()),
        (tensorflow.run_functions_eagerly, tensorflow.functions_run_eagerly()),
        (tensorflow.optimizer.set_jit, tensorflow.optimizer.get_jit()),
        (_set_graph_options, tensorflow.optimizer.get_experimental_options()),
        (
            tensorflow.experimental.enable_tensor_float_32_execution,
            tensorflow.experimental.tensor_float_32_execution_enabled(),
        ),
    )


def _restore_settings() -> None:
    """Undo what an earlier trial's code may have set for the whole process."""
    for put, value in _first_settings():
        put(value)


def _set_graph_options(options: dict[str, Any]) -> None:
    """Set options of TensorFlow's graphs, and give all others their defaults."""
    changed = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options(dict.fromkeys(changed) | options)


def release_memory() -> None:
    """Free what models left behind that nothing refers to any more. Resident data stay for the next trial.

    TensorFlow keeps every custom gradient that it met while tracing, and Keras' optimizers have one in each function
    that trains. It keeps the function alive, and with it all variables of model and optimizer: with Adam, three times
    the weights. TensorFlow has no call that forgets them, up to 2.21.
    """
    registry = getattr(getattr(tf_ops, "gradient_registry", None), "_registry", {})
    for name in [name for name in registry if name.startswith("CustomGradient-")]:
        del registry[name]
    gc.collect()  # models and their functions refer to each other
    malloc.give_back()

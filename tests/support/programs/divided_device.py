"""Divide a device for trials, and print as JSON what TensorFlow was told.

The processor stands for a GPU: TensorFlow divides it too, into parts without a limit.
"""

import json
from typing import Any

from tune_jobs.environment import prepare_tensorflow

prepare_tensorflow()

import tensorflow as tf  # noqa: E402
from tensorflow.python.framework import config  # noqa: E402

from tune_jobs.errors import SettingsError  # noqa: E402
from tune_jobs.training import tensorflow_process  # noqa: E402

held: list[int] = []
divide = tf.config.set_logical_device_configuration


def without_limit(device: Any, parts: Any) -> None:
    held.extend(part.memory_limit for part in parts)
    divide(device, [tf.config.LogicalDeviceConfiguration() for _ in range(1 + len(held))])


tf.config.set_logical_device_configuration = without_limit
tensorflow_process._gpus = lambda: tf.config.list_physical_devices("CPU")
tensorflow_process.prepare_devices(2, gpu_share=0.25)
answer: dict[str, Any] = {"held": list(held), "threads": tf.config.threading.get_intra_op_parallelism_threads()}
answer["peak"] = tensorflow_process.device_peak_mb()
answer["deterministic"] = [config.is_op_determinism_enabled()]
tensorflow_process.enable_determinism()
answer["deterministic"].append(config.is_op_determinism_enabled())
answer["devices"] = len(tf.config.list_logical_devices("CPU"))
try:
    tensorflow_process.prepare_devices(2, gpu_share=0.5)
except SettingsError as error:
    answer["refused"] = str(error)
print(json.dumps(answer))

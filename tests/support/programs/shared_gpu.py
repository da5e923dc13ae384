"""Take a quarter of a GPU, and print as JSON what its peaks were and whether it ends there."""

import json

from tune_jobs.environment import prepare_tensorflow

prepare_tensorflow()

import tensorflow as tf  # noqa: E402

from tune_jobs.training import devices, tensorflow_process  # noqa: E402

total = devices.device_reader().read()[0].memory_total_mb
tensorflow_process.prepare_devices(1, gpu_share=0.25)
tensorflow_process.reset(0)
x = tf.zeros((2**20, 64))  # 256 MB
peak = tensorflow_process.device_peak_mb()
try:
    held = [tf.zeros((2**20, 256)) for _ in range(int(total / 4 / 1024) + 1)]  # a GB each
    out = False
except tf.errors.ResourceExhaustedError:
    out = True
held = []
tensorflow_process.reset(0)
print(json.dumps({"peak": peak, "out": out, "again": tensorflow_process.device_peak_mb()}))

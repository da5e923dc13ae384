"""Take a quarter of a GPU, and print as JSON what its peaks were and whether it ends there."""

import json

from tune_jobs.settings import prepare_tensorflow

prepare_tensorflow()

import tensorflow as tf  # noqa: E402

from tune_jobs.training import compiled, devices  # noqa: E402

total = devices.reader().read()[0].memory_total_mb
compiled.prepare_devices(1, gpu_share=0.25)
compiled.begin(0)
x = tf.zeros((2**20, 64))  # 256 MB
peak = compiled.device_peak_mb()
try:
    held = [tf.zeros((2**20, 256)) for _ in range(int(total / 4 / 1024) + 1)]  # a GB each
    out = False
except tf.errors.ResourceExhaustedError:
    out = True
held = []
compiled.begin(0)
print(json.dumps({"peak": peak, "out": out, "again": compiled.device_peak_mb()}))

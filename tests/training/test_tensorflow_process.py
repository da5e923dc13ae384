"""TensorFlow is held to its threads and to its share of a GPU before its first op, or refuses in a line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.sweeping import PROGRAMS
from tune_jobs.datasets import Split, StreamedData, TrainingData
from tune_jobs.errors import DataError, SettingsError
from tune_jobs.training import replicas, tensorflow_process
from tune_jobs.training.devices import DeviceFigures, FewGpusError

FIGURES = [
    {"index": "0", "memory_used_mb": 0, "memory_total_mb": 16384, "utilisation": 0},
    {"index": "1", "memory_used_mb": 0, "memory_total_mb": 0, "utilisation": 0},
]


@pytest.mark.slow
def test_a_share_of_a_gpu_is_a_limit_that_is_set_before_the_first_op(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    figures.write_text(json.dumps(FIGURES))
    environment = {**os.environ, "TUNE_JOBS_DEVICE_FIGURES": str(figures)}
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    program = [sys.executable, str(PROGRAMS / "divided_device.py")]
    answer = subprocess.run(program, capture_output=True, text=True, check=True, env=environment)
    process_state = json.loads(answer.stdout)
    assert process_state["held"] == [16384 // 4 - tensorflow_process.CONTEXT_MB]
    assert (process_state["devices"], process_state["threads"], process_state["peak"]) == (2, 2, None)
    assert process_state["deterministic"] == [False, True]  # a GPU's kernels are asked for alone
    assert "before TensorFlow is first used" in process_state["refused"]
    assert "\n" not in process_state["refused"]


class Held:
    """What would be set, for a process that has used TensorFlow already."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, gpus: int) -> None:
        self.growth: list[str] = []
        self.limits: dict[str, list[int]] = {}
        monkeypatch.setattr(tensorflow_process, "_gpus", lambda: [f"gpu{index}" for index in range(gpus)])
        monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda gpu, is_set: self.growth.append(gpu))
        monkeypatch.setattr(tf.config, "set_logical_device_configuration", self._limit)
        monkeypatch.setattr(tensorflow_process.malloc, "keep_freed", lambda: None)
        monkeypatch.setattr(tensorflow_process.gc, "freeze", lambda: None)
        monkeypatch.setattr(replicas, "_devices", ())
        self.threads: list[int] = []
        for name in ("set_intra_op_parallelism_threads", "set_inter_op_parallelism_threads"):
            monkeypatch.setattr(tf.config.threading, name, self.threads.append)

    def _limit(self, gpu: str, parts: list[Any]) -> None:
        self.limits[gpu] = [part.memory_limit for part in parts]


@pytest.fixture
def figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "figures.json").write_text(json.dumps(FIGURES))
    monkeypatch.setenv("TUNE_JOBS_DEVICE_FIGURES", str(tmp_path / "figures.json"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("figures")
@pytest.mark.parametrize("share", [None, 1.0, 2.0])
def test_a_whole_gpu_grows(share: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch, gpus=2)
    tensorflow_process.prepare_devices(1, share)
    assert (held.growth, held.limits) == (["gpu0", "gpu1"], {})
    n_together = 2 if share == 2.0 else 1
    assert (replicas.count(), held.threads) == (n_together, [1, n_together])


def test_fewer_gpus_than_a_trial_was_given_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch, gpus=1)
    with pytest.raises(FewGpusError, match="a trial was given 2 GPUs, and TensorFlow sees 1 of them: check"):
        tensorflow_process.prepare_devices(1, 2)
    assert (held.growth, replicas.count()) == ([], 1)


@pytest.mark.usefixtures("figures")
def test_one_that_does_not_tell_its_memory_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch, gpus=3)  # and of the third nothing is known
    tensorflow_process.prepare_devices(1, 0.5)
    assert (held.growth, held.limits) == (["gpu1", "gpu2"], {"gpu0": [8192 - tensorflow_process.CONTEXT_MB]})


@pytest.mark.usefixtures("figures")
def test_a_limit_of_its_own_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch, gpus=2)
    tensorflow_process.prepare_devices(1, 0.5, memory_mb=3000.9)
    assert (held.growth, held.limits) == ([], {"gpu0": [3000], "gpu1": [3000]})


@pytest.mark.usefixtures("figures")
def test_a_share_without_room_for_a_tensor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch, gpus=1)
    with pytest.raises(SettingsError) as refused:
        tensorflow_process.prepare_devices(1, 0.05)
    assert "0.05 of a GPU of 16,384 MB was given" in str(refused.value)
    assert (held.growth, held.limits) == ([], {})


@pytest.mark.usefixtures("figures")
@pytest.mark.parametrize(
    ("gpus", "share", "place"), [(1, 0.5, "0.5 of a GPU has 7,168 MB"), (0, None, "the machine has 64")]
)
def test_data_that_do_not_fit_the_device_are_refused_before_they_are_trained_on(
    gpus: int, share: float | None, place: str, tiny_data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    Held(monkeypatch, gpus)
    (figure, *_) = FIGURES
    reader = SimpleNamespace(read=lambda: (DeviceFigures(**figure),))
    monkeypatch.setattr(tensorflow_process.devices, "device_reader", lambda: reader)
    monkeypatch.setattr(tensorflow_process.devices, "host_memory_mb", lambda: 64.0)
    large = Split(np.broadcast_to(np.float32(0), (2**21, 1024)), np.zeros(2**21, np.int8))  # 8 GB, and none of it there
    tensorflow_process.check_room(tiny_data, share)
    tensorflow_process.check_room(StreamedData("own", ""), share)
    with pytest.raises(
        DataError, match=rf"^the data set tiny takes 8,194 MB, and {place}.*\(tj.streamed, docs/data.md\)$"
    ):
        tensorflow_process.check_room(replace(tiny_data, train=large), share)


@pytest.mark.gpu
@pytest.mark.skipif(not tf.config.list_physical_devices("GPU"), reason="there is no GPU")
def test_a_real_gpu_is_held_to_a_share_and_tells_its_peak() -> None:
    program = [sys.executable, str(PROGRAMS / "shared_gpu.py")]
    answer = subprocess.run(program, capture_output=True, text=True, check=True)
    process_state = json.loads(answer.stdout)
    assert process_state["out"]
    assert process_state["peak"] >= 256
    assert process_state["again"] < process_state["peak"] + 64


@pytest.mark.slow
def test_what_a_trials_code_set_for_the_whole_process_is_undone_before_the_next() -> None:
    def settings() -> tuple[Any, ...]:
        config, graphs = keras.config, tf.config.optimizer
        of_keras = config.floatx(), config.epsilon(), config.image_data_format()
        is_tf32 = tf.config.experimental.tensor_float_32_execution_enabled()
        return (
            *of_keras,
            tf.config.functions_run_eagerly(),
            graphs.get_jit(),
            graphs.get_experimental_options(),
            is_tf32,
        )

    tensorflow_process.reset(0)
    before = settings()
    keras.config.set_floatx("float16")
    keras.config.set_epsilon(1e-3)
    keras.config.set_image_data_format("channels_first")
    keras.config.set_dtype_policy("mixed_bfloat16")
    tf.config.run_functions_eagerly(True)
    tf.config.optimizer.set_jit("autoclustering")
    tf.config.optimizer.set_experimental_options({"auto_mixed_precision": True, "layout_optimizer": False})
    tf.config.experimental.enable_tensor_float_32_execution(not before[-1])
    tensorflow_process.reset(0)
    assert settings() == before
    assert keras.config.dtype_policy().name == "float32"


def test_another_backend_of_keras_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(tensorflow_process.BackendError, match=r"Keras runs on jax here.*unset KERAS_BACKEND"):
        tensorflow_process.prepare_devices(1)

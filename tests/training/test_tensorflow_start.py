"""TensorFlow's start is silent where it succeeds, and says what it said where it does not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tune_jobs.training import tensorflow_start
from tune_jobs.training.tensorflow_start import _native_stderr_held_back


def test_native_messages_of_a_start_are_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with _native_stderr_held_back():
        os.write(2, b"could not find a driver\n")
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "afterwards\n"


def test_native_messages_of_a_start_that_fails_are_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImportError):
        failing_start()
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "a library is missing\nafterwards\n"


def failing_start() -> None:
    with _native_stderr_held_back():
        os.write(2, b"a library is missing\n")
        raise ImportError


PROGRAM = """
import sys
from tune_jobs.training import tensorflow_start

with tensorflow_start.prepared({cpus}):
    import keras
    import numpy as np
    layer = keras.layers.Normalization()
    layer.adapt(np.ones((4, 2), "float32"))
assert not any(type(finder).__name__ == "_FindsTensorFlow" for finder in sys.meta_path)
tensorflow_start.start(2)  # as before the first op
import tensorflow as tf
from tensorflow.python.framework import config
print(tf.config.threading.get_intra_op_parallelism_threads(), config.is_op_determinism_enabled())
"""


def test_devices_are_prepared_before_code_that_imports_tensorflow_can_use_it() -> None:
    program = [sys.executable, "-c", PROGRAM.format(cpus=2)]
    answer = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (answer.stdout, answer.returncode) == ("2 True\n", 0), answer.stderr


def test_nothing_is_imported_where_the_code_does_not_import_tensorflow() -> None:
    before, finders = "tensorflow" in sys.modules, list(sys.meta_path)
    with tensorflow_start.prepared(None):
        assert sys.meta_path[1:] == finders
    assert (before, finders) == ("tensorflow" in sys.modules, sys.meta_path)

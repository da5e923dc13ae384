"""A data set that Ray maps into a process is trained on where it is."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import tensorflow as tf

from tune_jobs.datasets.dataset import Split
from tune_jobs.training import compiled, mapped

ROWS, ROW = 512, 4096  # bytes of a row


def aligned(dtype: str, offset: int = 0) -> np.ndarray:
    """An array as Ray maps it: read-only, at a multiple of 64 bytes; or so many bytes behind one."""
    memory = np.random.default_rng(3).integers(0, 2, ROWS * ROW + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    array = memory[start : start + ROWS * ROW].view(dtype).reshape(ROWS, -1)
    array.flags.writeable = False
    return array


def begin(tensor: tf.Tensor) -> int:
    """The address of a tensor's first byte."""
    return int(np.from_dlpack(tensor).ctypes.data)


@pytest.mark.parametrize("dtype", ["uint8", "bool", "int32", "int64", "float32", "float64"])
def test_an_array_that_nobody_writes_to_is_a_tensor_without_a_copy(dtype: str) -> None:
    array = aligned(dtype)
    tensor = mapped.tensor(array)
    if dtype != "bool":  # which NumPy does not take from TensorFlow
        assert begin(tensor) == array.ctypes.data
    rows = tf.function(tf.gather)(tensor, tf.constant([5, 0]))
    assert rows.dtype == dtype
    np.testing.assert_array_equal(rows, array[[5, 0]])


def test_the_array_lives_as_long_as_its_tensor() -> None:
    array = aligned("int32")
    expected, tensor = array.copy(), mapped.tensor(array)
    del array
    gc.collect()
    np.testing.assert_array_equal(tensor, expected)


@pytest.mark.parametrize("why", ["writable", "not aligned", "not contiguous", "small", "big-endian", "of a GPU"])
def test_another_array_is_copied(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    array = aligned("int32", offset=4 if why == "not aligned" else 0)
    if why == "writable":
        array = array.copy()
    elif why == "not contiguous":
        array = array[:, ::2]
    elif why == "small":
        array = array[:3]
    elif why == "big-endian":
        array = array.view(">i4")
    elif why == "of a GPU":
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["GPU:0"])
    tensor = mapped.tensor(array)
    assert begin(tensor) != array.ctypes.data
    np.testing.assert_array_equal(tensor, array)


def test_the_inputs_of_a_data_set_are_mapped() -> None:
    split = Split(aligned("float32"), np.zeros(ROWS, np.int64))
    resident = compiled.to_device(split, lambda labels: labels)
    assert begin(resident.x) == split.x.ctypes.data

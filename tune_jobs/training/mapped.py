"""Arrays as tensors without a copy: Ray maps a data set into all workers of a node, and TensorFlow reads it there."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import tensorflow as tf

_ALIGNMENT = 64  # bytes; TensorFlow ends the process over a tensor that begins elsewhere
_LEAST = 2**20  # bytes that are worth it
_KINDS = "biuf"  # booleans, whole numbers and floats


def tensor(array: np.ndarray) -> Any:
    """Return an array as a tensor: in the array's own memory where nobody may write to that, else as a copy.

    The array lives as long as the tensor. On a GPU it is always a copy.
    """
    return _shared(array) if _can_be_shared(array) else tf.constant(array)


def _can_be_shared(array: np.ndarray) -> bool:
    return (
        not array.flags.writeable
        and array.flags.c_contiguous
        and array.dtype.kind in _KINDS
        and array.dtype.isnative
        and array.nbytes >= _LEAST
        and array.ctypes.data % _ALIGNMENT == 0
        and not tf.config.list_physical_devices("GPU")
    )


def _shared(array: np.ndarray) -> Any:
    # What can be written alone is handed on by DLPack in the form that TensorFlow reads. It writes to no argument.
    memory: Any = (ctypes.c_char * array.nbytes).from_address(array.ctypes.data)
    memory.array = array  # lives as long as whoever uses its memory
    view = np.frombuffer(memory, array.dtype).reshape(array.shape)
    return tf.experimental.dlpack.from_dlpack(view.__dlpack__())

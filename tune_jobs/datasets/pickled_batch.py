"""Read a batch of CIFAR images from its pickle, without running anything that the pickle asks for.

The layout is that of https://www.cs.toronto.edu/~kriz/cifar.html. Python 2 wrote the original; a later one may have
written it again. Stand-ins take the place of NumPy's classes too, because NumPy's `__setstate__` methods trust what a
pickle says about memory.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np

from tune_jobs.datasets.dataset import Array, Split
from tune_jobs.words import one_line

_PIXELS = 3072  # of an image: 32x32 red, then green, then blue
_N_CLASSES = 10


def parse(pickled: bytes) -> Split:
    """Return images `(N, 32, 32, 3)`, uint8, RGB, and labels `(N,)`, int64, 0 to 9.

    Raises:
        ValueError: in one line, if the pickle is damaged, asks for anything but an array, or holds other values.
    """
    try:
        content = _Unpickler(io.BytesIO(pickled), encoding="bytes").load()
    except Exception as error:  # a damaged pickle may raise anything, MemoryError among them
        raise ValueError(f"its pickle does not open ({one_line(error)})") from error
    if not isinstance(content, dict) or not {b"data", b"labels"} <= content.keys():
        raise ValueError("it must be a mapping with the keys b'data' and b'labels'")
    images, labels = _images(content[b"data"]), _labels(content[b"labels"])
    if len(images) != len(labels):
        raise ValueError(f"there must be one label an image: {len(images)} images came with {len(labels)}")
    return Split(images, labels)


def _images(data: object) -> Array:
    rows = data.values if isinstance(data, _Array) else None
    if rows is None or rows.ndim != 2 or rows.shape[1] != _PIXELS or len(rows) == 0:
        actual = type(data).__name__ if rows is None else str(rows.shape)
        raise ValueError(f"its b'data' must be an array of {_PIXELS} bytes an image, not {actual}")
    planes = rows.reshape(-1, 3, 32, 32)  # (N, C, H, W)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))


def _labels(labels: object) -> Array:
    if not isinstance(labels, list):
        raise ValueError(f"its b'labels' must be a list, not {type(labels).__name__}")  # noqa: TRY004 - parse's promise
    invalid = [label for label in labels if type(label) is not int or not 0 <= label < _N_CLASSES]
    if invalid:
        raise ValueError(f"its labels must be whole numbers from 0 to {_N_CLASSES - 1}, not {str(invalid[0])[:20]!r}")
    return np.array(labels, dtype=np.int64)


class _Unpickler(pickle.Unpickler):
    """An unpickler that knows the names in `_STAND_INS` alone."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"it asks for {f'{module}.{name}'[:60]}, and only arrays of bytes are let in")
        return _STAND_INS[module, name]


class _Type:
    """Stand-in for `numpy.dtype`. The state that a pickle gives it says nothing more about a type of one byte."""

    def __init__(self, code: str | bytes, *_: object) -> None:
        self.is_byte = code in {"u1", b"u1"}

    def __setstate__(self, state: object) -> None:
        pass


class _Array:
    """Stand-in for `numpy.ndarray`, which a pickle makes empty and then gives its shape, type and bytes."""

    values: Array | None = None

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, dtype, is_fortran, raw = state
        self.values = _array(raw, dtype, shape, "F" if is_fortran else "C")


class _BufferedArray(_Array):
    """Stand-in for the array that a pickle of protocol 5 makes in one call."""

    def __init__(self, raw: Any, dtype: Any, shape: Any, order: Any) -> None:
        self.values = _array(raw, dtype, shape, order)


def _array(raw: Any, dtype: Any, shape: Any, order: Any) -> Array:
    if not isinstance(dtype, _Type) or not dtype.is_byte:
        raise pickle.UnpicklingError("its array must be of the type uint8")
    return np.frombuffer(raw, np.uint8).reshape(shape, order=order)


_STAND_INS: Mapping[tuple[str, str], object] = {
    ("numpy", "dtype"): _Type,
    ("numpy", "ndarray"): None,  # named only, as the type that `_reconstruct` is to make
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,  # NumPy 2's name for it
    ("numpy.core.numeric", "_frombuffer"): _BufferedArray,
    ("numpy._core.numeric", "_frombuffer"): _BufferedArray,
    ("_codecs", "encode"): str.encode,  # bytes, as Python 3 writes them in the protocols of Python 2
}

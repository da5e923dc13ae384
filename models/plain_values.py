"""Scalars of NumPy, TensorFlow and enumerations as the plain values that they are, without importing either."""

from __future__ import annotations

from typing import Any


def plain(value: object) -> Any:
    """Return a scalar of NumPy, TensorFlow or an enumeration as the plain value that it is; anything else as it is.

    An array without axes is a scalar too. A float of fewer than 64 bits becomes the number that it shows: 0.1.
    """
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return value if type(value) is kind else _base_value(value, kind)
    array = value.numpy() if _is_scalar(value) and hasattr(value, "numpy") else value
    if not _is_scalar(array) or not hasattr(array, "item"):
        return value
    dtype = getattr(array, "dtype", None)
    item = float(str(array)) if getattr(dtype, "kind", "") == "f" and dtype != "float64" else array.item()
    return item if isinstance(item, bool | int | float | str) else value


def make_plain(made: object) -> None:
    """Give the fields of a frozen dataclass, while it is made, plain values where they have scalars."""
    for name, value in vars(made).items():
        object.__setattr__(made, name, plain(value))


def _base_value(value: Any, kind: type) -> Any:
    """Return the plain value of an instance of a subclass, whose own words for itself are others."""
    return {int: int.__int__, float: float.__float__, str: str.__str__}[kind](value)


def _is_scalar(value: object) -> bool:
    shape = getattr(value, "shape", None)
    return shape is not None and getattr(value, "ndim", 0) == 0 and tuple(shape) == ()

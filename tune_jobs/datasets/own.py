"""A task's own data set: a function without arguments that answers as `keras.datasets.*.load_data` do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tune_jobs.datasets.dataset import Array, Original, Split
from tune_jobs.errors import DataError

Pair = tuple[Array, Array]
LoadData = Callable[[], tuple[Pair, Pair]]


def load(load_data: LoadData) -> Original:
    """`((x_train, labels), (x_test, labels))` of the function.

    Grey uint8 images `(N, H, W)` get a channel axis, and labels `(N, 1)`, which some of Keras' data sets have, lose
    theirs. Other arrays are kept as they are.

    Raises:
        DataError: if the function raises, or answers something else.
    """
    try:
        answer: Any = load_data()
    except Exception as error:
        raise DataError(f"the data set {name_of(load_data)} raised {type(error).__name__}: {_line(error)}") from error
    try:
        (x_train, labels_train), (x_test, labels_test) = answer
    except (TypeError, ValueError) as error:
        raise DataError(
            f"the data set {name_of(load_data)} must return ((x_train, y_train), (x_test, y_test)): {_line(error)}"
        ) from error
    try:
        return _checked(_split(x_train, labels_train), _split(x_test, labels_test))
    except DataError as error:
        raise DataError(f"the data set {name_of(load_data)} cannot be used: {error}") from error


def name_of(load_data: LoadData) -> str:
    """`module.function`, the module without its packages: `cifar10.load_data`."""
    name = getattr(load_data, "__name__", type(load_data).__name__)
    module = getattr(load_data, "__module__", None) or ""
    return f"{module.rpartition('.')[2]}.{name}" if module else name


def _split(x: object, labels: object) -> Split:
    split = Split(np.asarray(x), np.asarray(labels))
    if split.x.dtype == np.uint8 and split.x.ndim == 3:
        split = Split(split.x[..., np.newaxis], split.labels)
    if split.labels.ndim == 2 and split.labels.shape[1] == 1:
        split = Split(split.x, split.labels[:, 0])
    return split


def _checked(train: Split, test: Split) -> Original:
    for name, a, b in (("x", train.x, test.x), ("labels", train.labels, test.labels)):
        if (a.shape[1:], a.dtype) != (b.shape[1:], b.dtype):
            raise DataError(
                f"{name} of train and test must be alike, and are {a.shape} {a.dtype} and {b.shape} {b.dtype}"
            )
    return Original(train, test)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or "no message"

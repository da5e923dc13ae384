"""A task's own data set: a function without arguments that returns what `keras.datasets.*.load_data` return."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tune_jobs.datasets import checking
from tune_jobs.datasets.dataset import Array, Original, Split
from tune_jobs.errors import DataError
from tune_jobs.words import one_line

Pair = tuple[Array, Array]  # images, labels
LoadData = Callable[[], tuple[Pair, Pair]]


def load(load_data: LoadData) -> Original:
    """Call the function and return its `((x_train, y_train), (x_test, y_test))` as two splits.

    Grey uint8 images `(N, H, W)` get a channel axis. Labels `(N, 1)`, which some of Keras' data sets have, lose their
    second axis. Other arrays are kept as they are.

    Raises:
        DataError: the function raises, or returns something else.
    """
    name = name_of(load_data)
    try:
        returned: Any = load_data()
    except Exception as error:
        raise DataError(f"the data set {name} raised {one_line(error)}") from error
    try:
        (x_train, y_train), (x_test, y_test) = returned
    except (TypeError, ValueError) as error:
        raise DataError(
            f"the data set {name} must return ((x_train, y_train), (x_test, y_test)): {one_line(error)}"
        ) from error
    try:
        train, test = _split("train", x_train, y_train), _split("test", x_test, y_test)
        checking.check_alike(train, test)
        return Original(train, test)
    except DataError as error:
        raise DataError(f"the data set {name} cannot be used: {error}") from error


def name_of(load_data: LoadData) -> str:
    """Return `module.function`, the module without its packages: `cifar10.load_data`."""
    name = getattr(load_data, "__name__", type(load_data).__name__)
    module = getattr(load_data, "__module__", None) or ""
    return f"{module.rpartition('.')[2]}.{name}" if module else name


def _split(part: str, x: object, labels: object) -> Split:
    arrays = checking.numbers(x, f"x_{part}"), checking.numbers(labels, f"y_{part}")
    try:
        split = Split(*arrays)
    except DataError as error:
        raise DataError(f"x_{part} and y_{part}: {error}") from error
    if split.x.dtype == np.uint8 and split.x.ndim == 3:
        split = Split(split.x[..., np.newaxis], split.labels)
    if split.labels.ndim == 2 and split.labels.shape[1] == 1:
        split = Split(split.x, split.labels[:, 0])
    return split

"""A task's own data set: a function without arguments that returns what `keras.datasets.*.load_data` return."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tune_jobs.datasets import checking
from tune_jobs.datasets.dataset import Array, Original, Split
from tune_jobs.errors import DataError
from tune_jobs.search_spaces import function_names
from tune_jobs.words import one_line

Pair = tuple[Array, Array]  # images, labels
LoadData = Callable[[], tuple[Pair, Pair]]


def load(load_data: LoadData) -> Original:
    """Call the function and return its `((x_train, y_train), (x_test, y_test))` as two splits.

    Grey uint8 images `(N, H, W)` get a channel axis. Other arrays, and labels of any shape, are kept as they are.

    Raises:
        DataError: the function raises, or returns something else.
    """
    name = function_names.name(load_data)
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


def _split(part: str, x: object, labels: object) -> Split:
    arrays = checking.numbers(x, f"x_{part}"), checking.numbers(labels, f"y_{part}")
    try:
        split = Split(*arrays)
    except DataError as error:
        raise DataError(f"x_{part} and y_{part}: {error}") from error
    if split.x.dtype == np.uint8 and split.x.ndim == 3:
        split = Split(split.x[..., np.newaxis], split.labels)
    return split

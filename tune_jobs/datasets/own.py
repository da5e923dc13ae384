"""A task's own data set: a function without arguments that returns what `keras.datasets.*.load_data` return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tune_jobs.datasets import batches, checking, frames, nests
from tune_jobs.datasets.dataset import Original, Split, TableColumn
from tune_jobs.datasets.nests import Nest
from tune_jobs.datasets.splitting import Indices, places
from tune_jobs.errors import DataError
from tune_jobs.search_spaces import function_names
from tune_jobs.search_spaces.data import Data, DataSource
from tune_jobs.words import one_line

LoadData = DataSource


def load(load_data: LoadData) -> Original:
    """Call the function and return its `((x_train, y_train), (x_test, y_test))` as two splits.

    Between the two may stand a part for validation. A part may have weights, `(x, y, weights)`, and may be a pipeline
    of batches (`tf.data.Dataset`, `keras.utils.PyDataset`), which is read into memory. Grey uint8 images
    `(N, H, W)` get a channel axis. Other arrays, and labels of any shape, are kept as they are.

    Raises:
        DataError: the function raises, or returns something else.
    """
    name = function_names.name(load_data)
    try:
        returned: Any = load_data()
    except (Exception, SystemExit) as error:
        raise DataError(f"the data set {name} raised {one_line(error)}") from error
    try:
        return _original(_data(returned))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"the data set {name} must return ((x_train, y_train), (x_test, y_test)): {one_line(error)}"
        ) from error
    except DataError as error:
        raise DataError(f"the data set {name} cannot be used: {error}") from error


def _data(returned: Any) -> Data:
    if isinstance(returned, Data):
        train, validation, test = returned.train, returned.validation, returned.test
    elif isinstance(returned, tuple | list) and len(returned) == 3:
        train, validation, test = returned
    else:
        (train, test), validation = returned, None
    train, test, validation = _in_memory(train), _in_memory(test), _in_memory(validation)
    for part in (train, validation, test):
        if hasattr(part, "__len__") and getattr(part, "shape", None) != () and len(part) not in (2, 3):
            raise ValueError(f"a part is (x, y) or (x, y, weights); one has {len(part)} members")
    if isinstance(returned, Data):
        return replace(returned, train=train, test=test, validation=validation)
    return Data(tuple(train), tuple(test), None if validation is None else tuple(validation))


def _in_memory(part: Any) -> Any:
    return batches.read(part) if batches.is_pipeline(part) else part


def _original(data: Data) -> Original:
    train = _split("train", data.train)
    groups = None if data.groups is None else _groups(data.groups, len(train))
    validation = None if data.validation is None else _split("val", data.validation)
    if isinstance(data.test, tuple | list):
        test = _split("test", data.test)
    else:
        stays, held_out = places(train, data.test, groups=groups, in_order=data.in_order)
        train, test, groups = train.take(stays), train.take(held_out), None if groups is None else groups[stays]
    for name, part in (("test", test), ("val", validation)):
        if part is not None:
            checking.check_alike(train, part, name)
    columns = tuple(map(TableColumn, frames.columns_of_matrix(data.train[0])))
    return Original(train, test, (), validation, groups, data.in_order, columns)


def _groups(groups: Any, n: int) -> Indices:
    """Return a whole number for each row, equal for rows of one group."""
    values = np.asarray(groups)
    if values.shape != (n,):
        raise DataError(f"groups needs one value for each of the {n} rows of train; its shape is {values.shape}")
    return np.unique(values.astype(str) if values.dtype == object else values, return_inverse=True)[1]


def _split(part: str, content: Any) -> Split:
    x, y, *weights = content
    inputs, labels = _nest(x, f"x_{part}"), _nest(y, f"y_{part}")
    try:
        split = Split(inputs, labels, _nest(weights[0], f"w_{part}") if weights and weights[0] is not None else None)
    except DataError as error:
        raise DataError(f"x_{part} and y_{part}: {error}") from error
    if not nests.is_nested(split.x) and split.x.dtype == np.uint8 and split.x.ndim == 3:
        split = Split(split.x[..., np.newaxis], split.labels, split.weights)
    return split


def _nest(value: Any, name: str) -> Nest:
    """Return a value as arrays: mappings, and tuples of arrays, are nests, and pandas' values what `fit` makes of them.

    Raises:
        DataError: a part is no array of numbers or of texts.
    """
    if frames.is_frame(value):
        value = frames.as_arrays(value, name)
    if isinstance(value, Mapping):
        return {str(key): _nest(part, f"{name}[{key!r}]") for key, part in value.items()}
    if isinstance(value, tuple) and value and all(_is_array(part) for part in value):
        return tuple(_nest(part, f"{name}[{place}]") for place, part in enumerate(value))
    return checking.array(value, name)


def _is_array(value: Any) -> bool:
    """Return True for what is an input of its own in a tuple; a tuple of numbers or lists is one array."""
    return isinstance(value, Mapping) or len(getattr(value, "shape", ())) > 0

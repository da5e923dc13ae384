"""pandas' DataFrames and Series as arrays, in the form in which `keras.Model.fit` gives them to a model."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from tune_jobs.datasets.nests import Array
from tune_jobs.errors import DataError


def is_frame(value: object) -> bool:
    """Return True for a DataFrame or a Series; a process without pandas has none."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame | pandas.Series)


def as_arrays(value: Any, name: str) -> Any:
    """Return a Series as a column `(N, 1)`, and a DataFrame as one matrix `(N, columns)` if all its columns are
    numbers, else as a mapping from the names of its columns to columns.

    Raises:
        DataError: two columns have one name.
    """
    if value.ndim == 1:
        return _values(value).reshape(-1, 1)
    if not value.columns.is_unique:
        raise DataError(f"{name} needs columns of different names; got {', '.join(map(str, value.columns))}")
    columns = {str(column): _values(value[column]) for column in value.columns}
    if all(array.dtype.kind in "buif" for array in columns.values()):
        return np.stack(list(columns.values()), axis=1)
    return {column: array.reshape(-1, 1) for column, array in columns.items()}


def columns_of_matrix(value: Any) -> tuple[str, ...]:
    """Return the names of the columns of a DataFrame that becomes a matrix; none of anything else."""
    if not is_frame(value) or value.ndim == 1 or not isinstance(as_arrays(value, ""), np.ndarray):
        return ()
    return tuple(map(str, value.columns))


def _values(series: Any) -> Array:
    """Return the values of a column. Those of pandas' own types become NumPy's; a missing number is NaN."""
    kind = getattr(series.dtype, "kind", "O")
    if isinstance(series.dtype, np.dtype):
        return np.asarray(series.to_numpy())
    if kind in "biuf" and not series.hasnans:
        return np.asarray(series.to_numpy(dtype=np.dtype(f"{kind}{series.dtype.itemsize}")))
    if kind in "biuf":
        return np.asarray(series.to_numpy(dtype=float, na_value=np.nan))
    return np.asarray(series.to_numpy(dtype=None if str(series.dtype) == "category" else object))

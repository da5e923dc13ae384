"""The form of a model's inputs, as a saved model keeps it, and files of rows that are read in that form.

| file | what it holds |
|---|---|
| `.csv`, `.tsv`, `.parquet` | rows with the columns of the table that was trained on, or one named after each input |
| `.npy` | the array of a model with one input |
| `.npz` | an array for each input, by its name, or by its place: `arr_0`, `arr_1` |
| `.txt` | a text a line, for a model with one input of texts |

Files are not trusted: an error is one line that names the file.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tune_jobs.datasets import nests, tables
from tune_jobs.datasets.dataset import TableColumn
from tune_jobs.datasets.nests import Array, Nest
from tune_jobs.errors import DataError
from tune_jobs.words import one_line

SUFFIXES = (*tables.SUFFIXES, ".npy", ".npz", ".txt")

_Kind = Literal["numbers", "whole", "uint8", "booleans", "texts"]
_KINDS: dict[str, _Kind] = {"f": "numbers", "i": "whole", "u": "whole", "b": "booleans", "O": "texts"}


class RowsError(DataError):
    """A file of rows that cannot be read, although others may be."""


@dataclass(frozen=True)
class InputForm:
    """One input: its name in a mapping, or its place in a tuple, or neither where it is the only one; the shape of a
    row, and what is in it."""

    name: str = ""
    shape: tuple[int, ...] = ()
    kind: _Kind = "numbers"
    place: int | None = None


def forms_of(x: Nest) -> tuple[InputForm, ...]:
    """Return the forms of inputs `(N, ...)`; none for nests in nests, which no file holds."""
    if isinstance(x, dict):
        parts: list[tuple[str, int | None, Nest]] = [(str(name), None, x[name]) for name in sorted(x)]
    elif isinstance(x, tuple):
        parts = [("", place, part) for place, part in enumerate(x)]
    else:
        parts = [("", None, x)]
    if any(nests.is_nested(part) for _, _, part in parts):
        return ()
    return tuple(InputForm(name, array.shape[1:], _kind(array), place) for name, place, array in parts)


def _kind(array: Array) -> _Kind:
    return "uint8" if array.dtype == np.uint8 else _KINDS[array.dtype.kind]


def read(path: Path, forms: Sequence[InputForm], columns: Sequence[TableColumn]) -> Nest:
    """Return the rows of a file as inputs of these forms; `columns` are those of the table that was trained on.

    Raises:
        RowsError: it cannot be read, or does not fit the inputs; in one line.
    """
    try:
        return _read(path, forms, columns)
    except DataError as error:
        raise RowsError(str(error)) from error


def _read(path: Path, forms: Sequence[InputForm], columns: Sequence[TableColumn]) -> Nest:
    if not path.is_file():
        raise DataError(f"there is no file {path}" if not path.exists() else f"{path} is no file")
    arrays = _arrays(path, forms, columns)
    made = [_as(form, array, path) for form, array in zip(forms, arrays, strict=True)]
    if len({len(array) for array in made}) > 1:
        raise DataError(f"{path} needs inputs of as many rows; got {', '.join(str(len(array)) for array in made)}")
    if forms[0].place is not None:
        return tuple(made)
    return made[0] if not forms[0].name else {form.name: part for form, part in zip(forms, made, strict=True)}


def _arrays(path: Path, forms: Sequence[InputForm], columns: Sequence[TableColumn]) -> list[Array]:
    suffix = path.suffix.lower()
    if suffix in tables.SUFFIXES:
        return _of_table(path, forms, columns)
    if suffix == ".txt":
        _need_one(path, forms)
        lines = _lines(path)
        return [np.array(lines, object).reshape(len(lines), *(1 for _ in forms[0].shape))]
    if suffix in (".npy", ".npz"):
        return _of_numpy(path, forms)
    raise DataError(f"{path} needs to be a file of rows: {', '.join(SUFFIXES)}")


def _need_one(path: Path, forms: Sequence[InputForm]) -> None:
    if len(forms) > 1:
        named = ", ".join(form.name or str(form.place) for form in forms)
        raise DataError(f"{path} has one input, and the model takes {named}: a .npz or a table has several")


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text: {one_line(error)}") from error
    if not lines:
        raise DataError(f"{path} is empty: it needs a text a line")
    return lines


def _of_numpy(path: Path, forms: Sequence[InputForm]) -> list[Array]:
    try:
        with path.open("rb") as file:
            content: Any = np.load(file, allow_pickle=False)
            found = {name: content[name] for name in content.files} if hasattr(content, "files") else {"": content}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as arrays of numbers or texts: {one_line(error)}") from error
    if len(forms) == 1 and len(found) == 1:
        return list(found.values())
    _need_one(path, forms if "" in found else ())
    names = [form.name if form.place is None else f"arr_{form.place}" for form in forms]
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(f"{path} has no array {missing[0]!r}; it has {', '.join(found)}")
    return [found[name] for name in names]


def _of_table(path: Path, forms: Sequence[InputForm], columns: Sequence[TableColumn]) -> list[Array]:
    if columns:
        return [tables.matrix(tables.read(path), columns, path)]
    frame = tables.read(path)
    by_name = {str(name): frame[name].to_numpy() for name in frame.columns}
    if len(forms) == 1 and not forms[0].name:
        width = forms[0].shape[0] if len(forms[0].shape) == 1 else 1
        if len(by_name) != width:
            raise DataError(f"{path} needs {width} columns, one for each number of a row; it has {len(by_name)}")
        return [np.stack(list(by_name.values()), axis=1)]
    return [_of_columns(path, form, by_name) for form in forms]


def _of_columns(path: Path, form: InputForm, by_name: dict[str, Array]) -> Array:
    """Return the column of an input, or those of its numbers: `size`, or `size_0`, `size_1`, …"""
    name = form.name or f"input_{form.place}"
    size = int(np.prod(form.shape))
    names = [name] if size == 1 else [f"{name}_{number}" for number in range(size)]
    missing = [column for column in names if column not in by_name]
    if missing:
        raise DataError(f"{path} has no column {missing[0]!r}, which the model takes; it has {', '.join(by_name)}")
    return np.stack([by_name[column] for column in names], axis=1)


def _as(form: InputForm, array: Array, path: Path) -> Array:
    """Return an array as `(N, ...)` of the input's form; a single row may come without its first axis."""
    which = form.name or ("" if form.place is None else f"input {form.place}")
    where = f"{path}: {which}" if which else str(path)
    if array.dtype.kind in "US":
        array = array.astype(str).astype(object)
    if array.shape == form.shape and form.shape:
        array = array[np.newaxis]
    if array.shape[1:] != form.shape and array.size and array.size == len(array) * int(np.prod(form.shape)):
        array = array.reshape(len(array), *form.shape)  # (N, 1) for (N,), (N, H, W) for (N, H, W, 1)
    if array.ndim == 0 or len(array) == 0 or array.shape[1:] != form.shape:
        raise DataError(f"{where} needs rows of the shape {form.shape}; got an array of {array.shape}")
    if form.kind == "texts":
        return np.array([str(value) for value in array.ravel()], object).reshape(array.shape)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{where} needs numbers; it has texts")
    if not np.isfinite(array).all():
        row = int((~np.isfinite(array.reshape(len(array), -1)).all(axis=1)).argmax())
        raise DataError(f"{where}, row {row + 1}, has a number that is missing or not finite")
    if form.kind in ("whole", "uint8") and (array != np.rint(array)).any():
        raise DataError(f"{where} needs whole numbers, as the model was trained on")
    if form.kind == "uint8" and (array.min() < 0 or array.max() > 255):
        raise DataError(f"{where} needs whole numbers from 0 to 255; got {array.min():g} to {array.max():g}")
    kinds = {"numbers": np.float64, "whole": np.int64, "uint8": np.uint8, "booleans": np.bool_}
    return array.astype(kinds[form.kind])

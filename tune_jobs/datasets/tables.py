"""A table in a CSV or Parquet file as a data set: one column is the target, the others become a matrix of numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tune_jobs.datasets.dataset import Array, Original, Pairs, Split, TableColumn
from tune_jobs.datasets.progress import silent
from tune_jobs.datasets.splitting import divided
from tune_jobs.errors import DataError
from tune_jobs.search_spaces.spelling import near
from tune_jobs.settings import Settings
from tune_jobs.words import Say, one_line, short

if TYPE_CHECKING:
    import pandas as pd

TARGET = "target"  # the column that is the target where nothing is said
MOST_VALUES = 50  # of a column of texts, each of which becomes a column of the matrix
SUFFIXES = (".parquet", ".csv", ".tsv")

_SEPARATORS = ",;\t"


@dataclass(frozen=True)
class Table:
    """A table as the data set of a task: `table` makes one.

    Called without arguments, it returns `((x, labels), (x_test, labels_test))`, as the functions of `keras.datasets`.
    """

    path: Path
    target: str | None

    @property
    def data_name(self) -> str:
        """The file's name without its ending, and the target where it is said: `diabetes@progression`."""
        return self.path.stem if self.target is None else f"{self.path.stem}@{self.target}"

    def load(self, data_dir: Path, say: Say = silent) -> Original:
        """Return a matrix `(N, F)`, float32, and the targets `(N,)`; 20 % of the rows are to test on, of each class.

        Raises:
            DataError: in one line, with the column, and with the row if it is one value that cannot be used.
        """
        frame = read(self.path)
        if len(frame.columns) < 2:
            raise DataError(
                f"{self.path} needs rows, a target and another column; it has {len(frame)} rows and 1 columns"
            )
        target = _target(frame, self.path, self.target)
        labels, classes = _labels(frame[target], target, self.path)
        columns = tuple(_form(frame[name], str(name), self.path) for name in frame.columns if name != target)
        x = matrix(frame, columns, self.path)
        return replace(divided(Split(x, labels), self.data_name, classes), columns=columns)

    def __call__(self) -> Pairs:
        return self.load(Settings.read().data_dir).pairs


def table(path: Path | str, target: str | None = None) -> Table:
    """Return the data set of a CSV or Parquet file, whose column `target` is what a network learns to tell.

    All other columns are the input, in their order: numbers as they are, booleans as 0 and 1, and a column of texts as
    one column of 0 and 1 for each of its values (one-hot), which are at most 50. A target of numbers stays as it is;
    the texts of one, in alphabetical order, are the classes 0, 1, 2, … Without `target`, the column is called "target".
    A relative path starts at the working folder: `Path(__file__).parent / "diabetes.csv"` lies beside the task's file.

    The file is read when the data are loaded, not here.
    """
    return Table(Path(path).expanduser().absolute(), target)


def read(path: Path) -> pd.DataFrame:
    """Return the rows of a CSV or Parquet file.

    Raises:
        DataError: it cannot be read, or has no rows.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}" if not path.exists() else f"{path} is no file")
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"a table is a file {', '.join(SUFFIXES)}; got {path}")
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of columns with values of several kinds, which are refused below
            is_parquet = path.suffix.lower() == ".parquet"
            frame = pd.read_parquet(path) if is_parquet else pd.read_csv(path, sep=_separator(path))
    except Exception as error:  # readers raise errors of many kinds for a damaged file
        raise DataError(f"{path} cannot be read as a table: {one_line(error)}") from error
    if len(frame.columns) < 1 or len(frame) == 0:
        raise DataError(f"{path} needs rows and columns; it has {len(frame)} rows and {len(frame.columns)} columns")
    return frame.reset_index(drop=True)


def _separator(path: Path) -> str:
    """Return the separator that the line of names has most of."""
    with path.open(encoding="utf-8") as file:
        head = file.readline()
    return max(_SEPARATORS, key=head.count)


def _target(frame: pd.DataFrame, path: Path, target: str | None) -> str:
    name = TARGET if target is None else target
    if name in frame.columns:
        return name
    columns = [str(column) for column in frame.columns]
    hint = ": say which column is the target, as in NAME@COLUMN or target=" if target is None else near(name, columns)
    raise DataError(f"{path} has no column {name!r}{hint}; it has {_few(columns)}")


def _few(names: list[str]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _labels(column: pd.Series[Any], name: str, path: Path) -> tuple[Array, tuple[str, ...]]:
    """Return the targets `(N,)`, and the names of their classes if they are texts or booleans."""
    place = _place(column, name, path)
    _check_complete(column, place)
    values = column.to_numpy()
    if column.dtype.kind in "iuf":
        return _finite(values.astype(np.float64) if column.dtype.kind == "f" else values.astype(np.int64), place), ()
    classes, labels = np.unique(_texts(column, place), return_inverse=True)
    return labels.astype(np.int64), tuple(map(str, classes))


def matrix(frame: pd.DataFrame, columns: Sequence[TableColumn], path: Path) -> Array:
    """Return the input `(N, F)`, float32, that these columns of a table are.

    Raises:
        DataError: a column is missing, or has a value that cannot be used.
    """
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    for column in columns:
        if column.name not in frame.columns:
            needed = _few([column.name for column in columns])
            raise DataError(
                f"{path} has no column {column.name!r}{near(column.name, frame.columns)}; needed are {needed}"
            )
    return np.concatenate([_values(frame[column.name], column, path) for column in columns], axis=1)


def _values(series: pd.Series[Any], column: TableColumn, path: Path) -> Array:
    """Return a column as `(N, 1)` numbers, or as `(N, k)`, a column for each of its k texts."""
    place = _place(series, column.name, path)
    _check_complete(series, place)
    if not column.values:
        if series.dtype.kind not in "iufb":
            raise DataError(f"{place(0)} is {short(series.to_numpy()[0])}, and the column is of numbers")
        with np.errstate(over="ignore"):  # beyond float32 is said to be not finite
            return _finite(series.to_numpy().astype(np.float32), place)[:, np.newaxis]
    texts, known = _texts(series, place), {value: number for number, value in enumerate(column.values)}
    unknown = next((row for row, text in enumerate(texts) if text not in known), None)
    if unknown is not None:
        raise DataError(f"{place(unknown)} is {str(texts[unknown])!r}: it needs one of {_few(list(column.values))}")
    return np.eye(len(known), dtype=np.float32)[[known[text] for text in texts]]


def _form(column: pd.Series[Any], name: str, path: Path) -> TableColumn:
    """Return whether a column is of numbers or of texts, and of which."""
    place = _place(column, name, path)
    _check_complete(column, place)
    if column.dtype.kind in "iufb":
        return TableColumn(name)
    values = np.unique(_texts(column, place))
    if len(values) > MOST_VALUES:
        raise DataError(
            f"{place(None)} has {len(values):,} texts, and {MOST_VALUES} at most become columns: leave it out of the "
            "file, or load the table in a function of your own"
        )
    return TableColumn(name, tuple(map(str, values)))


Place = Callable[[int | None], str]  # where a row of a column is


def _place(column: pd.Series[Any], name: str, path: Path) -> Place:
    return lambda row: f"{path}: column {name!r}" + ("" if row is None else f", row {row + 1},")


def _check_complete(column: pd.Series[Any], place: Place) -> None:
    missing = column.isna().to_numpy()
    if missing.any():
        raise DataError(
            f"{place(int(missing.argmax()))} is empty ({missing.sum():,} of {len(missing):,} are): fill in or remove "
            "what is missing"
        )


def _finite(values: Array, place: Place) -> Array:
    wrong = ~np.isfinite(values)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(f"{place(row)} is {values[row]}: a network needs finite numbers")
    return values


def _texts(column: pd.Series[Any], place: Place) -> Array:
    """Return the texts of a column.

    Raises:
        DataError: some values are neither texts nor booleans, or the column was meant to have numbers.
    """
    values = column.astype(object).to_numpy()
    row = next((row for row, value in enumerate(values) if not isinstance(value, str | bool | np.bool_)), None)
    if row is not None:
        raise DataError(
            f"{place(row)} is {short(values[row])}, a {type(values[row]).__name__}: columns need numbers, texts or "
            "booleans"
        )
    texts = np.array([str(value) for value in values])
    _check_no_numbers(texts, place)
    return texts


def _check_no_numbers(texts: Array, place: Place) -> None:
    """Refuse texts most of which are numbers: one value that is none, or a comma, made texts of the column."""
    is_number = np.array([_is_number(text) for text in texts])
    is_odd = ~is_number | (np.char.find(texts, ",") >= 0)
    if 2 * is_number.sum() > len(texts) and is_odd.any():
        row = int(is_odd.argmax())
        raise DataError(
            f"{place(row)} is {str(texts[row])!r}: the column is of numbers, and these have a decimal point"
        )


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True

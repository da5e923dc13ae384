"""A table in a file becomes a matrix of numbers with targets; what cannot is refused with its column and row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tune_jobs import datasets
from tune_jobs.datasets import table
from tune_jobs.datasets.tables import MOST_VALUES
from tune_jobs.errors import DataError

N = 20


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(DataError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def frame(**more: Any) -> pd.DataFrame:
    rows = np.arange(N)
    columns = {
        "age": 20 + rows,
        "town": np.where(rows % 2 == 0, "Ulm", "Bonn"),
        "smokes": rows % 4 == 0,
        "dose": rows / 8,
        "target": rows * 1.5,
    }
    return pd.DataFrame({**columns, **more})


def written(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep={".csv": ",", ".tsv": "\t"}[path.suffix])
    return path


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet"])
def test_numbers_stay_and_texts_become_a_column_each(ending: str, tmp_path: Path) -> None:
    original = table(written(frame(), tmp_path / f"x{ending}")).load(tmp_path)
    x = np.concatenate([original.train.x, original.test.x])
    y = np.concatenate([original.train.labels, original.test.labels])
    rows = np.rint(y / 1.5).astype(int)
    expected = [20 + rows, rows % 2 == 1, rows % 2 == 0, rows % 4 == 0, rows / 8]  # age, Bonn, Ulm, smokes, dose
    np.testing.assert_array_equal(x, np.stack(expected, axis=1).astype(np.float32))
    assert (x.dtype, y.dtype) == (np.float32, np.float64)
    assert sorted(rows) == list(range(N))
    assert (len(original.train), len(original.test), original.classes) == (16, 4, ())


@pytest.mark.parametrize(
    ("target", "dtype", "classes"),
    [("town", np.int64, ("Bonn", "Ulm")), ("smokes", np.int64, ("False", "True")), ("age", np.int64, ())],
)
def test_a_target_of_texts_or_booleans_has_classes(
    target: str, dtype: type, classes: tuple[str, ...], tmp_path: Path
) -> None:
    original = table(written(frame(), tmp_path / "x.csv"), target).load(tmp_path)
    assert original.train.labels.dtype == dtype
    assert original.classes == classes
    if classes:
        assert np.bincount(original.test.labels).sum() == 4
        assert set(original.train.labels) == {0, 1}


def test_semicolons_separate_columns_too(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "x.csv", index=False, sep=";")
    assert table(tmp_path / "x.csv").load(tmp_path).train.x.shape == (16, 5)


def test_digits_that_are_texts_are_classes(tmp_path: Path) -> None:
    written(frame(code=[str(row % 3) for row in range(N)]), tmp_path / "x.parquet")
    assert table(tmp_path / "x.parquet").load(tmp_path).train.x.shape == (16, 8)


@pytest.mark.parametrize(("name", "called"), [("x", "x"), ("x@dose", "x@dose"), ("x.csv@dose", "x.csv@dose")])
def test_a_table_in_the_data_folder_is_a_data_set(name: str, called: str, tmp_path: Path) -> None:
    path = written(frame(), tmp_path / "x.csv")
    loaded = datasets.load(name, data_dir=tmp_path, validation=4)
    assert loaded.name == called
    assert loaded.train.x.shape == (12, 5)
    assert datasets.locate(name, tmp_path) == str(path)


def test_the_name_in_the_data_folder_and_the_path_are_one_data_set(tmp_path: Path) -> None:
    path = written(frame(), tmp_path / "x.csv")
    a, b = (datasets.load(data, data_dir=tmp_path, validation=4) for data in ("x@dose", table(path, "dose")))
    assert (a.digest, a.name) == (b.digest, b.name)


def test_a_task_can_call_it_as_a_function(tmp_path: Path) -> None:
    (x, y), (x_test, _) = table(written(frame(), tmp_path / "x.csv"))()
    assert (len(x), len(y), len(x_test)) == (16, 16, 4)


def at(row: int, value: object, *others: object) -> list[object]:
    """A column of 1.0 with a value in one row."""
    return [value if n == row else 1.0 for n in range(N)]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"age": at(6, None)}, "column 'age', row 7, is empty (1 of 20 are): fill in or remove"),
        ({"town": ["Ulm", None] * 10}, "column 'town', row 2, is empty (10 of 20 are)"),
        ({"target": at(0, None)}, "column 'target', row 1, is empty"),
        ({"dose": at(3, np.inf)}, "column 'dose', row 4, is inf: a network needs finite numbers"),
        ({"dose": at(3, 1e300)}, "column 'dose', row 4, is inf: a network needs finite numbers"),
        ({"target": at(3, -np.inf)}, "column 'target', row 4, is -inf"),
        ({"age": at(4, "?")}, "column 'age', row 5, is '?': the column is of numbers"),
        ({"age": [f"{n},5" for n in range(N)]}, "column 'age', row 1, is '0,5': the column is of numbers"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_its_column_and_row(
    changed: dict[str, Any], says: str, tmp_path: Path
) -> None:
    path = written(frame(**changed), tmp_path / "x.csv")
    message = refusal(lambda: table(path).load(tmp_path))
    assert message.startswith(f"{path}: ")
    assert says in message


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"day": pd.date_range("2024-01-01", periods=N)}, "column 'day', row 1, is"),
        ({"parts": [[1, 2]] * N}, "column 'parts', row 1, is"),
        ({"target": pd.date_range("2024-01-01", periods=N)}, "columns need numbers, texts or booleans"),
    ],
)
def test_values_of_other_kinds_are_refused(changed: dict[str, Any], says: str, tmp_path: Path) -> None:
    path = written(frame(**changed), tmp_path / "x.parquet")
    assert says in refusal(lambda: table(path).load(tmp_path))


def test_a_column_of_names_is_refused(tmp_path: Path) -> None:
    many = frame().loc[np.repeat(0, MOST_VALUES + 1)].assign(who=[f"w{n}" for n in range(MOST_VALUES + 1)])
    path = written(many, tmp_path / "x.csv")
    assert f"column 'who' has {MOST_VALUES + 1} texts" in refusal(lambda: table(path).load(tmp_path))


def test_a_target_that_is_no_column_is_refused_with_those_there_are(tmp_path: Path) -> None:
    path = written(frame(), tmp_path / "x.csv")
    assert "no column 'dos'; near it: dose; it has age, town" in refusal(lambda: table(path, "dos").load(tmp_path))
    written(frame().drop(columns="target"), path)
    assert "say which column is the target" in refusal(lambda: table(path).load(tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.csv", b"", "cannot be read as a table"),
        ("x.csv", b"a,b\n1,2\n3,4,5\n", "cannot be read as a table"),
        ("x.csv", b"\xff\xfe\x00a,b\n1,2\n", "cannot be read as a table"),
        ("x.csv", b"target\n1\n", "it has 1 rows and 1 columns"),
        ("x.csv", b"a,target\n", "it has 0 rows and 2 columns"),
        ("x.parquet", b"PAR1 not really", "cannot be read as a table"),
        ("x.xls", b"", "a table is a file .parquet, .csv, .tsv"),
        ("y.csv", b"", "there is no file"),
    ],
)
def test_a_file_that_is_no_table_is_refused(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / name.replace("y", "x")).write_bytes(content)
    message = refusal(lambda: table(tmp_path / name).load(tmp_path))
    assert str(tmp_path / name) in message
    assert says in message


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    path = written(frame()[:1], tmp_path / "x.csv")
    assert "cannot take a test part from x" in refusal(lambda: table(path).load(tmp_path))

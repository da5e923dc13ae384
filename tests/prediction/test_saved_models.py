"""A saved model knows where it is from; a file that does not, or that says what cannot be, is refused in one line."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tune_jobs.errors import DataError
from tune_jobs.prediction import saved_models
from tune_jobs.prediction.saved_models import MEMBER, Origin

ORIGIN = Origin(
    task="clock-quick",
    reference="clock-quick",
    task_digest="28574cf0cd17",
    params={"encoding": "regression", "batch_norm": True, "learning_rate": 0.001, "regularizer": None},
    seed=3,
    encoding="regression",
    input_shape=(32, 32, 1),
    dataset="clock-faces-small",
    data_digest="04e445f967ecb0a7",
    metric="val_error_minutes",
    direction="minimize",
    score=196.76573181152344,
    versions={"keras": "3.15.1"},
)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A zip with something else in it."""
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", "{}")
    return path


def put(path: Path, content: str) -> Path:
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr(MEMBER, content)
    return path


def test_an_origin_is_read_as_it_was_written(archive: Path) -> None:
    saved_models.add(archive, ORIGIN)
    assert saved_models.read(archive) == ORIGIN
    with zipfile.ZipFile(archive) as file:
        assert file.namelist() == ["config.json", MEMBER]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 2}, "needs format 1, the one this version reads; got 2"),
        ({"format": True}, "needs format 1, the one this version reads; got True"),
        ({"format": None}, "needs format 1"),
        ({"params": ["a"]}, "needs an object of plain values as params"),
        ({"params": {"units": [1]}}, "needs an object of plain values as params"),
        ({"input_shape": []}, "as input_shape"),
        ({"input_shape": [0, 32, 1]}, "as input_shape"),
        ({"input_shape": "32"}, "as input_shape"),
        ({"reference": ""}, "as reference; got ''"),
        ({"encoding": 3}, "as encoding; got 3"),
        ({"score": float("nan")}, "needs a finite number as score"),
        ({"score": 10**400}, "needs a finite number as score"),
        ({"seed": -1}, "as seed; got -1"),
        ({"versions": {"keras": 3}}, "as versions"),
    ],
    ids=str,
)
def test_a_wrong_value_is_named(change: dict[str, Any], says: str, archive: Path) -> None:
    saved_models.add(archive, ORIGIN)
    with zipfile.ZipFile(archive) as file:
        content = json.loads(file.read(MEMBER)) | change
    other = archive.with_name("other.keras")
    assert says in refusal(put(other, json.dumps(content)))


@pytest.mark.parametrize("key", ["format", "task", "params", "encoding", "input_shape"])
def test_a_missing_value_is_named(key: str, archive: Path) -> None:
    saved_models.add(archive, ORIGIN)
    with zipfile.ZipFile(archive) as file:
        content = json.loads(file.read(MEMBER))
    del content[key]
    assert key in refusal(put(archive.with_name("other.keras"), json.dumps(content)))


def cut(path: Path) -> None:
    saved_models.add(path, ORIGIN)
    path.write_bytes(path.read_bytes()[:-30])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: None, f"no {MEMBER} in it): another program saved it"),
        (Path.unlink, "there is no file"),
        (lambda path: path.write_text("a model"), "is no Keras model, or damaged"),
        (cut, "is no Keras model, or damaged"),
        (lambda path: put(path, "{"), "is no JSON"),
        (lambda path: put(path, "[" * 100_000), "is no JSON"),
        (lambda path: put(path, "[]"), "needs to be an object"),
        (lambda path: put(path, " " * 2**21), "needs 1048576 bytes or fewer; it has 2097152"),
    ],
    ids=["of-another-program", "absent", "no-zip", "cut", "no-json", "deep", "no-object", "large"],
)
def test_a_file_that_is_no_such_model_is_one_line(spoil: Callable[[Path], object], says: str, archive: Path) -> None:
    spoil(archive)
    assert says in refusal(archive)


def test_a_file_of_another_kind_is_told_by_its_name(tmp_path: Path) -> None:
    assert "a model is a file FILE.keras; got" in refusal(tmp_path / "model.h5")


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        saved_models.read(path)
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    return said

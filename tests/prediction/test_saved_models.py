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
        ({"params": ["a"]}, "params needs a mapping; got a list"),
        ({"params": {"units": [1]}}, "params.units needs a number, a text, true or false; got a list"),
        ({"input_shape": [0, 32, 1]}, "input_shape needs the sides of an image"),
        ({"input_shape": "32"}, "input_shape needs a list; got '32'"),
        ({"reference": ""}, "reference needs a text; got ''"),
        ({"encoding": 3}, "encoding needs a text; got 3"),
        ({"score": float("nan")}, "score needs a number; got nan"),
        ({"score": 10**400}, "score needs a number; got 1000"),
        ({"seed": -1}, "seed needs to be 0 or more; got -1"),
        ({"versions": {"keras": 3}}, "versions.keras needs a text; got 3"),
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
        (lambda path: put(path, "{"), "is not JSON"),
        (lambda path: put(path, "[" * 100_000), "is not JSON"),
        (lambda path: put(path, "[]"), "needs a mapping; got a list"),
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

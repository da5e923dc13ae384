"""The origin of a saved model: what it was trained on, and with which label encoding.

It is one more member of the .keras file, which is a zip. Keras ignores it, so the file is still a plain Keras model.
Models in the forms of other programs have the same text (`training/exporting.py`).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from tune_jobs.datasets.dataset import TableColumn
from tune_jobs.decoding import ContentError, decode, decode_json
from tune_jobs.errors import DataError
from tune_jobs.prediction.input_forms import InputForm
from tune_jobs.search_spaces.scalars import Value
from tune_jobs.words import one_line, short

MEMBER = "tune_jobs.json"

_FORMAT = 1
_LARGEST = 2**20  # bytes; what `add` writes has a few thousand
_HOW = "`tune-jobs train best.yaml -o model.keras` saves one"


@dataclass(frozen=True)
class Origin:
    """Where a model is from. `encoding` names the label encoding that `params` ask for; `input_shape` is that of one
    image, (H, W, C), and () where a row is one value or several arrays; `score` is the value of `metric` on the
    validation split."""

    task: str
    reference: str  # where the task is found: its name in the catalogue, or FILE.py:NAME
    task_digest: str
    params: Mapping[str, Value]
    seed: int
    encoding: str
    input_shape: tuple[int, ...]
    dataset: str
    data_digest: str
    metric: str
    direction: Literal["maximize", "minimize"]
    score: float
    versions: Mapping[str, str]  # installed where it was trained
    study: str | None = None  # in which it was found; None in models from before
    classes: tuple[str, ...] = ()  # the names of the labels 0, 1, 2, … where the data set has them
    inputs: tuple[InputForm, ...] = ()  # none in models from before
    columns: tuple[TableColumn, ...] = ()  # that the input is made of, where the data are a table
    images: int | None = None  # that it was trained on, where they were not all
    given_data: str | None = None  # the name of the data set in place of the task's own


def add(path: Path, origin: Origin) -> None:
    """Write the origin into a saved .keras file that has none yet.

    Raises:
        OSError: it cannot be written.
    """
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(MEMBER, text_of(origin))


def text_of(origin: Origin) -> str:
    """Return the origin as the text that a saved model has."""
    return json.dumps({"format": _FORMAT, **asdict(origin)}, indent=1)


def read(path: Path) -> Origin:
    """Read the origin in a .keras file, whoever made it.

    Raises:
        DataError: no such file, no .keras file, one without an origin, of another format, or with a wrong value in it;
            in one line.
    """
    text, place = _text(path), f"{path}: {MEMBER}"
    try:
        origin = _origin(decode_json(dict[str, Any], text, place), place)
    except ContentError as error:
        raise DataError(str(error)) from error
    return origin


def _origin(values: Mapping[str, Any], place: str) -> Origin:
    number = values.get("format")
    if number != _FORMAT or type(number) is not int:
        raise ContentError(f"{place} needs format {_FORMAT}, the one this version reads; got {short(number)}")
    known = {field.name: values[field.name] for field in fields(Origin) if field.name in values}
    origin = decode(Origin, known, place)
    wrong = _what_is_wrong(origin)
    if wrong is not None:
        raise ContentError(f"{place}: {wrong}")
    return origin


def _what_is_wrong(origin: Origin) -> str | None:
    """Return what cannot be, though every value has the right type."""
    for name, value in vars(origin).items():
        if value == "":
            return f"{name} needs a text; got ''"
    if origin.seed < 0:
        return f"seed needs to be 0 or more; got {origin.seed}"
    if origin.input_shape and min(origin.input_shape) < 1:
        return f"input_shape needs the sides of an image; got {origin.input_shape}"
    return None


def _text(path: Path) -> bytes:
    if path.suffix != ".keras":
        raise DataError(f"a model is a file FILE.keras; got {path}. {_HOW}")
    if not path.is_file():
        raise DataError(f"there is no file {path}; {_HOW}")
    try:
        with zipfile.ZipFile(path) as archive:
            return _member(archive, path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except DataError:
        raise
    except Exception as error:  # what `zipfile` raises for a damaged or encrypted one is of many kinds
        raise DataError(f"{path} is no Keras model, or damaged ({one_line(error)}); {_HOW}") from error


def _member(archive: zipfile.ZipFile, path: Path) -> bytes:
    if MEMBER not in archive.namelist():
        raise DataError(
            f"{path} does not say what its outputs mean (no {MEMBER} in it): another program saved it. {_HOW}"
        )
    size = archive.getinfo(MEMBER).file_size
    if size > _LARGEST:
        raise DataError(f"{path}: {MEMBER} needs {_LARGEST} bytes or fewer; it has {size}")
    return archive.read(MEMBER)

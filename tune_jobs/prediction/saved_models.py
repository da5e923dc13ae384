"""What a saved model knows of itself: where it is from, and how its outputs are read.

It is one more member of the .keras file, which is a zip. Keras passes over it: the file stays a plain Keras model.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tune_jobs.errors import DataError
from tune_jobs.plain_yaml import shown
from tune_jobs.search_spaces.scalars import Value

MEMBER = "tune_jobs.json"

_FORMAT = 1
_LARGEST = 2**20  # bytes; what `add` writes has a few thousand
_HOW = "`tune-jobs train best.yaml -o model.keras` saves one"


@dataclass(frozen=True)
class Origin:
    """Where a model is from. `encoding` is the name of the label encoding that `params` ask for; `input_shape` is that
    of one image, (H, W, C); `score` is that of `metric`, on the validation split."""

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
    direction: str
    score: float
    versions: Mapping[str, str]  # installed where it was trained


def add(path: Path, origin: Origin) -> None:
    """Writes the origin into a saved .keras file that has none yet.

    Raises:
        OSError: it cannot be written.
    """
    content = json.dumps({"format": _FORMAT, **asdict(origin)}, indent=1)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(MEMBER, content)


def read(path: Path) -> Origin:
    """The origin in a .keras file, which nobody need have vouched for.

    Raises:
        DataError: no such file, no .keras file, one without an origin, of another format, or with a wrong value in it;
            in one line.
    """
    values = _content(path)
    if values.get("format") != _FORMAT or isinstance(values["format"], bool):
        came = shown(values["format"]) if "format" in values else "none"
        raise DataError(f"{path}: {MEMBER} needs format {_FORMAT}, the one this version reads; got {came}")
    for key, (is_right, needed) in _KEYS.items():
        if key not in values:
            raise DataError(f"{path}: {MEMBER} needs {needed} as {key}, which is missing")
        if not is_right(values[key]):
            raise DataError(f"{path}: {MEMBER} needs {needed} as {key}; got {shown(values[key])}")
    kept = {field.name: values[field.name] for field in fields(Origin)}
    return Origin(**kept | {"input_shape": tuple(values["input_shape"]), "score": float(values["score"])})


def _content(path: Path) -> dict[str, Any]:
    if path.suffix != ".keras":
        raise DataError(f"a model is a file FILE.keras; got {path}. {_HOW}")
    if not path.is_file():
        raise DataError(f"there is no file {path}; {_HOW}")
    try:
        with zipfile.ZipFile(path) as archive:
            text = _member(archive, path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except DataError:
        raise
    except Exception as error:  # what `zipfile` raises for a damaged or encrypted one is of many kinds
        raise DataError(f"{path} is no Keras model, or damaged ({_in_one_line(error)}); {_HOW}") from error
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: {MEMBER} is no JSON ({_in_one_line(error)})") from error
    if not isinstance(values, dict):
        raise DataError(f"{path}: {MEMBER} needs to be an object with keys like task and params; got {shown(values)}")
    return values


def _member(archive: zipfile.ZipFile, path: Path) -> bytes:
    if MEMBER not in archive.namelist():
        raise DataError(
            f"{path} does not say what its outputs mean (no {MEMBER} in it): another program saved it. {_HOW}"
        )
    size = archive.getinfo(MEMBER).file_size
    if size > _LARGEST:
        raise DataError(f"{path}: {MEMBER} needs {_LARGEST} bytes or fewer; it has {size}")
    return archive.read(MEMBER)


def _in_one_line(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _is_params(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(part, Value) for part in value.values())


def _is_shape(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(_is_whole(side) and side > 0 for side in value)


def _is_versions(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(part, str) for part in value.values())


_KEYS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "task": (_is_text, "a task's name"),
    "reference": (_is_text, "a task's name or FILE.py:NAME"),
    "task_digest": (_is_text, "hex digits"),
    "params": (_is_params, "an object of plain values"),
    "seed": (_is_whole, "a whole number of 0 or more"),
    "encoding": (_is_text, "a label encoding's name"),
    "input_shape": (_is_shape, "the sides of an image"),
    "dataset": (_is_text, "a dataset's name"),
    "data_digest": (_is_text, "hex digits"),
    "metric": (_is_text, "a metric's name"),
    "direction": (lambda value: value in ("maximize", "minimize"), "maximize or minimize"),
    "score": (_is_number, "a finite number"),
    "versions": (_is_versions, "an object from packages to versions"),
}

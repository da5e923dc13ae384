"""Where a trained model is saved: as a .keras file that says where it is from, or in the form of another program."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tune_jobs import files
from tune_jobs.errors import SettingsError
from tune_jobs.prediction import keras_files, saved_models
from tune_jobs.prediction.saved_models import Origin
from tune_jobs.search_spaces.task import Task
from tune_jobs.training import exporting
from tune_jobs.words import Say

if TYPE_CHECKING:
    from tune_jobs.models.lazy_keras import keras


def is_keras(path: Path | None) -> bool:
    return path is not None and path.suffix == ".keras"


def check(path: Path | None, task: Task) -> None:
    """Check before training that the model of a task, or the files of its function, can be saved to `path`.

    Raises:
        SettingsError: they cannot.
    """
    if path is None:
        return
    if "artifacts" in task.run_takes:
        _refuse_existing(path, "the files that the function reports")
        return
    form = exporting.form_of(path)
    if form is None and not is_keras(path):
        raise SettingsError(
            f"a model is saved as FILE.keras, FILE.onnx, FILE.tflite or, as a SavedModel, in a new folder; got {path}"
        )
    if task.trains_itself:
        raise SettingsError(
            f"task {task.name!r} has {task.own_code}, which leaves no model to save to {path}: "
            "leave -o out, and let it save its model itself"
        )
    if form is not None:
        exporting.check(form)
    if path.suffix == "":
        _refuse_existing(path, "the SavedModel")


def _refuse_existing(path: Path, what: str) -> None:
    if path.exists():
        raise SettingsError(f"{path} is there already: name another folder for {what}")


def save(model: keras.Model, path: Path, origin: Origin, inputs: Any, say: Say) -> None:
    """Write a model, whole or not at all. Other forms than .keras are compared with the model on `inputs`, a batch.

    Raises:
        UserError: it cannot be written, or what was written has other outputs.
    """
    files.make_parent(path)
    form = exporting.form_of(path)
    if form is not None:
        note = saved_models.MEMBER, saved_models.text_of(origin)
        export = partial(exporting.export, form=form, inputs=inputs, note=note)
        difference = _export(keras_files.bare(model), path, export)
        say(f"{form.title} saved to {path}: on real inputs its outputs are those of the model, within {difference:.1g}")
        return
    with files.replacement(path, suffix=".keras") as part:
        keras_files.bare(model).save(part)
        saved_models.add(part, origin)
    say(f"model saved to {path}")


def _export(model: keras.Model, path: Path, export: Callable[[keras.Model, Path], float]) -> float:
    """Write a model to a file or a new folder, whole or not at all; return what `export` returns."""
    if path.suffix:
        with files.replacement(path, suffix=path.suffix) as part:
            return export(model, part)
    part = path.with_name(f".{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        difference = export(model, part)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return difference

"""A saved model with its task, opened by a file that may come from anybody."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tune_jobs.errors import DataError
from tune_jobs.prediction import keras_files, saved_models
from tune_jobs.prediction.saved_models import Origin
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.protocol import TaskError
from tune_jobs.search_spaces.scalars import SpaceError
from tune_jobs.search_spaces.task import Task
from tune_jobs.training import tensorflow_start
from tune_jobs.words import one_line

if TYPE_CHECKING:
    from tune_jobs.models.label_encodings import LabelEncoding
    from tune_jobs.models.lazy_keras import keras

_LARGEST_SIDE = 4096  # pixels; no task here comes near it


class SavedModel:
    """A saved model, its origin, its task and its label encoding.

    Keras is imported, and the model loaded, when it is first used. `reference` says where the model's task is, if that
    is not where the model was trained, and `also` what goes with its file.

    Raises:
        DataError: the file is not a model with an origin, or its task is missing or has changed.
    """

    def __init__(self, path: Path, reference: str | None = None, also: Sequence[Path] = ()) -> None:
        self.path, self.origin = path, saved_models.read(path)
        self.task, self.encoding = _task_with_encoding(path, self.origin, reference or self.origin.reference, also)

    @cached_property
    def image_shape(self) -> tuple[int, int, int]:
        """The shape of the images that the model reads, (H, W, C). Raises DataError: it reads none."""
        return _shape(self.path, self.origin)

    @cached_property
    def model(self) -> keras.Model:
        """The model, loaded in Keras' safe mode, which runs no code from the file: its own layers are the task's."""
        _prepare_devices()
        try:
            return keras_files.load(self.path, self.task)
        except Exception as error:  # a damaged or crafted file makes Keras raise almost anything
            raise DataError(f"Keras cannot load {self.path}: {keras_files.first_words(error)}") from error


def _shape(path: Path, origin: Origin) -> tuple[int, int, int]:
    if not is_of_images(origin):
        raise DataError(f"{path} takes inputs of {origin.input_shape}; image files need (height, width, 1 or 3)")
    height, width, channels = origin.input_shape
    return height, width, channels


def is_of_images(origin: Origin) -> bool:
    """Return True if image files can be made inputs of a model."""
    shape, kinds = origin.input_shape, {form.kind for form in origin.inputs}
    is_shaped = len(shape) == 3 and shape[2] in (1, 3) and max(shape) <= _LARGEST_SIDE
    return is_shaped and kinds <= {"uint8"}  # models from before say nothing of kinds


def class_name(label: Any, classes: Sequence[str]) -> str | None:
    """Return the name of a class; None for a label that is no number of a named one."""
    number = np.ravel(label)[0]
    is_named = np.size(label) == 1 and isinstance(number, np.integer) and 0 <= number < len(classes)
    return classes[int(number)] if is_named else None


def _task_with_encoding(path: Path, origin: Origin, reference: str, also: Sequence[Path]) -> tuple[Task, LabelEncoding]:
    """Return the task that the model was trained for, and its label encoding.

    Raises:
        DataError: its task is missing, cannot be used, or has another encoding now.
    """
    file, _ = catalog.split(reference)
    if file is not None and not file.is_file():
        raise DataError(
            f"{path} was trained for a task in {file}, which is missing: say where it is now with --task FILE.py:NAME"
        )
    try:
        with tensorflow_start.prepared(len(os.sched_getaffinity(0))):
            task = catalog.find_said(reference, str(path), also)
            encoding = task.encoding_of(origin.params)
    except (TaskError, SpaceError, ValueError, TypeError) as error:
        raise DataError(f"{path} was trained for {reference}, which cannot be used: {one_line(error)}") from error
    if encoding.name != origin.encoding:
        raise DataError(
            f"{path} was trained with the label encoding {origin.encoding}, and {reference} now has "
            f"{encoding.name}: train it again"
        )
    return task, encoding


def _prepare_devices() -> None:
    """Let TensorFlow use every core, and a GPU's memory as needed; in a process that has imported it, do nothing."""
    if "tensorflow" not in sys.modules:
        tensorflow_start.start(len(os.sched_getaffinity(0)))

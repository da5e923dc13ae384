"""Read files with a saved model, wherever the file of its task is now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from tune_jobs.actions.moved import find_place
from tune_jobs.datasets.image_files import PictureError
from tune_jobs.errors import UserError
from tune_jobs.prediction import input_forms, saved_models
from tune_jobs.prediction.opened_models import is_of_images
from tune_jobs.prediction.reader import Reader, Reading
from tune_jobs.prediction.row_reader import RowReader, RowReading
from tune_jobs.prediction.saved_models import Origin
from tune_jobs.settings import Settings

Outcome = Reading | RowReading | UserError


def open_reader(model: Path, settings: Settings, task: str | None = None) -> Reader:
    """Return the reader of image files of a saved model. `task` says where its task is, if that is not where it was.

    Raises:
        DataError: as `Reader`.
    """
    return Reader(model, *_place(model, settings, task))


def readings(
    model: Path, files: Sequence[Path], settings: Settings, task: str | None = None
) -> Iterator[tuple[Path, Outcome]]:
    """Yield each file with what a saved model reads from it: one reading of an image, one for each row of others; or
    with the error of a file that cannot be read.

    Raises:
        DataError: the model cannot be used, or it reads no such files.
    """
    readers = _Readers(model, settings, task)
    for file in files:
        try:
            if readers.has_rows(file):
                yield from ((file, reading) for reading in readers.of_rows.read(file))
            else:
                yield file, readers.of_images.read(file)
        except (PictureError, input_forms.RowsError) as error:
            yield file, error


class _Readers:
    """The readers of one model, each opened when a file needs it."""

    def __init__(self, model: Path, settings: Settings, task: str | None) -> None:
        self._model, self._settings, self._task = model, settings, task

    def has_rows(self, file: Path) -> bool:
        """Return True for a file of rows; a model of images reads no texts."""
        suffix = file.suffix.lower()
        return suffix in input_forms.SUFFIXES and not (suffix == ".txt" and is_of_images(self._origin))

    @cached_property
    def _origin(self) -> Origin:
        return saved_models.read(self._model)

    @cached_property
    def of_images(self) -> Reader:
        return open_reader(self._model, self._settings, self._task)

    @cached_property
    def of_rows(self) -> RowReader:
        return RowReader(self._model, *_place(self._model, self._settings, self._task))


def _place(model: Path, settings: Settings, task: str | None) -> tuple[str, Sequence[Path]]:
    if task is not None:
        return task, ()
    origin = saved_models.read(model)
    return find_place(origin.reference, origin.study, origin.task, origin.data_digest, settings)

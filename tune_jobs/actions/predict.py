"""Read image files with a saved model, wherever the file of its task is now."""

from __future__ import annotations

from pathlib import Path

from tune_jobs.actions.moved import find_place
from tune_jobs.prediction import saved_models
from tune_jobs.prediction.reader import Reader
from tune_jobs.settings import Settings


def open_reader(model: Path, settings: Settings, task: str | None = None) -> Reader:
    """Return the reader of a saved model. `task` says where its task is, if that is not where it was.

    Raises:
        DataError: as `Reader`.
    """
    if task is not None:
        return Reader(model, task)
    origin = saved_models.read(model)
    return Reader(model, *find_place(origin.reference, origin.study, origin.task, origin.data_digest, settings))

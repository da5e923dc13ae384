"""Weights of finished trials, kept in the home folder when asked for, so that an evaluation need not train again.

A file is named after the study's identity and the trial's number; whatever is wrong with one, the answer is that none
was kept. Nothing but arrays of numbers is read.
"""

from __future__ import annotations

import io
import os
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tune_jobs.models.lazy_keras import keras

Weights = list[NDArray[Any]]


def packed(model: keras.Model) -> bytes:
    """A model's weights as the content of a file, for whoever keeps it: its worker may be on another machine."""
    content = io.BytesIO()
    np.savez(content, *model.get_weights())
    return content.getvalue()


def keep(content: bytes, folder: Path, number: int) -> None:
    """Writes a trial's weights, whole or not at all: a disk that is full costs the weights and not the trial."""
    part = folder / f".{number:04d}.{os.getpid()}.npz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(_file(folder, number))
    except OSError:
        with suppress(OSError):
            part.unlink()


def load(folder: Path, number: int) -> Weights | None:
    """The weights that were kept of a trial, in the order of the model; None where there are none that can be read."""
    try:
        with _file(folder, number).open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return [kept[name] for name in kept.files]
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:04d}.npz"

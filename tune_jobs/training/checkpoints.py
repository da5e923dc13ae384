"""A trial in the middle of its training, as a file. An interrupted trial goes on from it, to the score that it would
have had undisturbed.

The files lie with the study's driver, and are deleted when their trial has ended and no other begins from them. A file
that is damaged counts as missing: the trial begins anew. Only arrays and JSON are read.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tune_jobs import files
from tune_jobs.decoding import decode_json
from tune_jobs.records.trial_pictures import EpochPictures
from tune_jobs.records.trials import Metrics

Arrays = tuple[NDArray[Any], ...]

_HEADER = "told"  # its name among the arrays


@dataclass(frozen=True)
class _Header:
    """What is not an array."""

    best_epoch: int | None  # None where no epoch was scored yet
    history: tuple[Metrics, ...]
    seconds: float
    progress: tuple[EpochPictures, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """A trial after an epoch: all variables of model and optimizer, its best epoch's weights, its history."""

    variables: Arrays
    best_weights: Arrays
    best_epoch: int | None  # None where no epoch was scored yet
    history: tuple[Metrics, ...]
    seconds: float  # trained so far
    progress: tuple[EpochPictures, ...] = ()  # pictures after some of the epochs

    @property
    def epoch(self) -> int:
        return len(self.history)

    def to_bytes(self) -> bytes:
        header = json.dumps(asdict(_Header(self.best_epoch, self.history, self.seconds, self.progress)))
        arrays = {f"v{number}": array for number, array in enumerate(self.variables)}
        arrays |= {f"b{number}": array for number, array in enumerate(self.best_weights)}
        content = io.BytesIO()
        np.savez(content, **arrays | {_HEADER: np.frombuffer(header.encode(), np.uint8)})  # type: ignore[arg-type]
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Checkpoint | None:
        """Return the checkpoint that `to_bytes` wrote; None for anything else."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                header = decode_json(_Header, arrays[_HEADER].tobytes(), "the header")
                return cls(_numbered(arrays, "v"), _numbered(arrays, "b"), **vars(header))
        except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile):
            return None


def _numbered(arrays: Mapping[str, Any], kind: str) -> Arrays:
    return tuple(arrays[f"{kind}{number}"] for number in range(sum(name.startswith(kind) for name in arrays)))


def key(number: int, epoch: int | None = None) -> str:
    """Return the name of a trial's last checkpoint; with an epoch, of the one it had then, from which other trials may
    begin."""
    return f"{number:04d}" if epoch is None else f"{number:04d}-{epoch:04d}"


class CheckpointFolder:
    """The checkpoints of a study's trials."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def has_any(self) -> bool:
        return any(self._folder.glob("*.npz"))

    def has(self, name: str) -> bool:
        return self._file(name).exists()

    def save(self, name: str, content: bytes) -> None:
        """Replace the checkpoint of that name; the new one is on the disk when this returns.

        Raises:
            UserError: it cannot be written.
        """
        files.make_folder(self._folder)
        files.write_bytes(self._file(name), content)

    def load(self, name: str) -> bytes | None:
        try:
            return self._file(name).read_bytes()
        except OSError:
            return None

    def drop(self, name: str) -> None:
        self._file(name).unlink(missing_ok=True)

    def drop_all_at(self, epoch: int) -> None:
        """Delete the checkpoints that members of a population had after this epoch."""
        for file in self._folder.glob(f"*-{epoch:04d}.npz"):
            file.unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.npz"

"""A trial in the middle of its training, as a file: with it an interrupted trial goes on to the very score that it
would have had undisturbed.

Files lie with the study's driver, and are gone when their trial has ended and nobody begins from them. Whatever is
wrong with one, the answer is that there is none, and the trial begins anew. Nothing but arrays and JSON is read.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = tuple[NDArray[Any], ...]


@dataclass(frozen=True)
class Checkpoint:
    """What a trial is after an epoch: all variables of model and optimizer, its best epoch's weights, its history."""

    variables: Arrays
    best_weights: Arrays
    best_epoch: int
    history: tuple[Mapping[str, float], ...]
    seconds: float  # trained so far

    @property
    def epoch(self) -> int:
        return len(self.history)

    def to_bytes(self) -> bytes:
        told = {"best_epoch": self.best_epoch, "history": list(map(dict, self.history)), "seconds": self.seconds}
        arrays = {f"v{at}": array for at, array in enumerate(self.variables)}
        arrays |= {f"b{at}": array for at, array in enumerate(self.best_weights)}
        content = io.BytesIO()
        np.savez(content, told=np.frombuffer(json.dumps(told).encode(), np.uint8), **arrays)  # type: ignore[arg-type]
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Checkpoint | None:
        """None for what is no checkpoint."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                told = json.loads(arrays["told"].tobytes())
                return cls(
                    variables=_numbered(arrays, "v"),
                    best_weights=_numbered(arrays, "b"),
                    best_epoch=int(told["best_epoch"]),
                    history=tuple(told["history"]),
                    seconds=float(told["seconds"]),
                )
        except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile):
            return None


def _numbered(arrays: Mapping[str, Any], kind: str) -> Arrays:
    return tuple(arrays[f"{kind}{at}"] for at in range(sum(name.startswith(kind) for name in arrays)))


def key(number: int, epoch: int | None = None) -> str:
    """The name of a trial's checkpoint; with an epoch, of the one it had there, which others may begin from."""
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
        """Replaces the checkpoint of that name, whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f".{name}.{os.getpid()}.part"
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._file(name))

    def load(self, name: str) -> bytes | None:
        try:
            return self._file(name).read_bytes()
        except OSError:
            return None

    def drop(self, name: str) -> None:
        self._file(name).unlink(missing_ok=True)

    def drop_all_at(self, epoch: int) -> None:
        """Those that members of a population had after this epoch."""
        for file in self._folder.glob(f"*-{epoch:04d}.npz"):
            file.unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.npz"

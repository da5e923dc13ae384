"""Actors beside the driver that keep files for workers on any machine: checkpoints, weights and what trials report."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tune_jobs import files
from tune_jobs.errors import UserError
from tune_jobs.training import folders, weights
from tune_jobs.training.checkpoints import CheckpointFolder

if TYPE_CHECKING:
    from tune_jobs.models.lazy_keras import keras


_MOST_BYTES = 2**30  # of a trial's files, which pass through memory


class _CheckpointActor:
    def __init__(self, folder: Path) -> None:
        self._checkpoints = CheckpointFolder(folder)

    def save(self, name: str, content: bytes) -> None:
        self._checkpoints.save(name, content)

    def load(self, name: str) -> bytes | None:
        return self._checkpoints.load(name)


class _WeightsActor:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, content: bytes, number: int) -> None:
        weights.keep(content, self._folder, number)


@dataclass(frozen=True)
class WeightsKeeper:
    """Keeps the weights of trials in a folder on the driver's machine; where workers run on others, by an actor there.

    If the user has not asked for weights, those of complete trials are kept, up to `weights.MOST_BYTES` each.
    """

    folder: Path
    is_asked: bool
    actor: Any = None

    def save(self, model: keras.Model, number: int, state: str) -> None:
        """Keep a trial's weights; they are on disk when this returns. An error costs the weights and not the trial."""
        if not self.is_asked and (state != "complete" or weights.size(model) > weights.MOST_BYTES):
            return
        content = weights.packed(model)
        if self.actor is None:
            weights.keep(content, self.folder, number)
            return
        with suppress(ray.exceptions.RayError):
            ray.get(self.actor.keep.remote(content, number))


class _FilesActor:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, content: bytes, number: int) -> None:
        with suppress(OSError, BadZipFile):  # a disk that is full costs the files and not the trial
            folders.put(content, self._folder / f"{number:04d}")

    def refuse(self, why: str, number: int) -> None:
        folder = self._folder / f"{number:04d}"
        with suppress(OSError, UserError):
            files.make_folder(folder)
            files.write(folder / "NOT_KEPT.txt", f"{why}\n", durable=False)


@dataclass(frozen=True)
class FilesKeeper:
    """Sends the files that a trial reports from its worker to the driver's machine."""

    actor: Any

    def save(self, folder: Path, number: int) -> None:
        """Keep a trial's files; they are on disk when this returns. An error costs the files and not the trial.

        Files of more than a GiB are not kept. A note in their place says so.
        """
        with suppress(ray.exceptions.RayError):
            if (bytes_in_all := folders.size(folder)) > _MOST_BYTES:
                why = f"the files come to {bytes_in_all:,} bytes, and a trial may report {_MOST_BYTES:,}"
                ray.get(self.actor.refuse.remote(why, number))
            elif bytes_in_all:
                ray.get(self.actor.keep.remote(folders.packed(folder), number))


def start_files(folder: Path) -> FilesKeeper:
    """Start a keeper of what trials report in `folder`. It ends with the connection to Ray."""
    return FilesKeeper(_beside_driver(_FilesActor, folder))


def start_checkpoints(folder: Path) -> Any:
    """Start the actor that keeps the checkpoints in `folder`. It ends with the connection to Ray."""
    return _beside_driver(_CheckpointActor, folder)


def start_weights(folder: Path, *, is_asked: bool) -> WeightsKeeper:
    """Start a keeper of weights in `folder`. It ends with the connection to Ray."""
    is_alone = sum(node["Alive"] for node in ray.nodes()) == 1
    return WeightsKeeper(folder, is_asked, None if is_alone else _beside_driver(_WeightsActor, folder))


def _beside_driver(kind: type, folder: Path) -> Any:
    """Start an actor on the driver's machine, whose disk has the study's home.

    A keeper that is killed, as by a machine that runs out of memory, is started again and asked again: it holds nothing
    but the name of its folder, and to keep a file twice is to keep it once.
    """
    own_node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    placed = ray.remote(kind).options(num_cpus=0, scheduling_strategy=own_node, max_restarts=-1, max_task_retries=-1)
    return placed.remote(folder)

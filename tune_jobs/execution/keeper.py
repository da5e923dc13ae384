"""Checkpoints from and for workers on any machine: an actor beside the driver, where the study's home is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tune_jobs.checkpoints import CheckpointFolder


class _Keeper:
    def __init__(self, folder: Path) -> None:
        self._checkpoints = CheckpointFolder(folder)

    def save(self, name: str, content: bytes) -> None:
        self._checkpoints.save(name, content)

    def load(self, name: str) -> bytes | None:
        return self._checkpoints.load(name)


def start(folder: Path) -> Any:
    """A keeper of the checkpoints in `folder`, on the driver's machine; ends with the connection to Ray."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(_Keeper).options(num_cpus=0, scheduling_strategy=here).remote(folder)

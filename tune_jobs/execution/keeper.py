"""What workers on any machine keep in the study's home, checkpoints and weights: actors beside the driver."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tune_jobs.training import weights
from tune_jobs.training.checkpoints import CheckpointFolder

if TYPE_CHECKING:
    from tune_jobs.models.lazy_keras import keras


class _Keeper:
    def __init__(self, folder: Path) -> None:
        self._checkpoints = CheckpointFolder(folder)

    def save(self, name: str, content: bytes) -> None:
        self._checkpoints.save(name, content)

    def load(self, name: str) -> bytes | None:
        return self._checkpoints.load(name)


class _WeightsKeeper:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, content: bytes, number: int) -> None:
        weights.keep(content, self._folder, number)


@dataclass(frozen=True)
class KeptWeights:
    """Where a worker hands in the weights of a trial."""

    _actor: Any

    def save(self, model: keras.Model, number: int) -> None:
        """The weights are there when this returns; what goes wrong costs the weights and not the trial."""
        with suppress(ray.exceptions.RayError):
            ray.get(self._actor.keep.remote(weights.packed(model), number))


def start(folder: Path) -> Any:
    """A keeper of the checkpoints in `folder`, on the driver's machine; ends with the connection to Ray."""
    return _beside_driver(_Keeper, folder)


def start_weights(folder: Path) -> KeptWeights:
    """A keeper of weights in `folder`, on the driver's machine; ends with the connection to Ray."""
    return KeptWeights(_beside_driver(_WeightsKeeper, folder))


def _beside_driver(kind: type, folder: Path) -> Any:
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(kind).options(num_cpus=0, scheduling_strategy=here).remote(folder)

"""What the driver and its workers say to each other, in plain values: a turn to a worker, reports back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from tune_jobs.execution.packing import Usage
from tune_jobs.execution.rules import CodeError
from tune_jobs.records.trials import Metrics, TrialResult
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.training.devices import DeviceFigures


@dataclass(frozen=True)
class Assignment:
    """A trial's turn on a worker: after each of `milestones`, epochs counted from one, the worker asks whether to go
    on; `fresh` is a turn for a worker that has run no trial yet.

    A turn begins from the checkpoint `start`, where there is one; from that of another trial it `copies` weights and
    history and has its best epoch still before it. It ends after epoch `until` with a checkpoint. `cpus` and `gpus` are
    what the worker holds meanwhile.
    """

    params: Params
    seed: int
    number: int
    milestones: tuple[int, ...] = ()
    fresh: bool = False
    start: str | None = None
    copies: bool = False
    until: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0

    @property
    def resources(self) -> dict[str, float]:
        """What the worker holds, in Ray's words."""
        return {"CPU": self.cpus} | ({"GPU": self.gpus} if self.gpus else {})

    def to_config(self) -> dict[str, Any]:
        """As Tune hands it on: it looks into whatever is no plain value."""
        return {"turn": json.dumps(asdict(self))}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Assignment:
        said = json.loads(config["turn"])
        return cls(**{**said, "milestones": tuple(said["milestones"])})


@dataclass(frozen=True)
class Place:
    """Where a worker is: a node, by Ray's id, its name and its address, and the GPUs there that it was given."""

    node: str
    name: str
    address: str
    gpus: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}, GPU {', '.join(self.gpus)}" if self.gpus else self.name


@dataclass(frozen=True)
class StepReport:
    """What a step brought: the epochs since the last one, and the trial's result once there is one.

    A worker first says at which `place` it is and whether it `is_ready` to train there, so that the driver may still
    have it leave; one that left before it ever trained `is_parked`. At a milestone `so_far` is what the trial comes to
    if it is stopped there. `refusal` is why this worker can train no trial of the task at all.
    """

    epochs: tuple[tuple[int, Metrics], ...] = ()
    result: TrialResult | None = None
    so_far: TrialResult | None = None
    error: CodeError | None = None
    refusal: str | None = None
    is_paused: bool = False  # the turn is over, and the trial goes on another time
    place: Place | None = None
    is_ready: bool = False
    is_parked: bool = False
    figures: tuple[DeviceFigures, ...] = field(default=())  # of the devices at that place, now and then
    usage: Usage | None = None  # what the trial took of its device, with its result

    def to_result(self) -> dict[str, Any]:
        """One string, because Tune keeps statistics of every number it sees in a result."""
        return {"report": json.dumps(asdict(self)), "done": self.is_last}

    @property
    def is_last(self) -> bool:
        """Whether the worker has nothing more to bring."""
        return self.result is not None or self.refusal is not None or self.is_paused

    @classmethod
    def from_result(cls, result: dict[str, Any]) -> StepReport:
        said = json.loads(result["report"])
        place = said["place"]
        return cls(
            epochs=tuple((epoch, metrics) for epoch, metrics in said["epochs"]),
            result=_result(said["result"]),
            so_far=_result(said["so_far"]),
            error=None if said["error"] is None else CodeError(**said["error"]),
            refusal=said["refusal"],
            is_paused=said["is_paused"],
            place=None if place is None else Place(**{**place, "gpus": tuple(place["gpus"])}),
            is_ready=said["is_ready"],
            is_parked=said["is_parked"],
            figures=tuple(DeviceFigures(**figures) for figures in said["figures"]),
            usage=None if said["usage"] is None else Usage(**said["usage"]),
        )


def _result(said: dict[str, Any] | None) -> TrialResult | None:
    return None if said is None else TrialResult(**{**said, "history": tuple(said["history"])})

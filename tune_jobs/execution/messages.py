"""Messages between the driver and its workers: an assignment to a worker, reports back.

Each travels as one JSON string: Tune looks into what is no plain value, and keeps statistics of every number that it
sees in a result.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from tune_jobs.decoding import decode_json
from tune_jobs.execution.packing import Usage
from tune_jobs.execution.rules import CodeError
from tune_jobs.records.trials import Metrics, Spent, TrialResult
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.training.devices import DeviceFigures

_REPORTS = 50  # a second, of all workers together: about half of what one driver takes
_LEAST_S = 0.5  # between two reports of a worker


def seconds_between_reports(n_workers: int) -> float:
    """Return how long each of so many workers trains before it reports.

    It waits for the driver's answer then, so that reports that come faster than they are taken hold up the training.
    """
    return max(_LEAST_S, n_workers / _REPORTS)


@dataclass(frozen=True)
class Assignment:
    """A trial, or a part of its epochs, for a worker to train.

    After each of `milestones`, epochs counted from one, the worker asks whether to go on. So it does after it has
    trained on as many images as each of `rungs` says, before it trains on all. The training begins from the
    checkpoint `start`, where there is one; from that of another trial it `copies` weights and history and has its best
    epoch still before it. It ends after epoch `until` with a checkpoint. `fresh` asks for a worker that has run no
    trial yet. `cpus` and `gpus` are what the worker holds meanwhile.
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
    rungs: tuple[int, ...] = ()

    @property
    def resources(self) -> dict[str, float]:
        """What the worker holds, as Ray names it."""
        return {"CPU": self.cpus} | ({"GPU": self.gpus} if self.gpus else {})

    def to_config(self) -> dict[str, Any]:
        return {"assignment": json.dumps(asdict(self))}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Assignment:
        return decode_json(cls, config["assignment"], "an assignment")


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

    A worker first reports its `place` and whether it `is_ready` to train there, so that the driver may still have it
    leave; one that left before it ever trained `is_parked`. At a milestone `so_far` is the trial's result if it is
    stopped there. `refusal` is why this worker can train no trial of the task at all.
    """

    epochs: tuple[tuple[int, Metrics], ...] = ()
    result: TrialResult | None = None
    so_far: TrialResult | None = None
    error: CodeError | None = None
    refusal: str | None = None
    is_paused: bool = False  # the assignment is over, and the trial goes on another time
    place: Place | None = None
    is_ready: bool = False
    is_parked: bool = False
    figures: tuple[DeviceFigures, ...] = ()  # of the devices at that place, now and then
    usage: Usage | None = None  # what the trial took of its device, with its result
    spent: Spent | None = None  # in this assignment so far

    @property
    def is_last(self) -> bool:
        """True if the worker has nothing more to bring."""
        return self.result is not None or self.refusal is not None or self.is_paused

    def to_result(self) -> dict[str, Any]:
        return {"report": json.dumps(asdict(self)), "done": self.is_last}

    @classmethod
    def from_result(cls, result: dict[str, Any]) -> StepReport:
        return decode_json(cls, result["report"], "a worker's report", finite=False)

"""What a driver reports about its trials while it runs: where each runs, why each waits, and how busy its devices are.

Commands in another shell read it from a small file beside the study, which is written every few seconds and means
nothing once the driver has ended. What lasts is in the study.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tune_jobs import files
from tune_jobs.decoding import ContentError, decode_json
from tune_jobs.errors import UserError

NO_FREE_SLOT = "no free slot"  # how the most usual reason of a waiting trial begins


@dataclass(frozen=True)
class Node:
    """A machine of the cluster, with its number of GPUs; `identity` is Ray's id."""

    identity: str
    name: str
    address: str
    gpus: int

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that a user may give it."""
        return (self.name, self.address, self.identity, self.identity[:8])


@dataclass(frozen=True)
class Device:
    """A GPU of a node, or a node that has none: its trials and, where it can be read, its load."""

    node: str  # its name
    gpu: str | None  # its index there
    trials: tuple[int, ...] = ()
    is_drained: bool = False
    memory_used_mb: float | None = None
    memory_total_mb: float | None = None
    utilisation: float | None = None  # the share of time in which it is busy


@dataclass(frozen=True)
class Activity:
    """A snapshot of a sweep."""

    waiting: Mapping[int, str] = field(default_factory=dict)  # the reasons, by the numbers of waiting trials
    packing: str = ""  # how many trials share a device, and why
    nodes: tuple[Node, ...] = ()
    devices: tuple[Device, ...] = ()
    queue: str = ""  # what a job waits for that has not had its turn
    images: Mapping[int, int] = field(default_factory=dict)  # how many a trial in a rung of images has, by its number

    def place(self, trial: int) -> str | None:
        """Return where a trial runs, in words; None if it does not run."""
        devices = [device for device in self.devices if trial in device.trials]
        if not devices:
            return None
        gpus = [device.gpu for device in devices if device.gpu is not None]
        return f"{devices[0].node}, GPU {', '.join(gpus)}" if gpus else devices[0].node


@dataclass(frozen=True)
class _Report:
    """The content of the file; `pid` is the driver's process id."""

    pid: int
    activity: Activity


def write(path: Path, activity: Activity) -> None:
    """Replace the last report. A disk that is full is no reason to end a sweep."""
    with suppress(UserError):
        files.write(path, json.dumps(asdict(_Report(os.getpid(), activity))), durable=False, mode=0o600)


def read(path: Path, pid: int) -> Activity:
    """Return the last report of the driver with this process id; an empty one where there is none."""
    try:
        report = decode_json(_Report, path.read_bytes(), "the activity")
    except (OSError, ContentError):
        return Activity()
    return report.activity if report.pid == pid else Activity()

"""What a driver tells of its trials while it runs, for those who ask from another shell: where each runs, why each
waits, and what its devices do.

It is a small file beside the study, written anew now and then and worth nothing once the driver has ended; what lasts
is in the study.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

NO_FREE_SLOT = "no free slot"  # how the most usual reason of a waiting trial begins


@dataclass(frozen=True)
class Node:
    """A machine of the cluster: by Ray's id, under a name of its own, with so many GPUs."""

    identity: str
    name: str
    address: str
    gpus: int

    @property
    def names(self) -> tuple[str, ...]:
        """All that it may be called by."""
        return (self.name, self.address, self.identity, self.identity[:8])


@dataclass(frozen=True)
class Device:
    """A GPU of a node, or all of a node that has none: the trials on it and, where it can be read, its load."""

    node: str  # its name
    gpu: str | None
    trials: tuple[int, ...] = ()
    is_drained: bool = False
    memory_used_mb: float | None = None
    memory_total_mb: float | None = None
    utilisation: float | None = None  # share of its time


@dataclass(frozen=True)
class Activity:
    """The sweep at a moment."""

    waiting: Mapping[int, str] = field(default_factory=dict)  # why each trial that is to run does not yet
    packing: str = ""  # how many trials share a device, and why
    nodes: tuple[Node, ...] = ()
    devices: tuple[Device, ...] = ()

    def place(self, trial: int) -> str | None:
        """Where a trial runs, in words."""
        found = [device for device in self.devices if trial in device.trials]
        if not found:
            return None
        gpus = [device.gpu for device in found if device.gpu is not None]
        return f"{found[0].node}, GPU {', '.join(gpus)}" if gpus else found[0].node


def write(path: Path, activity: Activity) -> None:
    """Replaces what was told before. A disk that does not take it is no reason to end a sweep."""
    part = path.with_name(f".{path.name}.part")
    said = asdict(activity) | {"pid": os.getpid(), "waiting": list(activity.waiting.items())}
    with suppress(OSError):
        part.write_text(json.dumps(said), encoding="utf-8")
        part.replace(path)


def read(path: Path, pid: int) -> Activity:
    """What the driver with this process id told last; nothing where it told nothing."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["pid"] != pid:
            return Activity()
        return Activity(
            {int(number): str(why) for number, why in told["waiting"]},
            str(told["packing"]),
            tuple(Node(**node) for node in told["nodes"]),
            tuple(Device(**{**device, "trials": tuple(device["trials"])}) for device in told["devices"]),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return Activity()

"""How many trials share a device: measured on the first trials of a sweep, fewer once memory runs out.

A device is a GPU. Where trials get no GPU, it is as many CPUs as one trial was to have. Knows nothing of Ray.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import mean

from tune_jobs.training.devices import DeviceFigures
from tune_jobs.words import counted

PROBES = 3  # trials that are measured before any of them share a device
_MEMORY_MARGIN = 1.25  # on the memory of the largest measured trial: later ones may be larger
_LOAD_LIMIT = 1.1  # of a device's time: trials wait for their data now and then
_MOST_PER_DEVICE = 16  # however small trials are: each worker has a context and programs of its own on the device


@dataclass(frozen=True)
class Slots:
    """What one trial asks for, and how many trials fit at once."""

    cpus: float
    gpus: float
    count: int
    submitted: int  # trials that Ray is given: one more, to start at once in a free slot, unless the user set a limit

    def __str__(self) -> str:
        size = counted(self.cpus, "CPU")
        return size + (f" and {counted(self.gpus, 'GPU')}" if self.gpus else "")


@dataclass(frozen=True)
class Usage:
    """What a trial took of its device, as shares of the whole: the peak of memory, and the mean of its time."""

    memory: float
    load: float

    def __str__(self) -> str:
        return f"{self.memory:.0%} of the memory and {self.load:.0%} of the time"


class Gauge:
    """Measures a trial on its device."""

    def __init__(self) -> None:
        self._memory: list[float] = []
        self._load: list[float] = []

    def record(self, figures: Iterable[DeviceFigures], own_memory_mb: float | None = None) -> None:
        """Take a reading of the devices.

        `own_memory_mb` is the most that this process has taken of one device, where known. It tells the trial from
        others on the same device.
        """
        for reading in figures:
            used_mb = reading.memory_used_mb if own_memory_mb is None else own_memory_mb
            if reading.memory_total_mb > 0:
                self._memory.append(used_mb / reading.memory_total_mb)
                self._load.append(reading.utilisation)

    @property
    def usage(self) -> Usage | None:
        """What was measured; None if nothing could be read."""
        return Usage(max(self._memory), mean(self._load)) if self._memory else None


def trials_per_device(usages: Iterable[Usage], sharing: int = 1) -> int:
    """Return how many trials like these one device can run at once, if `sharing` devices have one memory in common."""
    measured = tuple(usages)
    memory = max(usage.memory for usage in measured) * _MEMORY_MARGIN * sharing
    load = mean(usage.load for usage in measured)
    by_memory = math.floor(1 / memory) if memory > 0 else _MOST_PER_DEVICE
    by_load = math.floor(_LOAD_LIMIT / load) if load > 0 else _MOST_PER_DEVICE
    return max(1, min(by_memory, by_load, _MOST_PER_DEVICE))


def device_share(n: int) -> float:
    """Return each trial's share of a device that runs `n`: rounded down to four decimals, as Ray counts."""
    return math.floor(10_000 / n) / 10_000


class Packing:
    """The slots of a sweep, which change when trials were measured or ran out of memory.

    `fit(n)` returns the slots with `n` trials on each device; `sharing` is as in `trials_per_device`. With `measures`
    each of the first `PROBES` trials has a device to itself, and the later ones share as those showed to fit.
    """

    def __init__(
        self, fit: Callable[[int], Slots], per_device: int = 1, *, measures: bool = False, sharing: int = 1
    ) -> None:
        self._fit, self._sharing, self._is_measuring = fit, sharing, measures
        self._usages: list[Usage] = []
        self._why = ""
        self.per_device = per_device
        self.slots = fit(per_device)
        self.max_slots = fit(_MOST_PER_DEVICE).count if measures else self.slots.count  # that there may ever be

    @classmethod
    def fixed(cls, slots: Slots) -> Packing:
        """Return a packing whose slots never change."""
        return cls(lambda _: slots)

    def record_usage(self, usage: Usage | None) -> None:
        """Take what a trial used that had a device to itself; None if it could not be read. Pack after the last one."""
        if not self._is_measuring:
            return
        if usage is None:
            self._is_measuring, self._why = False, "usage cannot be measured here"
            return
        self._usages.append(usage)
        if len(self._usages) < PROBES:
            return
        self._is_measuring = False
        peak = Usage(max(usage.memory for usage in self._usages), max(usage.load for usage in self._usages))
        self._why = f"{PROBES} measured trials took up to {peak}"
        self._pack(self._fewest_with_same_count(trials_per_device(self._usages, self._sharing)))

    def make_room(self, cpus: float, gpus: float) -> bool:
        """Let fewer trials share a device, after one ran out of memory in a slot of this size.

        Return True if the slots are larger now than that one, so that the trial may run again.
        """
        if (cpus, gpus) != (self.slots.cpus, self.slots.gpus):
            return gpus < self.slots.gpus or cpus < self.slots.cpus
        if self.per_device == 1:
            return False
        n_others = self.per_device - 1
        self._is_measuring = False
        self._pack(self.per_device // 2)
        self._why = f"a trial ran out of memory beside {counted(n_others, 'other')}"
        return True

    def _fewest_with_same_count(self, per_device: int) -> int:
        """Return the fewest trials per device that run as many at once: CPUs may allow for fewer than the device."""
        count = self._fit(per_device).count
        return next(n for n in range(1, per_device + 1) if self._fit(n).count >= count)

    def _pack(self, per_device: int) -> None:
        self.per_device, self.slots = per_device, self._fit(per_device)

    def __str__(self) -> str:
        kind = "GPU" if self.slots.gpus else "CPU"
        if self._is_measuring:
            return f"measuring: {len(self._usages)} of {PROBES} trials, each alone on its {kind}"
        if not self._why:
            return f"{self.slots.count} at once, {self.slots} each"
        trials = "1 trial" if self.per_device == 1 else f"{self.per_device} trials"
        return f"{trials} per {kind}, {self.slots.count} at once: {self._why}"

"""How many trials share a device, as a sweep goes: measured on its first trials, fewer where memory runs out.

A device is a GPU; where trials get none, it is so many CPUs as one of them was to have. Knows nothing of Ray.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import mean

from tune_jobs.training.devices import DeviceFigures

PROBES = 3  # trials that are measured before any share a device
_MARGIN = 1.25  # on the memory of the largest trial that was measured: those to come may be larger
_FULL = 1.1  # of a device's time may be asked for: trials wait for their data now and then
_MOST = 16  # trials on a device, however small they are: each worker has its own context and programs there


@dataclass(frozen=True)
class Slots:
    """What one trial asks for, and how many trials fit at once."""

    cpus: float
    gpus: float
    count: int
    held: int  # how many trials Ray is given: one in waiting, so that no slot waits, where resources hold it back

    def __str__(self) -> str:
        size = f"{self.cpus:g} CPU{'s' if self.cpus != 1 else ''}"
        return size + (f" and {self.gpus:g} GPU{'s' if self.gpus != 1 else ''}" if self.gpus else "")


@dataclass(frozen=True)
class Usage:
    """What a trial took of its device: its peak of memory and its mean load, both as shares of the whole."""

    memory: float
    load: float

    def __str__(self) -> str:
        return f"{self.memory:.0%} of the memory, {self.load:.0%} busy"


class Gauge:
    """Follows a trial on its device."""

    def __init__(self) -> None:
        self._memory: list[float] = []
        self._load: list[float] = []

    def take(self, figures: Iterable[DeviceFigures], own_memory_mb: float | None = None) -> None:
        """The devices as they are now; `own_memory_mb` is what this process has taken of one at most, where that is
        known: it tells a trial from those beside it."""
        for one in figures:
            used = one.memory_used_mb if own_memory_mb is None else own_memory_mb
            if one.memory_total_mb > 0:
                self._memory.append(used / one.memory_total_mb)
                self._load.append(one.utilisation)

    @property
    def usage(self) -> Usage | None:
        """None where nothing could be read."""
        return Usage(max(self._memory), mean(self._load)) if self._memory else None


def trials_at_once(usages: Iterable[Usage], sharing: int = 1) -> int:
    """How many trials like these one device takes at once; `sharing` devices have their memory in common."""
    taken = tuple(usages)
    memory, load = max(one.memory for one in taken) * _MARGIN * sharing, mean(one.load for one in taken)
    by_memory = math.floor(1 / memory) if memory > 0 else _MOST
    by_load = math.floor(_FULL / load) if load > 0 else _MOST
    return max(1, min(by_memory, by_load, _MOST))


def share(n: int) -> float:
    """A device's part for each of `n` trials, in the fourth decimal that Ray counts in, so that they fit."""
    return math.floor(10_000 / n) / 10_000


class Packing:
    """The slots of a sweep. `fit(n)` gives those with `n` trials a device, `sharing` as `trials_at_once` has it.

    With `measures` the first `PROBES` trials have a device each; the others as many a device as they showed to fit.
    """

    def __init__(
        self, fit: Callable[[int], Slots], a_device: int = 1, *, measures: bool = False, sharing: int = 1
    ) -> None:
        self._fit, self._sharing, self._is_measuring = fit, sharing, measures
        self._usages: list[Usage] = []
        self._why = ""
        self.a_device = a_device
        self.slots = fit(a_device)
        self.most = fit(_MOST).count if measures else self.slots.count  # slots there may ever be

    @classmethod
    def fixed(cls, slots: Slots) -> Packing:
        """Of slots that stay as they are."""
        return cls(lambda _: slots)

    def measured(self, usage: Usage | None) -> None:
        """Takes what a trial came to that had a device to itself; None where that could not be read."""
        if not self._is_measuring:
            return
        self._usages += [] if usage is None else [usage]
        if usage is None:
            self._is_measuring, self._why = False, "nothing could be measured"
        elif len(self._usages) >= PROBES:
            self._is_measuring = False
            self._why = f"{PROBES} trials took {self._most_taken}"
            self._pack(self._needed(trials_at_once(self._usages, self._sharing)))

    def ran_out(self, cpus: float, gpus: float) -> bool:
        """A trial ran out of memory on so much: whether fewer share a device from now on than did there."""
        if (cpus, gpus) != (self.slots.cpus, self.slots.gpus):
            return gpus < self.slots.gpus or cpus < self.slots.cpus
        if self.a_device == 1:
            return False
        before = self.a_device
        self._is_measuring = False
        self._pack(before // 2)
        self._why = f"a trial ran out of memory beside {before - 1} other{'s' if before > 2 else ''}"
        return True

    def _needed(self, a_device: int) -> int:
        """No smaller shares than it takes to run as many at once: CPUs may allow for fewer than a device."""
        count = self._fit(a_device).count
        return next(n for n in range(1, a_device + 1) if self._fit(n).count >= count)

    def _pack(self, a_device: int) -> None:
        self.a_device, self.slots = a_device, self._fit(a_device)

    @property
    def _most_taken(self) -> Usage:
        return Usage(max(one.memory for one in self._usages), max(one.load for one in self._usages))

    def __str__(self) -> str:
        kind = "GPU" if self.slots.gpus else "CPU"
        if self._is_measuring:
            return f"measuring: {len(self._usages)} of {PROBES} trials, each alone on its {kind}"
        if not self._why:
            return f"{self.slots.count} at once, of {self.slots} each"
        words = "one trial" if self.a_device == 1 else f"{self.a_device} trials"
        return f"{words} a {kind}, {self.slots.count} at once: {self._why}"

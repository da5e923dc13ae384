"""What a trial takes of its worker's CPUs and GPUs, for the accounts (docs/usage.md)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from statistics import mean

from tune_jobs.records.trials import Spent
from tune_jobs.training.devices import DeviceFigures


class Meter:
    """Measures an assignment from now on, which holds so many CPUs and GPUs.

    Processor time is that of this process, all its threads, and of processes that it started and that have ended. Of a
    GPU that several trials share, a trial is counted its share of the energy, and the load of the whole.
    """

    def __init__(
        self,
        cpus: float,
        gpus: float,
        monotonic: Callable[[], float] = time.monotonic,
        processor: Callable[[], float] = lambda: sum(os.times()[:4]),
    ) -> None:
        self._cpus, self._gpus, self._monotonic, self._processor = cpus, gpus, monotonic, processor
        self._began, self._processor_before = monotonic(), processor()
        self._loads: list[float] = []
        self._joules: dict[str, tuple[float, float]] = {}  # the first reading and the last, by devices

    def record(self, figures: Iterable[DeviceFigures]) -> None:
        """Take a reading of the devices. The first one should be at the start: energy is what was used since."""
        for reading in figures:
            self._loads.append(reading.utilisation)
            if reading.joules is not None:
                first, _ = self._joules.get(reading.index, (reading.joules, 0.0))
                self._joules[reading.index] = first, reading.joules

    @property
    def spent(self) -> Spent:
        """What was taken so far."""
        seconds = self._monotonic() - self._began
        return Spent(
            cpu_held=seconds * self._cpus,
            gpu_held=seconds * self._gpus,
            cpu_used=max(0.0, self._processor() - self._processor_before),
            gpu_used=self._gpu_used(seconds),
            joules=self._energy(),
        )

    def _gpu_used(self, seconds: float) -> float | None:
        """Return the time in which the GPUs were busy. One that is never busy is one that does not report it."""
        return mean(self._loads) * seconds * self._gpus if self._gpus and any(self._loads) else None

    def _energy(self) -> float | None:
        if not (self._gpus and self._joules):
            return None
        return min(1.0, self._gpus) * sum(max(0.0, last - first) for first, last in self._joules.values())

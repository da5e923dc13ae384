"""When a worker makes room for a fresh one: after many trials, or once what they leave behind has grown.

What counts is what is resident between two trials. The peak inside of one says nothing: a large network may need it,
and a slow leak stays below it for long.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

from tune_jobs.training import devices, malloc

_TRIALS = 200  # Keras keeps a little of each model it traced
_GROWTH_MB = 2048  # since after the first trial
_GROWTH_SHARE = 0.1  # of the machine's memory, where that is less: a small machine has not as much to lose


class Wear:
    """What this process has become since its first trial.

    `resident_mb` tells what it holds, `machine_mb` what it could; 0 is not known.
    """

    def __init__(
        self,
        resident_mb: Callable[[], float] = devices.resident_mb,
        machine_mb: Callable[[], float] = devices.host_memory_mb,
    ) -> None:
        self._resident_mb = resident_mb
        self._machine_mb = machine_mb
        self._trials = 0
        self._first_mb = self._now_mb = 0.0

    def trial_ended(self) -> None:
        """To be called between two trials, when nothing holds the last one any more: it is freed and looked at."""
        free()
        self._trials += 1
        self._now_mb = self._resident_mb()
        if self._trials == 1:
            self._first_mb = self._now_mb
            gc.freeze()  # what a process keeps of its imports is looked through once, and not after every trial

    @property
    def is_worn_out(self) -> bool:
        most_mb = min(_GROWTH_MB, _GROWTH_SHARE * (self._machine_mb() or float("inf")))
        return self._trials >= _TRIALS or self._now_mb - self._first_mb > most_mb


def free() -> None:
    """Gives back what the last trial of this process left behind, whatever it trained with."""
    if "tensorflow" in sys.modules:  # it is not imported for this, and a task's own loop may well have done so
        from tune_jobs.training import compiled

        compiled.free()
    else:
        gc.collect()
        malloc.give_back()

"""When a worker makes room for a fresh one: after many trials, or once its memory has grown.

Only the memory held between two trials counts. The peak within a trial says nothing: a large network may need it, and a
slow leak stays below it for long.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

from tune_jobs.training import devices, malloc

_MAX_TRIALS = 200  # Keras keeps a little of each model that it traced
_MAX_GROWTH_MB = 2048  # since the end of the first trial
_MAX_GROWTH_SHARE = 0.1  # of the machine's memory, if that is less


class Wear:
    """What this process has accumulated since its first trial.

    `resident_mb` returns the memory that it holds and `machine_mb` the machine's, in MB; 0 means unknown.
    """

    def __init__(
        self,
        resident_mb: Callable[[], float] = devices.resident_mb,
        machine_mb: Callable[[], float] = devices.host_memory_mb,
    ) -> None:
        self._resident_mb = resident_mb
        self._machine_mb = machine_mb
        self._n_trials = 0
        self._first_mb = self._current_mb = 0.0

    def trial_ended(self) -> None:
        """Free what the last trial left and measure the rest. Call this once nothing refers to that trial."""
        free_trial_memory()
        self._n_trials += 1
        self._current_mb = self._resident_mb()
        if self._n_trials == 1:
            self._first_mb = self._current_mb
            gc.freeze()  # later collections skip all that imports left behind

    @property
    def is_worn_out(self) -> bool:
        """True if this process should run no further trial."""
        max_growth_mb = min(_MAX_GROWTH_MB, _MAX_GROWTH_SHARE * (self._machine_mb() or float("inf")))
        return self._n_trials >= _MAX_TRIALS or self._current_mb - self._first_mb > max_growth_mb


def free_trial_memory() -> None:
    """Give back to the system what the last trial of this process left, whatever it trained with."""
    if "tensorflow" in sys.modules:  # not imported just for this; a task's own training loop may use something else
        from tune_jobs.training import tensorflow_process

        tensorflow_process.release_memory()
    else:
        gc.collect()
        malloc.give_back()

"""When a trial saves a checkpoint: as often as it is told or, if it is not told, as often as costs next to nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PAUSE_S = 5.0  # at least, between two checkpoints of a trial that is not told how often
_SHARE = 20  # so many times as long as the last checkpoint took


class SaveTimes:
    """The checkpoints of one trial, which has just begun: after `every` epochs; with None, now and then if `at_all`."""

    def __init__(self, every: int | None, *, at_all: bool, now: Callable[[], float] = time.monotonic) -> None:
        self._every, self._at_all, self._now = every, at_all, now
        self._due = now() + _PAUSE_S

    def is_due(self, epoch: int) -> bool:
        """Return True if there has to be a checkpoint after this epoch, counted from one."""
        if self._every is not None:
            return epoch % self._every == 0
        return self._at_all and self._now() >= self._due

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Measure how long a checkpoint takes, which is saved in the block."""
        began = self._now()
        yield
        took = self._now() - began
        self._due = began + took + max(_PAUSE_S, _SHARE * took)

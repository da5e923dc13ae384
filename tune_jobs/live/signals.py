"""Ctrl-C and SIGTERM: once ends a sweep cleanly with what is finished, twice ends the process at once.

`DRAIN` is gentler: what runs goes on to its end, and nothing more begins. `tune-jobs stop` sends it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

DRAIN = signal.SIGUSR2  # the first of the two is taken by Ray Tune


@dataclass
class Interruption:
    """Set by a signal; whoever works looks here between two steps."""

    signal: int | None = None  # that ends the work
    is_draining: bool = False  # nothing more is to begin

    @property
    def is_set(self) -> bool:
        return self.signal is not None


@contextmanager
def interruptible(say: Callable[[str], None]) -> Iterator[Interruption]:
    """An `Interruption` that SIGINT, SIGTERM and `DRAIN` set while the block runs. The second of the first two does not
    come back: Ray's own processes end with ours."""
    interruption = Interruption()

    def interrupted(number: int, frame: FrameType | None) -> None:
        if interruption.is_set:
            os._exit(128 + number)
        interruption.signal = number
        if not sys.stderr.isatty():  # on a terminal the view says it
            say("ending: what is finished is kept, the rest runs next time (once more to end at once)")

    def drained(number: int, frame: FrameType | None) -> None:
        interruption.is_draining = True
        if not sys.stderr.isatty():
            say("draining: the trials that run go on to their end, no other begins (Ctrl-C ends at once)")

    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    before[DRAIN] = signal.signal(DRAIN, drained)
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""How signals stop a sweep. Ctrl-C or SIGTERM stops it and keeps finished trials; a second one ends the process.

`DRAIN`, which `tune-jobs stop` sends, lets running trials finish and starts no other.
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

DRAIN = signal.SIGUSR2  # Ray Tune uses SIGUSR1
STOPPING = "Stopping: finished trials are kept, the rest run next time (press Ctrl-C again to quit now)"
DRAINING = "Draining: running trials finish, no other starts (press Ctrl-C to stop now)"


@dataclass
class Interruption:
    """What signals have asked for. The work looks here between two steps."""

    signal: int | None = None  # the one that stops the work
    is_draining: bool = False  # no other trial may start

    @property
    def is_set(self) -> bool:
        return self.signal is not None


@contextmanager
def interruptible(say: Callable[[str], None]) -> Iterator[Interruption]:
    """Let SIGINT, SIGTERM and `DRAIN` set an `Interruption` for the block, and tell the user.

    A second SIGINT or SIGTERM ends this process, and Ray's processes with it. Outside of the main thread, where Python
    sets no handlers, nothing is ever set.
    """
    interruption = Interruption()

    def stop(number: int, frame: FrameType | None) -> None:
        if interruption.is_set:
            os._exit(128 + number)
        interruption.signal = number
        if not sys.stderr.isatty():  # on a terminal the live view shows it
            say(STOPPING)

    def drain(number: int, frame: FrameType | None) -> None:
        interruption.is_draining = True
        if not sys.stderr.isatty():
            say(DRAINING)

    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    before[DRAIN] = signal.signal(DRAIN, drain)
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

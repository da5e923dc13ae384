"""Tell the user how far the reading, drawing or downloading of a data set is."""

from __future__ import annotations

import threading
import time

from tune_jobs.words import Say

_EVERY_S = 5.0  # between two messages; what takes less than the first of them says nothing


class Progress:
    """Counts what is done, in any number of threads, and says so every few seconds: `reading x: 200 of 1,000 images`.

    `total` is None where nobody knows it.
    """

    def __init__(self, say: Say, what: str, total: int | None, unit: str, *, every_s: float = _EVERY_S) -> None:
        self._say, self._what, self._unit, self._every_s = say, what, unit, every_s
        self.total = total
        self._done, self._last = 0, time.monotonic()
        self._lock = threading.Lock()

    def add(self, n: int) -> None:
        """Count `n` more."""
        with self._lock:
            self._done += n
            now = time.monotonic()
            if now - self._last < self._every_s:
                return
            self._last = now
            of = "" if self.total is None else f" of {self.total:,}"
            done = self._done if self.total is None else min(self._done, self.total)
            self._say(f"{self._what}: {done:,}{of} {self._unit}")


def silent(message: str) -> None:
    """Show the message to nobody."""

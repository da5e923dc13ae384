"""When the C library gives freed memory back to the machine: with glibc at the end of a trial, not in its middle.

On other systems these functions do nothing, which costs nothing but memory.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # glibc's numbers for them, in malloc.h


def keep_freed() -> None:
    """Keep freed memory in the process, to be used again.

    By default the library gives tensors of 32 MB and more back at once, and the system zeroes pages that it hands out
    anew: scoring a small CNN took 1.6 times as long.
    """
    libc = _glibc()
    if libc is not None:
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, -1)


def give_back() -> None:
    """Give back all memory that is free now."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> Any | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None

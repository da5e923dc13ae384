"""How much memory this machine has, before data that would need more are read."""

from __future__ import annotations

import os


def total() -> int:
    """Return its bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

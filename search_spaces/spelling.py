"""Suggestions for a misspelt name, at the end of an error message."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near(name: str, known: Iterable[str], *, most: int = 3) -> str:
    """Return `; near it: a, b`, or nothing if no known name resembles this one."""
    # with 0.7, `fashion-mlp` suggests `fashion-mnist-mlp` and not `fashion-mnist-cnn`
    names = difflib.get_close_matches(name, list(known), n=most, cutoff=0.7)
    return f"; near it: {', '.join(names)}" if names else ""

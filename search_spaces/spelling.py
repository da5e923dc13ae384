"""What a misspelt name was perhaps meant to be: the tail of an error message."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near(name: str, known: Iterable[str]) -> str:
    """`; near it: a, b`, or nothing when no known name resembles this one."""
    # 0.7 keeps `fashion-mnist-mlp` for `fashion-mlp`, and leaves `fashion-mnist-cnn` out
    names = difflib.get_close_matches(name, list(known), n=3, cutoff=0.7)
    return f"; near it: {', '.join(names)}" if names else ""

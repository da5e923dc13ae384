"""The import names that a file beside a task cannot take: those of the standard library and of our requirements.

A file `keras.py` beside a task would otherwise be imported by TensorFlow too. Any other installed module gives way to a
file of the same name beside the task, as it does in `python task.py`.
"""

from __future__ import annotations

import functools
import re
import sys
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path

DISTRIBUTION = "tune-jobs"
PACKAGE = "tune_jobs"


def is_reserved(name: str, folder: Path) -> bool:
    """Return True if a top-level module of the folder cannot have this name, because ours needs the installed one."""
    if name in sys.stdlib_module_names or name == PACKAGE:
        return True
    spec = PathFinder.find_spec(name)
    if spec is None or (spec.origin is not None and Path(spec.origin).is_relative_to(folder)):
        return False
    required = _required_modules()
    return name in required or (not required and spec.origin is not None)


@functools.cache
def _required_modules() -> frozenset[str]:
    """Return the top-level modules of all distributions that ours requires; none if ours is not installed."""
    required = _requirements()
    owners = metadata.packages_distributions()
    return frozenset(name for name, owning in owners.items() if required & set(map(_normal, owning)))


def _requirements() -> set[str]:
    """Return the distributions that ours requires, directly or not, with ours. Of the others no extras count."""
    required: set[str] = set()
    waiting = [DISTRIBUTION]
    while waiting:
        name = _normal(waiting.pop())
        if name in required:
            continue
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        required.add(name)
        waiting += [
            re.split(r"[^\w.-]", line, maxsplit=1)[0]
            for line in lines
            if name == DISTRIBUTION or "extra ==" not in line
        ]
    return required


def _normal(distribution: str) -> str:
    """Return a distribution's name in its normal form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()

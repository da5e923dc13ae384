"""What is installed, and the import names that a file beside a task cannot take: those of the standard library and of
our requirements.

A file `keras.py` beside a task would otherwise be imported by TensorFlow too. Any other installed module gives way to a
file of the same name beside the task, as it does in `python task.py`.
"""

from __future__ import annotations

import functools
import os
import re
import site
import sys
import sysconfig
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

DISTRIBUTION = "tune-jobs"
PACKAGE = "tune_jobs"
_FOLDERS = [
    *(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    *(Path(folder).resolve() for folder in (*site.getsitepackages(), site.getusersitepackages())),
]


def is_installed(module: ModuleType) -> bool:
    """Return True for a module of Python, of a package or of ours; False for one that a user wrote beside a task."""
    if module.__name__ in ("__main__", "__mp_main__"):
        return False
    file = getattr(module, "__file__", None)
    if module.__name__.partition(".")[0] == PACKAGE or not isinstance(file, str):
        return True
    return _is_of_installed(os.path.dirname(file))  # noqa: PTH120 (asked of thousands of modules)


@functools.cache
def _is_of_installed(folder: str) -> bool:
    """Return True for a folder of installed modules, from wherever an installer links the files in it."""
    place = Path(folder).resolve()
    return any(place.is_relative_to(installed) for installed in _FOLDERS)


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

"""What a function is called, to people and in a task's digest, however its file was imported."""

from __future__ import annotations

import functools
import inspect
import sys
from pathlib import Path
from typing import Any

from tune_jobs.search_spaces.installed import is_installed

TASK_MODULE = "task_file_"  # begins the name of the module that a task's file is imported as


def name(function: Any) -> str:
    """Return `build` for a function of the user's own, wherever it stands, and `mlp.build` for one of a package.

    An object that loads data may have another name for them, `data_name`.
    """
    if isinstance(own := getattr(function, "data_name", None), str):
        return own
    function = _named(function)
    module = sys.modules.get(function.__module__)
    own_name = str(function.__qualname__).rpartition("<locals>.")[2]
    return own_name if module is None or not is_installed(module) else qualified(function)


def qualified(function: Any) -> str:
    """Return `mlp.build`: the names of the file and of the function."""
    function = _named(function)
    return f"{_file_stem(function)}.{function.__qualname__}"


def earlier_name(function: Any, file_stem: str | None) -> str:
    """Return `own.build` for a function of a task's file that was called `own.py`, and `mlp.build` for any other."""
    function = _named(function)
    is_in_task_file = function.__module__.rpartition(".")[2].startswith(TASK_MODULE)
    return f"{file_stem}.{function.__qualname__}" if file_stem and is_in_task_file else qualified(function)


def _named(function: Any) -> Any:
    """Return what gives a callable its name: a function, or the type of an object."""
    while isinstance(function, functools.partial):
        function = function.func
    return function if hasattr(function, "__qualname__") else type(function)


def _file_stem(function: Any) -> str:
    """Return the name of the file that defines a function. In a notebook it is `__main__`: a cell's file changes."""
    module = sys.modules.get(function.__module__)
    if getattr(module, "__file__", None) is None:
        return str(function.__module__)
    return Path(inspect.getfile(function)).stem

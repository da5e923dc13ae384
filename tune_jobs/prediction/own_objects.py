"""The layers, functions and other parts of a network that a task's own files define, by the names in a saved model."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from tune_jobs.search_spaces.task import Task


def own_objects(task: Task) -> dict[str, Any]:
    """Return what Keras needs to read a model of the task, for its argument `custom_objects`.

    These are the functions, and the classes that Keras can make from a configuration, of the task's file and of the
    modules beside it. What these import from elsewhere is not among them: a model's file may come from anybody.
    """
    modules = _modules(task)
    names = {module.__name__ for module in modules}
    defined = (value for module in modules for value in vars(module).values() if _is_part(value))
    return {value.__name__: value for value in defined if value.__module__ in names}


def _modules(task: Task) -> list[ModuleType]:
    """Return the modules of the task's builder and encoding, and those beside them that they use."""
    found: list[ModuleType] = []
    of_outputs = dict(getattr(task.encoding, "encodings", ())).values()  # where there are several
    parts = (task.build, task.encoding, task.loss, task.metrics, *of_outputs)
    waiting = [module for part in parts if (module := _home(part)) is not None]
    while waiting:
        module = waiting.pop()
        if module in found or module.__name__.partition(".")[0] == "tune_jobs":
            continue
        found.append(module)
        waiting += [other for other in _used(module) if _lies_beside(other, module)]
    return found


def _home(part: Any) -> ModuleType | None:
    """Return the module that defines a function, a class, or the class of a value."""
    while isinstance(part, functools.partial):
        part = part.func
    return sys.modules.get(str(getattr(part, "__module__", None)))


def _used(module: ModuleType) -> Iterator[ModuleType]:
    for value in list(vars(module).values()):
        home = value if isinstance(value, ModuleType) else _home(value) if _is_part(value) else None
        if home is not None:
            yield home


def _lies_beside(module: ModuleType, other: ModuleType) -> bool:
    """Return True if a module lies in the folder of another, or below it, and is not installed there."""
    files = getattr(module, "__file__", None), getattr(other, "__file__", None)
    if files[0] is None or files[1] is None:
        return False
    file, folder = Path(files[0]).resolve(), Path(files[1]).resolve().parent
    return file.is_relative_to(folder) and "site-packages" not in file.parts


def _is_part(value: Any) -> bool:
    """Return True for a function, and for a class that is made from a configuration, as each of Keras' classes is."""
    return inspect.isfunction(value) or (inspect.isclass(value) and hasattr(value, "from_config"))

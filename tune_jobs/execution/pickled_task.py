"""A task made in Python on its way to workers, where neither the notebook nor the script exists.

It travels by value: functions and classes of `__main__`, and of every module that is not installed, are pickled with
their code. What is installed travels by name.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from ray import cloudpickle

from tune_jobs.environment import prepare_tensorflow
from tune_jobs.search_spaces.installed import is_installed
from tune_jobs.search_spaces.protocol import TaskError
from tune_jobs.search_spaces.task import Task
from tune_jobs.words import one_line


def pickle_task(task: Task) -> bytes:
    """Return the task as bytes that a worker with the same Python and packages turns back into it.

    Raises:
        TaskError: the task holds something that cannot be pickled.
    """
    try:
        with _by_value(_own_modules()):
            content: bytes = cloudpickle.dumps(task)
    except Exception as error:
        raise TaskError(
            f"task {task.name!r} cannot be sent to workers ({one_line(error)}): "
            "its functions must not refer to open files, locks or devices; make these inside the functions"
        ) from error
    return content


def unpickle_task(content: bytes) -> Task:
    """Return the task on a worker.

    Raises:
        TaskError: a module that the task needs is not installed here.
    """
    prepare_tensorflow()  # before the task imports Keras
    try:
        task: Task = cloudpickle.loads(content)
    except Exception as error:
        raise TaskError(f"the task cannot be made on this worker ({one_line(error)})") from error
    return task


def _own_modules() -> list[ModuleType]:
    """Return the loaded modules that are not installed: those beside the script or the notebook."""
    return [module for module in list(sys.modules.values()) if isinstance(module, ModuleType) and _is_own(module)]


def _is_own(module: ModuleType) -> bool:
    return module.__name__ not in ("__main__", "__mp_main__") and not is_installed(module)


@contextmanager
def _by_value(modules: list[ModuleType]) -> Iterator[None]:
    """Pickle what these modules define with its code, inside the block."""
    registered: list[ModuleType] = []
    before = cloudpickle.list_registry_pickle_by_value()
    try:
        for module in modules:
            if module.__name__ not in before and sys.modules.get(module.__name__) is module:
                cloudpickle.register_pickle_by_value(module)
                registered.append(module)
        yield
    finally:
        for module in registered:
            cloudpickle.unregister_pickle_by_value(module)

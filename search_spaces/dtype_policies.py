"""The dtype policy that a task's file sets when it is imported: it becomes the precision of the task's protocol.

Keras forgets its policy whenever its session is cleared, as it is before each trial. A study keeps its protocol.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType

from tune_jobs.search_spaces.protocol import PRECISIONS, TaskError
from tune_jobs.search_spaces.task import Task

_NOTE = "__dtype_policy__"  # in a module that set a policy
_DEFAULT = "float32"


@contextmanager
def noted(module: ModuleType) -> Iterator[None]:
    """Note in a module which policy it sets in the block, while it is imported."""
    before = _policy()
    yield
    if _policy() != before:
        setattr(module, _NOTE, _policy())


def taken_over(task: Task, module: ModuleType, file: str) -> Task:
    """Return the task of a module with the policy that this has set; one with a loop of its own sees to that itself.

    Raises:
        TaskError: there is no such precision.
    """
    policy = getattr(module, _NOTE, None)
    if policy is None or task.build is None:
        return task
    sys.modules["keras"].config.set_dtype_policy(_DEFAULT)
    if policy not in PRECISIONS:
        raise TaskError(f"{file} sets Keras' dtype policy {policy!r}; a task computes in {' or '.join(PRECISIONS)}")
    if task.protocol.precision != _DEFAULT:
        return task
    return replace(task, protocol=replace(task.protocol, precision=policy))


def _policy() -> str:
    """Return the name of Keras' policy in this process; where nobody set one, it is not the user's."""
    config = getattr(sys.modules.get("keras"), "config", None)
    name = _DEFAULT if config is None else str(config.dtype_policy().name)
    return _DEFAULT if config is None or name == config.floatx() else name

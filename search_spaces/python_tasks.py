"""Tasks made in Python, in a notebook or a script, and the references under which this process finds them again.

A study of such a task records `python:NAME`. Another process does not know the task until it is passed there again.
"""

from __future__ import annotations

from tune_jobs.search_spaces.protocol import TaskError
from tune_jobs.search_spaces.task import Task

_PREFIX = "python:"
_known: dict[str, Task] = {}  # by reference; a task that is made again takes the place of the earlier one


def is_made_in_python(reference: str) -> bool:
    return reference.startswith(_PREFIX)


def remember(task: Task) -> str:
    """Return the reference under which `recall` finds the task from now on."""
    reference = f"{_PREFIX}{task.name}"
    _known[reference] = task
    return reference


def recall(reference: str, subject: str) -> Task:
    """Return the task of a reference; `subject` is what names it, such as `study 'own'`.

    Raises:
        TaskError: this process does not know the task.
    """
    if reference in _known:
        return _known[reference]
    name = reference.removeprefix(_PREFIX)
    raise TaskError(
        f"{subject} comes from a task made in Python, {name!r}: pass it, "
        "as in tune_jobs.open(STUDY).extend(10, task=TASK)"
    )

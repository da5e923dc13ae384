"""Params of one task as a point of another task's space."""

from __future__ import annotations

from tune_jobs.search_spaces.narrowing import open_all
from tune_jobs.search_spaces.one_factor import OneFactor
from tune_jobs.search_spaces.scalars import Params, Scalar, SpaceError, Value
from tune_jobs.search_spaces.task import Task


def transfer_params(task: Task, params: Params, whose: str) -> dict[str, Value]:
    """Return params as a point of a task's space with every Fixed parameter opened. The baseline fills what they lack.

    `whose` names the params in messages.

    Raises:
        SpaceError: the params do not belong to the space.
    """
    space = open_all(task.space)
    if isinstance(space, OneFactor):
        space.check(params)
        return dict(params)
    unknown = [name for name in params if name not in space.names()]
    if unknown:
        raise SpaceError(f"{whose} does not belong to task {task.name!r}: it has no parameter {', '.join(unknown)}")

    def choose(name: str, domain: Scalar, under: str) -> Value:
        if name not in params and name not in task.baseline:
            raise SpaceError(f"{whose} does not belong to task {task.name!r}: {name} is missing ({domain.words()})")
        value = params[name] if name in params else task.baseline[name]
        wrong = domain.why_not(value)
        if wrong:
            raise SpaceError(f"{whose} does not belong to task {task.name!r}: {name} {wrong}")
        return value

    moved = space.walk(choose)
    idle = [name for name in params if name not in moved]
    if idle:
        raise SpaceError(f"{whose} does not belong to task {task.name!r}: nothing there takes {', '.join(idle)}")
    return moved

"""Params of one task, or of a person, as a point of a task's space."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tune_jobs.models.plain_values import plain
from tune_jobs.search_spaces.narrowing import open_all
from tune_jobs.search_spaces.one_factor import AnySpace, OneFactor
from tune_jobs.search_spaces.scalars import Choice, Params, Scalar, SpaceError, Value
from tune_jobs.search_spaces.space import Space, options, scalar
from tune_jobs.search_spaces.task import Task
from tune_jobs.search_spaces.values import meant, meant_option


def transfer_params(task: Task, params: Params, whose: str) -> dict[str, Value]:
    """Return params as a point of a task's space with every Fixed parameter opened. The baseline fills what they lack.

    `whose` names the params in messages.

    Raises:
        SpaceError: the params do not belong to the space.
    """
    space = open_all(task.space)
    if isinstance(space, OneFactor):
        params = meant_params(space, params)
        space.check(params)
        return params
    unknown = [name for name in params if name not in space.names()]
    if unknown:
        raise SpaceError(
            f"{whose} does not belong to task {task.name!r}: it has no parameter {', '.join(map(str, unknown))}"
        )

    def choose(name: str, domain: Scalar, under: str) -> Value:
        if name not in params and name not in task.baseline:
            raise SpaceError(f"{whose} does not belong to task {task.name!r}: {name} is missing ({domain.words()})")
        value: Value = meant(domain, params[name] if name in params else task.baseline[name])
        wrong = domain.why_not(value)
        if wrong:
            raise SpaceError(f"{whose} does not belong to task {task.name!r}: {name} {wrong}")
        return value

    moved = space.walk(choose)
    idle = [name for name in params if name not in moved]
    if idle:
        raise SpaceError(f"{whose} does not belong to task {task.name!r}: nothing there takes {', '.join(idle)}")
    return moved


def meant_params(space: AnySpace, params: Params) -> dict[str, Value]:
    """Return params with the values that a person means by them; what does not belong to the space stays as it is."""
    if isinstance(space, OneFactor):
        known = _meant_levels(space, params)
    else:
        known = {name: value for name, _, value in _active(space, params)}
    return {name: known.get(name, plain(value)) for name, value in params.items()}


def check_kinds(space: AnySpace, params: Params, whose: str) -> None:
    """Refuse a value of another kind than its domain's, such as a text for a number.

    Raises:
        SpaceError: with the parameter and what it needs.
    """
    for name, domain, value in () if isinstance(space, OneFactor) else _active(space, params):
        kinds = map(_kind, domain.options) if isinstance(domain, Choice) else ("number",)
        if _kind(value) not in kinds:
            raise SpaceError(f"{whose}: {name} {domain.why_not(value)}")


def _active(space: Space, params: Params) -> Iterator[tuple[str, Scalar, Any]]:
    """Yield each parameter that is given and active, with its domain and the value that is meant."""
    for name, domain in space.domains:
        if name in params:
            value = meant(scalar(domain), params[name])
            yield name, scalar(domain), value
            for option, inside in options(domain):
                if option == value:
                    yield from _active(inside, params)


def _meant_levels(space: OneFactor, params: Params) -> dict[str, Value]:
    points = space.points().values()
    values = {name: [*dict.fromkeys(point[name] for point in points if name in point)] for name in params}
    return {name: meant_option(known, params[name]) for name, known in values.items()}


def _kind(value: object) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "number" if is_number else type(value).__name__

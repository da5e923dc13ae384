"""Params that were chosen in another space, as a point of this one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from tune_jobs.search_spaces.declarations import is_known
from tune_jobs.search_spaces.moving import meant_params
from tune_jobs.search_spaces.one_factor import AnySpace, OneFactor
from tune_jobs.search_spaces.scalars import Params, Scalar, SpaceError, Value, typed
from tune_jobs.search_spaces.task import Task


def fitted(space: AnySpace, params: Params, defaults: Mapping[str, Value]) -> Params | None:
    """Return the point of a space that params are; None if they are none.

    A parameter that they lack has the value that the space holds it at, else its default.
    """

    def default(name: str, domain: Scalar) -> Value:
        if name not in defaults:
            raise SpaceError(f"{name} is missing")
        return defaults[name]

    return _fitted(space, params, default)


def is_inside(space: AnySpace, params: Params) -> bool:
    """Return True if no value of params is outside of a space; a parameter that they lack may have any value."""
    return _fitted(space, params, lambda name, domain: domain.at(0.5)) is not None


def overlapping(space: AnySpace, params: Params, defaults: Mapping[str, Value]) -> Params | None:
    """Return the point of a space that params of another task are, without what the space does not know; None if a
    value of theirs is outside of it, or they have nothing in common."""
    known = {name: value for name, value in params.items() if name in space.names()}
    return fitted(space, meant_params(space, known), defaults) if known else None


def _fitted(space: AnySpace, params: Params, default: Callable[[str, Scalar], Value]) -> Params | None:
    if isinstance(space, OneFactor):
        return params if space.why_not(params) is None else None

    def choose(name: str, domain: Scalar, under: str) -> Value:
        return params[name] if name in params else default(name, domain)

    try:
        point = space.walk(choose)
    except SpaceError:
        return None
    is_same = all(name in point and typed(point[name]) == typed(value) for name, value in params.items())
    return point if is_same else None


def defaults(task: Task) -> dict[str, Value]:
    """Return the defaults of the parameters that a task's own functions take: trials without them were trained so."""
    known: dict[str, Value] = {}
    for function in (task.callbacks, task.encoding, task.build):
        if callable(function) and is_known(function):
            parameters = inspect.signature(function).parameters
            known |= {name: one.default for name, one in parameters.items() if _is_value(one.default)}
    return known


def _is_value(default: object) -> bool:
    return default is None or isinstance(default, bool | int | float | str)

"""Limits that a configuration is known to break before it is trained: it then costs no training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tune_jobs.errors import Reason, TrialError
from tune_jobs.models.plain_values import plain
from tune_jobs.records.constraints import Constraint
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.search_spaces.task import Task


def own_values(task: Task, params: Params) -> dict[str, float]:
    """Return what the task's own function says of params, by names that limits may have; nothing if it has none.

    Raises:
        TrialError: it returns no numbers by names.
    """
    if task.constraints is None:
        return {}
    answer: object = task.constraints(params)
    if not isinstance(answer, Mapping) or not all(map(_is_named_number, answer.items())):
        raise TrialError(Reason.INVALID, f"the task's constraints need to return numbers by names; got {answer!r:.100}")
    return {name: float(plain(value)) for name, value in answer.items()}


def check(constraints: Sequence[Constraint], known: Mapping[str, float | None]) -> None:
    """Refuse a configuration that breaks a limit by what is known of it.

    Raises:
        TrialError: it does; the message says which, and by what.
    """
    for constraint in constraints:
        value = known.get(constraint.name)
        if value is not None and constraint.excess(value) > 0:
            what = f"{constraint.name} would be {constraint.words(value)}, and needs {constraint}"
            raise TrialError(Reason.INFEASIBLE, what)


def _is_named_number(item: tuple[object, object]) -> bool:
    name, value = item[0], plain(item[1])
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(name, str) and is_number and math.isfinite(value)

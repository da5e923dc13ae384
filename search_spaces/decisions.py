"""The questions that a space asks of a search, and the decisions that lead to params."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tune_jobs.search_spaces.scalars import Scalar, Value

Chooser = Callable[[str, Scalar, str], Value]  # (name, domain, under) -> a value of the domain


@dataclass(frozen=True)
class Question:
    """A value that `Space.walk` may ask for.

    `under` names the option that brings the parameter ("optimizer=adam"); it is empty at the top. The walk asks only
    if each earlier question in `given`, identified by its name and its `under`, got the answer noted there.
    """

    name: str
    domain: Scalar
    under: str
    given: Mapping[tuple[str, str], Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """The answer to one question: the value chosen for a parameter, and the option that brings the parameter."""

    name: str
    domain: Scalar
    under: str
    value: Value

"""A search space as a unit cube, for searches that know numbers only.

Every parameter that a space may have is a dimension of the cube, parameters under an option included. Coordinates go
from 0 to 1. Each point of the cube is therefore one point of the space. A coordinate under an option that is not taken
makes no difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tune_jobs.search_spaces.decisions import Question
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.scalars import Float, Int, Params, Scalar, Value

Dimension = tuple[str, str]  # a parameter's name, and the option that it is under ("" at the top level)


def questions(space: AnySpace) -> dict[Dimension, Question]:
    """Return the space's question along each dimension, in declared order.

    A parameter that can take one value only has no dimension.
    """
    return {(question.name, question.under): question for question in space.questions() if question.domain.size != 1}


def dimensions(space: AnySpace) -> tuple[Dimension, ...]:
    """Return all dimensions, in declared order."""
    return tuple(questions(space))


def numeric_dimensions(space: AnySpace) -> tuple[Dimension, ...]:
    """Return the dimensions of the numbers that every point has."""
    return tuple(
        dimension
        for dimension, question in questions(space).items()
        if not question.under and isinstance(question.domain, Float | Int)
    )


def params_at(space: AnySpace, coordinates: Mapping[Dimension, float] | Sequence[float]) -> Params:
    """Return the params at a point of the cube; a sequence has the coordinates of all dimensions in declared order."""
    by_dimension = (
        coordinates if isinstance(coordinates, Mapping) else dict(zip(dimensions(space), coordinates, strict=True))
    )

    def choose(name: str, domain: Scalar, under: str) -> Value:
        return domain.at(by_dimension.get((name, under), 0.0))

    return space.walk(choose)


def coordinates(space: AnySpace, params: Params) -> dict[Dimension, float]:
    """Return the coordinates of params, for the dimensions that they have.

    A value outside its domain, such as one that came from another task, has no coordinate.
    """
    return {
        (decision.name, decision.under): decision.domain.share(decision.value)  # type: ignore[arg-type]
        for decision in space.decisions(params)
        if decision.domain.size != 1
    }

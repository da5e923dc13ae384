"""A search space as a cube whose sides go from 0 to 1, for searches that know numbers only.

Every question that the space may ask has a side of its own, those under an option too, so that a point of the cube is
one point of the space; sides under an option that is not taken change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tune_jobs.search_spaces.decisions import Question
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.scalars import Float, Int, Params, Scalar, Value

Side = tuple[str, str]  # a parameter's name, and the option it is under


def questions(space: AnySpace) -> dict[Side, Question]:
    """What is asked along each side, in declared order; what can take one value only has none."""
    return {(asked.name, asked.under): asked for asked in space.questions() if asked.domain.size != 1}


def sides(space: AnySpace) -> tuple[Side, ...]:
    """All sides, in declared order."""
    return tuple(questions(space))


def numeric_sides(space: AnySpace) -> tuple[Side, ...]:
    """The sides of numbers that every point has."""
    return tuple(
        (asked.name, asked.under)
        for asked in space.questions()
        if not asked.under and isinstance(asked.domain, Float | Int) and asked.domain.size != 1
    )


def point(space: AnySpace, shares: Mapping[Side, float] | Sequence[float]) -> Params:
    """The params at a point of the cube, given side by side in declared order or by name."""
    by_side = shares if isinstance(shares, Mapping) else dict(zip(sides(space), shares, strict=True))

    def choose(name: str, domain: Scalar, under: str) -> Value:
        return domain.at(by_side.get((name, under), 0.0))

    return space.walk(choose)


def shares(space: AnySpace, params: Params) -> dict[Side, float]:
    """Where params lie in the cube, for the sides that they have; what is outside its domain is left out."""
    chosen = ((one.name, one.under, one.domain, one.value) for one in space.decisions(params))
    return {(name, under): domain.share(value) for name, under, domain, value in chosen if domain.size != 1}  # type: ignore[arg-type]

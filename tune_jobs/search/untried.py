"""Draw a point that was not tried, for a search that proposes only points that were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from tune_jobs.search import unit_cube
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.places import place_of, point_at
from tune_jobs.search_spaces.scalars import Params, params_id

_LARGE = 100_000  # points; in a larger space a draw on the scales of its domains is nearly always new
_DRAWS = 1000


def draw_untried(space: AnySpace, tried: Mapping[str, Params], random: np.random.Generator) -> Params | None:
    """Return a point that was not tried; None if there is none, or none was found in a space that cannot be counted.

    `tried` has what was tried by its `params_id`. No space is listed: the places of the tried points in the grid tell
    which places are left.
    """
    if space.size is None or space.size > _LARGE:
        rows = random.random((_DRAWS, len(unit_cube.dimensions(space))))
        points = (unit_cube.params_at(space, row.tolist()) for row in rows)
        drawn = next((params for params in points if params_id(params) not in tried), None)
        if drawn is not None or space.size is None:
            return drawn
    return _any_left(space, space.size, tried.values(), random)


def _any_left(space: AnySpace, size: int, tried: Iterable[Params], random: np.random.Generator) -> Params | None:
    """Return a point that was not tried, each with equal probability."""
    taken = sorted({place_of(space, params) for params in tried if space.why_not(params) is None})
    if len(taken) >= size:
        return None
    place = _below(size - len(taken), random)
    for tried_place in taken:
        if tried_place > place:
            break
        place += 1
    return point_at(space, place)


def _below(bound: int, random: np.random.Generator) -> int:
    """Return a whole number from 0 to below a bound, which may have more than 64 bits."""
    if bound < 2**63:
        return int(random.integers(bound))
    return int.from_bytes(random.bytes(bound.bit_length() // 8 + 8)) % bound

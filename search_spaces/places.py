"""The place of each point of a space in its grid, and the point at a place, both found without listing the grid."""

from __future__ import annotations

from tune_jobs.search_spaces.one_factor import AnySpace, OneFactor
from tune_jobs.search_spaces.scalars import Params, Value, params_id
from tune_jobs.search_spaces.space import Domain, Fixed, live_options, scalar


def point_at(space: AnySpace, place: int) -> dict[str, Value]:
    """Return the point at a place in the grid, counted from 0, of a space whose size is known."""
    if isinstance(space, OneFactor):
        return list(space.points().values())[place]
    parts = []
    for name, domain in reversed(space.domains):  # the last declared parameter varies fastest
        place, inside = divmod(place, _size(domain))
        parts.append(_part_at(name, domain, inside))
    return {name: value for part in reversed(parts) for name, value in part.items()}


def place_of(space: AnySpace, params: Params) -> int:
    """Return the place of params that belong to the space; the inverse of `point_at`."""
    if isinstance(space, OneFactor):
        return [params_id(point) for point in space.points().values()].index(params_id(params))
    place = 0
    for name, domain in space.domains:
        place = place * _size(domain) + _place_of_part(domain, params[name], params)
    return place


def _size(domain: Domain) -> int:
    assert domain.size is not None, "the values of a domain cannot be counted"
    return domain.size


def _part_at(name: str, domain: Domain, place: int) -> dict[str, Value]:
    """Return what a parameter adds to a point: its value, and the point of the space that the value brings."""
    for option, space in live_options(domain):
        size = space.size or 0
        if place < size:
            return {name: option, **point_at(space, place)}
        place -= size
    return {name: domain.value if isinstance(domain, Fixed) else scalar(domain).nth(place)}


def _place_of_part(domain: Domain, value: Value, params: Params) -> int:
    place = 0
    for option, space in live_options(domain):
        if option == value:
            return place + place_of(space, params)
        place += space.size or 0
    return 0 if isinstance(domain, Fixed) else scalar(domain).place(value)  # type: ignore[arg-type]

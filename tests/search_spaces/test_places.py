"""Points by their places in the grid, and grids that nobody could list."""

from __future__ import annotations

import itertools
import tracemalloc

import pytest
from hypothesis import given

from tests.search_spaces.test_one_factor import wholes
from tests.support.spaces import spaces
from tune_jobs.search_spaces import Choice, Fixed, Float, Int, Space, Variants
from tune_jobs.search_spaces.places import place_of, point_at
from tune_jobs.search_spaces.products import product

SWITCHES = {f"use_{at}": Choice(False, True) for at in range(30)}
MANY = {f"use_{at}": Choice(False, True) for at in range(3000)}
HUGE = {
    "flat": Space(**SWITCHES),
    "behind an option": Space(model=Variants(deep=Space(**SWITCHES), linear=Space())),
    "behind two": Space(a=Variants(b=Space(c=Variants(d=Space(**SWITCHES)), e=Int(1, 9)))),
    "behind what is held": Space(model=Fixed("deep", Variants(deep=Space(**SWITCHES), linear=Space()))),
    "a range": Space(kind=Choice("a", "b"), steps=Int(1, 10**9)),
    "steps of a float": Space(kind=Choice("a", "b"), rate=Float(0.0, 1.0, step=1e-9)),
    "many parameters": Space(**MANY),
}


@pytest.mark.slow
@given(spaces)
def test_the_place_of_a_point_is_that_of_the_grid(space):
    for place, point in enumerate(itertools.islice(space.grid(), 200)):
        assert point_at(space, place) == point
        assert place_of(space, point) == place


@given(wholes)
def test_the_place_of_a_point_of_one_factor_is_that_of_the_grid(space):
    for place, point in enumerate(space.grid()):
        assert (point_at(space, place), place_of(space, point)) == (point, place)


@pytest.mark.parametrize("space", HUGE.values(), ids=HUGE)
def test_a_huge_grid_gives_its_first_points_and_its_last_at_once(space):
    assert space.size > 10**9
    tracemalloc.start()
    first = list(itertools.islice(space.grid(), 3))
    last = point_at(space, space.size - 1)
    kept = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert kept < 10 * 2**20
    assert [point_at(space, place) for place in range(3)] == first
    assert place_of(space, last) == space.size - 1
    assert space.why_not(last) is None


def test_a_product_is_that_of_itertools():
    for sizes in ((), (2,), (1, 1), (2, 3), (3, 1, 2)):
        parts = [range(size) for size in sizes]
        assert list(product([lambda part=part: iter(part) for part in parts])) == list(itertools.product(*parts))

"""Products that are made one by one: the first of 10^9 is there at once, and nothing keeps the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def product(makers: Sequence[Callable[[], Iterator[T]]]) -> Iterator[tuple[T, ...]]:
    """Yield what `itertools.product` yields. Each iterator is made anew for each of its turns, and nothing is kept."""
    iterators = [make() for make in makers]
    turn = [next(iterator) for iterator in iterators]
    while True:
        yield tuple(turn)
        place = len(makers) - 1
        while place >= 0 and (following := next(iterators[place], _NOTHING)) is _NOTHING:
            iterators[place] = makers[place]()
            turn[place] = next(iterators[place])
            place -= 1
        if place < 0:
            return
        turn[place] = following  # type: ignore[assignment]


_NOTHING = object()

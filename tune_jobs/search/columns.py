"""A space as columns of numbers, for models of what its points score.

A number is a column from 0 to 1; a category a column for each of its options, of which one is 1. What lies under an
option that is not taken is the same in all such points, and the option's own column tells these points from others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tune_jobs.search import unit_cube
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.scalars import Choice, Params, Scalar

Array = NDArray[np.float64]

_IDLE = 0.5  # a number that is not there


class Columns:
    """The columns of a space, and the rows that its points are."""

    def __init__(self, space: AnySpace) -> None:
        self._space = space
        self._asked = unit_cube.questions(space)
        widths = [one.domain.size if isinstance(one.domain, Choice) else 1 for one in self._asked.values()]
        # of each column its parameter's: those of one belong together
        self.groups = tuple(group for group, width in enumerate(widths) for _ in range(width))

    def of_points(self, points: Sequence[Params]) -> Array:
        """Params as rows, `(points, columns)`; what lies outside its domain is as if it were not there."""
        known = [unit_cube.shares(self._space, params) for params in points]
        shares = [np.array([one.get(side, np.nan) for one in known]) for side in self._asked]
        return self._rows(shares)

    def of_shares(self, shares: Array) -> Array:
        """Points of the cube, `(points, sides)`, as rows: the same as of the params there, and much sooner."""
        sides = dict(zip(self._asked, shares.T, strict=True))
        taken = {
            side: _part(sides[side], asked.domain.size)
            for side, asked in self._asked.items()
            if isinstance(asked.domain, Choice)
        }
        there = []
        for side, asked in self._asked.items():
            is_there = np.ones(len(shares), dtype=bool)
            for question, answer in asked.given.items():
                if question in self._asked:
                    options = self._asked[question].domain.options  # type: ignore[union-attr]
                    is_there &= taken[question] == options.index(answer)
            there.append(np.where(is_there, sides[side], np.nan))
        return self._rows(there)

    def _rows(self, shares: Sequence[Array]) -> Array:
        """From the shares of each side, which are NaN where a point does not have it."""
        columns = [_columns(asked.domain, of_side) for asked, of_side in zip(self._asked.values(), shares, strict=True)]
        return np.concatenate(columns, axis=1)


def _columns(domain: Scalar, shares: Array) -> Array:
    is_there = ~np.isnan(shares)
    known = np.where(is_there, shares, 0.0)
    if isinstance(domain, Choice):
        return np.eye(domain.size)[_part(known, domain.size)] * is_there[:, None]
    if domain.size is not None:  # a number is what it is counted as
        known = np.array([domain.share(domain.at(share)) for share in known.tolist()])
    return np.where(is_there, known, _IDLE)[:, None]


def _part(shares: Array, parts: int) -> NDArray[np.intp]:
    """In which of so many equal parts of 0 to 1 the shares lie, as `scalars.py` has it."""
    return np.minimum((shares * parts).astype(np.intp), parts - 1)

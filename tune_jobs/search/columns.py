"""A search space as columns of numbers, for models that predict the score of a point.

A number is one column from 0 to 1. A category is one column for each of its options, of which one is 1 (one-hot). A
parameter under an option that is not taken has the same value in every such point; the option's own column tells these
points from others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tune_jobs.search import unit_cube
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.scalars import Choice, Params, Scalar

Array = NDArray[np.float64]

_INACTIVE = 0.5  # the column of a number that a point does not have


class Columns:
    """The encoder of one space: points in, rows out.

    `groups` has one entry for each column: the number of its parameter. Columns of one category share a group.
    """

    def __init__(self, space: AnySpace) -> None:
        self._space = space
        self._questions = unit_cube.questions(space)
        domains = [question.domain for question in self._questions.values()]
        widths = [domain.size if isinstance(domain, Choice) else 1 for domain in domains]
        self.groups = tuple(group for group, width in enumerate(widths) for _ in range(width))

    def encode(self, points: Sequence[Params]) -> Array:
        """Return the rows of params, `(points, columns)`. A value outside its domain counts as inactive."""
        known = [unit_cube.coordinates(self._space, params) for params in points]
        coordinates = [np.array([point.get(dimension, np.nan) for point in known]) for dimension in self._questions]
        return self._rows(coordinates)

    def encode_cube(self, coordinates: Array) -> Array:
        """Return the rows of points of the cube, `(points, dimensions)`.

        They equal the rows of the params there, and take much less time.
        """
        by_dimension = dict(zip(self._questions, coordinates.T, strict=True))
        options = {
            dimension: _option_index(by_dimension[dimension], question.domain.size)
            for dimension, question in self._questions.items()
            if isinstance(question.domain, Choice)
        }
        active = []
        for dimension, question in self._questions.items():
            is_active = np.ones(len(coordinates), dtype=bool)
            for parent, answer in question.given.items():
                if parent in self._questions:
                    index = self._questions[parent].domain.options.index(answer)  # type: ignore[union-attr]
                    is_active &= options[parent] == index
            active.append(np.where(is_active, by_dimension[dimension], np.nan))
        return self._rows(active)

    def _rows(self, coordinates: Sequence[Array]) -> Array:
        """Return rows, given the coordinates along each dimension, which are NaN where a point does not have it."""
        columns = [
            _encode_dimension(question.domain, along)
            for question, along in zip(self._questions.values(), coordinates, strict=True)
        ]
        return np.concatenate(columns, axis=1)


def _encode_dimension(domain: Scalar, coordinates: Array) -> Array:
    is_active = ~np.isnan(coordinates)
    known = np.where(is_active, coordinates, 0.0)
    if isinstance(domain, Choice):
        return np.eye(domain.size)[_option_index(known, domain.size)] * is_active[:, None]
    if domain.size is not None:  # round to the nearest value of the domain
        known = np.array([domain.share(domain.at(share)) for share in known.tolist()])
    return np.where(is_active, known, _INACTIVE)[:, None]


def _option_index(coordinates: Array, n_options: int) -> NDArray[np.intp]:
    """Return which of `n_options` equal parts of 0 to 1 each coordinate lies in, as `scalars.py` does."""
    return np.minimum((coordinates * n_options).astype(np.intp), n_options - 1)

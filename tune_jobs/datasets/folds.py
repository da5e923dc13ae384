"""The folds of a cross-validation as values: which rows are trained on and held out. `folding.py` makes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Folds:
    """`n` folds of some rows: `blocks` has the number of each row's block, `(N,)`.

    Block i is held out in fold i, and all others are trained on. `in_order` there is one block more: block i + 1 is
    held out in fold i, and those before it are trained on.
    """

    n: int
    blocks: Indices
    in_order: bool = False

    def trained_on(self, fold: int) -> Indices:
        """Return the places of the rows that a fold, counted from 0, is trained on."""
        return np.flatnonzero(self.blocks <= fold if self.in_order else self.blocks != fold)

    def held_out(self, fold: int) -> Indices:
        """Return the places of the rows that a fold is scored on."""
        return np.flatnonzero(self.blocks == fold + self.in_order)

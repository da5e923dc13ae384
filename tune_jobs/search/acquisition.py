"""What a Gaussian process expects of a point that is not tried: how much better it is, and whether it keeps to limits.

The expected improvement times the probability of keeping to every limit: J. R. Gardner et al., Bayesian Optimization
with Inequality Constraints, 2014.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tune_jobs.search.gaussian_process import Posterior
    from tune_jobs.search.prior_model import Ensemble

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Acquisition:
    """The models of the loss and of each limit. `best` is the loss to improve on; None if nothing keeps to limits."""

    loss: Posterior | Ensemble | None
    best: float | None
    limits: tuple[Posterior, ...] = ()  # of by how much each limit is broken: below zero it is not

    def __call__(self, rows: Array) -> Array:
        """Return how promising each row is, `(rows,)`, as a logarithm."""
        promise: Array = np.zeros(len(rows))
        if self.loss is not None and self.best is not None:
            promise = promise + self.loss.log_expected_improvement(rows, self.best)
        for limit in self.limits:
            promise = promise + limit.log_probability_below(rows, 0.0)
        return promise


def damped(excesses: Sequence[float]) -> Array:
    """Return by how much a limit is broken on a scale on which multiples are steps; the sign stays."""
    values = np.asarray(excesses, float)
    steps: Array = np.sign(values) * np.log1p(np.abs(values))
    return steps / (float(steps.std()) or 1.0)

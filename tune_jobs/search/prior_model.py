"""What another study's trials make one expect of this one's, and how far to trust that.

Each study has a model of its own scores, standardized. The two are added with weights: that of the other study is the
probability that its model ranks the trials of this one better than this one's own model ranks a trial that it does not
know. M. Feurer, B. Letham and E. Bakshy, Scalable Meta-Learning for Bayesian Optimization Using Ranking-Weighted
Gaussian Process Ensembles, 2018. Only the order of scores is compared, so that two tasks may have different scales.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tune_jobs.search_spaces.scalars import Params

if TYPE_CHECKING:
    from tune_jobs.search.gaussian_process import Posterior

Array = NDArray[np.float64]

_DRAWS = 128
_WORSE = 0.95  # quantile of the own model's losses: a prior whose median is above it has no weight at all


@dataclass(frozen=True)
class PriorModel:
    """The model of the losses `y` at the rows `x` of another study, with its best params, the best first."""

    x: Array
    y: Array
    kernel: Any
    best: Sequence[Params]

    def posterior(self, tried: Array) -> Posterior:
        """Return the model, certain of what it expects at the rows that this study has tried."""
        from tune_jobs.search.gaussian_process import Posterior

        alone = Posterior(self.x, self.y, self.kernel)
        if not len(tried):
            return alone
        believed = np.concatenate([self.y, alone.mean(tried)])
        return Posterior(np.concatenate([self.x, tried]), believed, self.kernel)

    def weight(self, own: Posterior, x: Array, losses: Array, random: np.random.Generator) -> float:
        """Return the weight of this model beside the model `own` of the losses at the rows `x`: from 0 to 1."""
        from tune_jobs.search.gaussian_process import Posterior

        drawn = Posterior(self.x, self.y, self.kernel).draw(x, _DRAWS, random)
        misranked = _misranked(drawn[:, :, None] < drawn[:, None, :], losses)
        left_out = own.draw_left_out(_DRAWS, random)
        own_misranked = _misranked(left_out[:, :, None] < losses, losses)
        if np.median(misranked) > np.quantile(own_misranked, _WORSE):
            return 0.0
        return float(np.mean(misranked < own_misranked) + np.mean(misranked == own_misranked) / 2)


@dataclass(frozen=True)
class Ensemble:
    """Two models as one: a weighted sum, `weight` being that of the second."""

    own: Posterior
    prior: Posterior
    weight: float

    def mean(self, x: Array) -> Array:
        """Return the expected value at each row of `x`."""
        return self._predict(x)[0]

    def log_expected_improvement(self, x: Array, best: float) -> Array:
        """Return the logarithm of how far below `best` the value at each row of `x` is expected to be."""
        from tune_jobs.search import gaussian_process

        return gaussian_process.log_expected_improvement(*self._predict(x), best)

    def _predict(self, x: Array) -> tuple[Array, Array]:
        (own, own_spread), (prior, prior_spread) = self.own.predict(x), self.prior.predict(x)
        mean = (1 - self.weight) * own + self.weight * prior
        return mean, np.hypot((1 - self.weight) * own_spread, self.weight * prior_spread)


def _misranked(is_less: NDArray[np.bool_], losses: Array) -> NDArray[np.intp]:
    """Return how many pairs of trials are in another order than their losses: `(draws, n, n)` to `(draws,)`."""
    wrong: NDArray[np.intp] = (is_less ^ (losses[:, None] < losses)).sum(axis=(1, 2))
    return wrong

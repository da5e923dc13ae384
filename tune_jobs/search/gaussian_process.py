"""A Gaussian process over the rows of points, and how much better than the best a point is expected to be.

The covariance is a Matern 5/2 with a length scale for each group of columns, plus white noise. J. Snoek, H. Larochelle
and R. P. Adams, Practical Bayesian Optimization of Machine Learning Algorithms, 2012. The length scales have the prior
of C. Hvarfner, E. O. Hellsten and L. Nardi, Vanilla Bayesian Optimization Performs Great in High Dimensions, 2024.
Without a prior, the fit often explains a handful of points by noise alone.

Importing scikit-learn takes seconds: a command that only reads a study must not import this module.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve
from scipy.optimize import minimize
from scipy.special import erfcx, log_ndtr
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Hyperparameter, Kernel, StationaryKernelMixin, WhiteKernel

Array = NDArray[np.float64]

_SCALES = (1e-2, 1e2)  # bounds of a length scale, in sides of the cube
_NOISE = (1e-6, 1.0)  # bounds of the noise's variance, of scores whose own variance is 1
_NOISE_PRIOR = (-4.0, 1.0)  # mean and standard deviation of its logarithm
_SCALE_PRIOR = (-0.7, math.sqrt(3))  # likewise; the paper's mean of 1.4 did worse here (benchmarks/search.py)
_MAX_STEPS = 60  # of L-BFGS: further ones do not change what is proposed


class GroupedMatern(StationaryKernelMixin, Kernel):  # type: ignore[misc]
    """Matern 5/2 with one length scale for each group of columns, so that a category's one-hot columns share theirs."""

    def __init__(self, length_scales: Array, groups: tuple[int, ...]) -> None:
        self.length_scales = length_scales
        self.groups = groups

    @property
    def hyperparameter_length_scales(self) -> Hyperparameter:
        return Hyperparameter("length_scales", "numeric", _SCALES, max(self.groups) + 1)

    def __call__(self, x: Array, y: Array | None = None, eval_gradient: bool = False) -> Any:
        other = x if y is None else y
        scales = np.atleast_1d(self.length_scales)  # scikit-learn turns an array of one into a number
        members = np.eye(len(scales))[list(self.groups)] / np.square(scales)
        if not eval_gradient:
            weights = np.sqrt(members.sum(axis=1))
            return _matern(_squared_distances(x * weights, other * weights))[0]
        parts = np.square(x[:, None, :] - other[None, :, :]) @ members
        covariance, slope = _matern(parts.sum(axis=2))
        return covariance, parts * slope[:, :, None]

    def diag(self, x: Array) -> Array:
        return np.ones(len(x))

    def __repr__(self) -> str:
        return f"GroupedMatern({self.length_scales})"


def _squared_distances(x: Array, y: Array) -> Array:
    """Return the squared distances between the rows of `x` and those of `y`."""
    squares = np.square(x).sum(axis=1)[:, None] + np.square(y).sum(axis=1)[None, :] - 2 * x @ y.T
    distances: Array = np.maximum(squares, 0.0)
    return distances


def _matern(squares: Array) -> tuple[Array, Array]:
    """Return the covariance at squared distances, and its slope: by how much the logarithm of a length scale changes it
    for each unit of them."""
    distance = np.sqrt(5 * squares)
    decay = np.exp(-distance)
    return (1 + distance + 5 / 3 * squares) * decay, 5 / 3 * (1 + distance) * decay


def fit_kernel(x: Array, y: Array, groups: tuple[int, ...]) -> Kernel:
    """Return the covariance with the highest posterior probability, given `y` at the rows of `x`.

    `x`: `(points, columns)`, whose columns belong to `groups`; `y`: `(points,)`.
    """
    middle = _SCALE_PRIOR[0] + math.log(max(groups) + 1) / 2  # longer with more groups, which add up to a distance
    start = np.full(max(groups) + 1, math.exp(middle) / 4)
    kernel = GroupedMatern(start, groups) + WhiteKernel(math.exp(_NOISE_PRIOR[0]), _NOISE)
    means = np.append(np.full(len(start), middle), _NOISE_PRIOR[0])
    spreads = np.append(np.full(len(start), _SCALE_PRIOR[1]), _NOISE_PRIOR[1])

    def optimizer(loss: Callable[[Array], tuple[float, Array]], theta: Array, bounds: Array) -> tuple[Array, float]:
        def loss_with_prior(theta: Array) -> tuple[float, Array]:
            deviations = (theta - means) / spreads
            value, slope = loss(theta)
            return value + float(deviations @ deviations) / 2, slope + deviations / spreads

        options = {"maxiter": _MAX_STEPS}
        optimum = minimize(loss_with_prior, theta, jac=True, bounds=bounds, method="L-BFGS-B", options=options)
        return optimum.x, optimum.fun

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a length scale at its bound: its column makes no difference
        return GaussianProcessRegressor(kernel, optimizer=optimizer).fit(x, y).kernel_


class Posterior:
    """The process given `y` at the rows of `x`, with a covariance from `fit_kernel`."""

    def __init__(self, x: Array, y: Array, kernel: Kernel) -> None:
        self._process = GaussianProcessRegressor(kernel, optimizer=None).fit(x, y)
        self._noise = float(kernel.k2.noise_level)
        self._y, self.kernel = y, kernel

    def mean(self, x: Array) -> Array:
        """Return the expected value at each row of `x`."""
        mean: Array = self._process.predict(x)
        return mean

    def log_probability_below(self, x: Array, limit: float) -> Array:
        """Return the logarithm of the probability that the value at each row of `x` is below a limit, without noise."""
        mean, spread = self.predict(x)
        probability: Array = log_ndtr((limit - mean) / spread)
        return probability

    def log_expected_improvement(self, x: Array, best: float) -> Array:
        """Return the logarithm of how far below `best` the value at each row of `x` is expected to be."""
        return log_expected_improvement(*self.predict(x), best)

    def draw(self, x: Array, n: int, random: np.random.Generator) -> Array:
        """Return `n` draws of the values at all rows of `x` together, without noise: `(n, rows)`."""
        mean, covariance = self._process.predict(x, return_cov=True)
        covariance = covariance - self._noise * np.eye(len(x))
        values, vectors = np.linalg.eigh(covariance)
        spreads = vectors * np.sqrt(np.maximum(values, 0.0))
        draws: Array = mean + random.standard_normal((n, len(x))) @ spreads.T
        return draws

    def draw_left_out(self, n: int, random: np.random.Generator) -> Array:
        """Return `n` draws of the value at each of the process's own rows, given all others: `(n, rows)`, without
        noise.

        C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for Machine Learning, 2006, section 5.4.2.
        """
        inverse = np.diag(cho_solve((self._process.L_, True), np.eye(len(self._y))))
        mean = self._y - self._process.alpha_ / inverse
        spread = np.sqrt(np.maximum(1 / inverse - self._noise, 1e-10))
        draws: Array = mean + random.standard_normal((n, len(mean))) * spread
        return draws

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Return the mean and the standard deviation of the value at each row of `x`, without noise."""
        mean, deviation = self._process.predict(x, return_std=True)
        return mean, np.sqrt(np.maximum(np.square(deviation) - self._noise, 1e-10))


def log_expected_improvement(mean: Array, spread: Array, best: float) -> Array:
    """Return the logarithm of how far below `best` normally distributed values are expected to be.

    D. R. Jones, M. Schonlau and W. J. Welch, Efficient Global Optimization of Expensive Black-Box Functions, 1998. The
    logarithm, because far from all good points the improvement itself underflows to zero: S. Ament et al., Unexpected
    Improvements to Expected Improvement for Bayesian Optimization, 2023.
    """
    improvement: Array = np.log(spread) + _log_h((best - mean) / spread)
    return improvement


def _log_h(z: Array) -> Array:
    """Return log(pdf(z) + z cdf(z)) of a normal distribution, without the loss of digits below -1."""
    low = np.minimum(z, -1.0)
    ratio = -low * erfcx(-low / math.sqrt(2)) * math.sqrt(math.pi / 2)
    below = norm.logpdf(low) + np.where(low > -1e3, np.log1p(-np.minimum(ratio, 1 - 1e-12)), -2 * np.log(-low))
    high = np.maximum(z, -1.0)
    log_h: Array = np.where(z > -1.0, np.log(norm.pdf(high) + high * np.exp(log_ndtr(high))), below)
    return log_h

"""How far a set of drawn images is from a set of real ones, by their features: arrays `(N, d)` of any network.

Plain NumPy, in float64. None of these is the mean of a number an image.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
NEIGHBOURS = 3  # Kynkaanniemi et al. 2019


def kernel_distance(real: Array, drawn: Array) -> tuple[float, float]:
    """Return the kernel distance (KID) of two sets of features, `(N, d)` and `(M, d)`, and its standard error.

    It is the unbiased estimate of the squared maximum mean discrepancy under the kernel `(x y / d + 1) ** 3`
    (Binkowski et al. 2018), which may be below 0. The error is the jackknife's over the features of each set in turn
    (Efron and Stein 1981).

    Raises:
        ValueError: a set has fewer than three features.
    """
    n, m = len(real), len(drawn)
    if min(n, m) < 3:
        raise ValueError(f"a kernel distance needs three images of each kind; got {n} and {m}")
    of_real, of_drawn, across = _kernel(real, real), _kernel(drawn, drawn), _kernel(real, drawn)
    rows = of_real.sum(axis=1) - of_real.diagonal(), of_drawn.sum(axis=1) - of_drawn.diagonal()
    total = across.sum()
    within = [part.sum() / (count * (count - 1)) for part, count in zip(rows, (n, m), strict=True)]
    distance = within[0] + within[1] - 2 * total / (n * m)
    without_real = _without_one(rows[0]) - 2 * (total - across.sum(axis=1)) / ((n - 1) * m)
    without_drawn = _without_one(rows[1]) - 2 * (total - across.sum(axis=0)) / (n * (m - 1))
    return float(distance), math.sqrt(_jackknife_variance(without_real) + _jackknife_variance(without_drawn))


def _kernel(some: Array, others: Array) -> Array:
    """Return the kernel of each pair, `(N, M)`."""
    some, others = some.astype(np.float64), others.astype(np.float64)
    kernel: Array = (some @ others.T / some.shape[1] + 1) ** 3
    return kernel


def _without_one(rows: Array) -> Array:
    """Return the mean kernel of the other pairs without each of the N features; `rows` are the sums over its pairs."""
    n = len(rows)
    mean: Array = (rows.sum() - 2 * rows) / ((n - 1) * (n - 2))
    return mean


def _jackknife_variance(estimates: Array) -> float:
    n = len(estimates)
    return float((n - 1) / n * np.square(estimates - estimates.mean()).sum())


def frechet_distance(real: Array, drawn: Array) -> float:
    """Return the Frechet distance of the normal distributions that fit two sets of features (Heusel et al. 2017)."""
    (mean, covariance), (other_mean, other_covariance) = _normal(real), _normal(drawn)
    root = _root(covariance)
    overlap = np.linalg.eigvalsh(root @ other_covariance @ root)  # those of the product of both, which is not symmetric
    traces = np.trace(covariance) + np.trace(other_covariance) - 2 * np.sqrt(overlap.clip(min=0)).sum()
    return max(0.0, float(np.square(mean - other_mean).sum() + traces))


def _normal(features: Array) -> tuple[Array, Array]:
    features = features.astype(np.float64)
    return features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False))


def _root(covariance: Array) -> Array:
    """Return the symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(covariance)
    root: Array = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    return root


def precision_and_recall(real: Array, drawn: Array, neighbours: int = NEIGHBOURS) -> tuple[float, float]:
    """Return which share of the drawn images looks real, and which share of the real ones is drawn.

    One set covers a feature that is not farther from one of its own than the k-th nearest neighbour of that one is
    (Kynkaanniemi et al. 2019).

    Raises:
        ValueError: a set does not have so many neighbours.
    """
    if min(len(real), len(drawn)) <= neighbours:
        raise ValueError(f"{neighbours} neighbours need more images of each kind; got {len(real)} and {len(drawn)}")
    across = squared_distances(real, drawn)
    covered = across <= _radii(real, neighbours)[:, None], across <= _radii(drawn, neighbours)[None, :]
    return float(covered[0].any(axis=0).mean()), float(covered[1].any(axis=1).mean())


def _radii(features: Array, neighbours: int) -> Array:
    """Return the squared distance of each feature from its k-th nearest neighbour; the nearest of all is itself."""
    distances = squared_distances(features, features)
    np.fill_diagonal(distances, 0.0)
    radii: Array = np.partition(distances, neighbours, axis=1)[:, neighbours]
    return radii


def squared_distances(some: Array, others: Array) -> Array:
    """Return the squared distance of each pair, `(N, M)`."""
    some, others = some.astype(np.float64), others.astype(np.float64)
    squares = np.square(some).sum(axis=1)[:, None] + np.square(others).sum(axis=1)[None, :]
    distances: Array = (squares - 2 * some @ others.T).clip(min=0)
    return distances


def diversity(real: Array, drawn: Array) -> float:
    """Return the variance of the drawn features as a share of that of the real ones: 0 for one repeated image."""
    spread = float(real.astype(np.float64).var(axis=0).sum())
    return float(drawn.astype(np.float64).var(axis=0).sum()) / spread if spread else 0.0


def class_coverage(real: Array, drawn: Array, least: float = 0.1) -> float:
    """Return the share of the real images' classes that are drawn; both sets are classes, `(N,)` and `(M,)`.

    A class is drawn if its share of the drawn images is at least `least` of its share of the real ones.
    """
    classes, counts = np.unique(real, return_counts=True)
    drawn_shares = (drawn[:, None] == classes[None, :]).mean(axis=0)
    return float((drawn_shares >= least * counts / len(real)).mean())

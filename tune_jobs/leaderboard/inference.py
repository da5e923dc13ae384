"""Estimate, from the scores of a study, an interval for each configuration, its probability of being best, its places.

A score varies with the seed and with the validation images. Both parts are estimated from the contribution of each
image to each run. `docs/leaderboard.md` has the formulas, their sources, and how often they held in simulation. Which
trials belong together, and what is shown, is decided elsewhere.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma, stdtr, stdtrit

Floats = NDArray[np.float64]

_LEVEL = 0.05  # of error: intervals and places are at 95 %
_COMPARED = 100  # the number of covariances grows with its square; lower places decide nothing
_DRAWS = 20_000  # a probability is then known to 0.004
_LEAST_REPLICATED = 8  # replicated configurations, at least, to estimate how variances scatter


@dataclass(frozen=True, eq=False)
class Sample:
    """The runs of one configuration: n seeds on m validation images.

    `scores`: (n,), one a seed. `per_image`: (n, m), the contribution of each image to each score (for an accuracy 1 if
    right and 0 if wrong, else the error), so that its mean over the images is the score; None if that is unknown.
    `images`: m, if only that is known and a score is a share of the images.

    Raises:
        ValueError: the shapes do not fit, a score is not finite, or a share is outside 0 to 1.
    """

    scores: Floats
    per_image: NDArray[np.generic] | None = None
    images: int | None = None

    def __post_init__(self) -> None:
        scores, table = np.asarray(self.scores), self.per_image
        if scores.ndim != 1 or not scores.size or not np.isfinite(scores).all():
            raise ValueError(f"scores must be one finite number a seed; got {scores}")
        if table is not None and self.images is not None:
            raise ValueError(f"images is for samples without per_image; got {self.images} with {table.shape}")
        if table is not None and (table.ndim != 2 or len(table) != scores.size or table.shape[1] < 2):
            raise ValueError(f"per_image must be {scores.size} seeds by 2 images or more; got {table.shape}")
        if self.images is not None and (self.images < 2 or scores.min() < 0 or scores.max() > 1):
            raise ValueError(f"with images, scores must be shares of 2 or more; got {scores} of {self.images}")


@dataclass(frozen=True)
class Uncertainty:
    """How far the score of one configuration, and its place among the others, can be trusted."""

    interval: tuple[float, float] | None  # 95 %, of the expected score; None if its error is unknown
    has_seed_part: bool  # False: the interval is of the images alone, since no configuration has a second seed
    p_best: float | None  # the probability of being the best of all; None without a seed part
    places: tuple[int, int] | None  # 95 %, from 1, which is a tie with the best; None without a seed part, or below 100


def uncertainties(samples: Sequence[Sample], *, maximize: bool) -> tuple[Uncertainty, ...]:
    """Return the uncertainty of each configuration, in the order of `samples`, which does not change the results.

    All `per_image` are over the same m images in the same order: configurations are paired on images. Seeds are not
    paired: two networks with one seed have little in common. Places (Mogstad et al. 2024) count every configuration;
    p_best is 0 below the best hundred.

    Raises:
        ValueError: two samples have different numbers of images.
    """
    if not samples:
        return ()
    sizes = {sample.per_image.shape[1] for sample in samples if sample.per_image is not None}
    if len(sizes) > 1:
        raise ValueError(f"per_image must be over the same images in all samples; got {sorted(sizes)} images")
    summaries = [_summary(sample) for sample in samples]
    keys = _keys(summaries, maximize)
    order = sorted(range(len(samples)), key=keys.__getitem__)
    ordered = _ordered_uncertainties([summaries[index] for index in order], maximize)
    return tuple(each for _, each in sorted(zip(order, ordered, strict=True), key=lambda pair: pair[0]))


@dataclass(frozen=True, eq=False)
class _Summary:
    """A sample's mean and variances. In the two-way table X_jx = mu + seed_j + image_x + residual_jx."""

    n: int
    mean: float
    spread: float  # the variance of the scores; 0 for one seed
    resolution: float  # the variance that rounding to whole images hides; 0 where scores are not shares
    is_share: bool
    image: float | None  # the variance of the mean over draws of the images
    images: int  # 0 if unknown
    residual: float | None  # the residual mean square; None for one seed or without per_image
    per_image: NDArray[np.generic] | None  # (n, m), of the sample

    @cached_property
    def image_means(self) -> Floats | None:
        """Means (m,) over the seeds, less the mean of all. Few are ever asked for."""
        return None if self.per_image is None else _image_means(_centred(self.per_image))

    @property
    def checksum(self) -> int:
        """A number that tells apart configurations with equal means."""
        table = self.per_image if self.n == 1 else self.image_means
        return 0 if table is None else crc32(table.tobytes())


def _keys(summaries: Sequence[_Summary], maximize: bool) -> list[tuple[float, ...]]:
    """Return keys that put the best mean first, and equal means in an order that is the same for any input.

    With one seed each, equal numbers of right images are common; which images they are makes the order definite.
    """
    keys = [(-each.mean if maximize else each.mean, each.n, each.spread, each.image or 0.0) for each in summaries]
    counts = Counter(keys)
    return [(*key, each.checksum if counts[key] > 1 else 0.0) for key, each in zip(keys, summaries, strict=True)]


def _summary(sample: Sample) -> _Summary:
    scores, table = np.asarray(sample.scores, dtype=np.float64), sample.per_image
    n, mean = len(scores), float(scores.mean() if len(scores) > 1 else scores[0])
    spread = float(scores.var(ddof=1)) if n > 1 else 0.0
    if table is None:
        m = sample.images or 0
        image = _binomial(mean, m) if m else None
        return _Summary(n, mean, spread, 1 / m**2 / 12 if m else 0.0, m > 0, image, m, None, None)
    m, is_share = table.shape[1], _is_share(table)
    if is_share and n == 1:  # most samples are: no table of floats is made for them
        right = int(np.count_nonzero(table))
        squares, residual = right * (m - right) / m, None
    else:
        centred = _centred(table)
        image_means = _image_means(centred)
        squares, residual = _sum_of_squares(image_means), _residual(centred, image_means)
    image = squares / (m - 1) / m or (_binomial(mean, m) if is_share else 0.0)
    return _Summary(n, mean, spread, 1 / m**2 / 12 if is_share else 0.0, is_share, image, m, residual, table)


def _is_share(table: NDArray[np.generic]) -> bool:
    """Return True for a table of right and wrong images, 1 and 0."""
    return bool(table.max() <= 1 if table.dtype.kind in "bu" else ((table == 0) | (table == 1)).all())


def _centred(table: NDArray[np.generic]) -> Floats:
    """Return a table (n, m) less its mean."""
    centred: Floats = np.array(table, dtype=np.float64)
    centred -= centred.mean()
    return centred


def _image_means(centred: Floats) -> Floats:
    means: Floats = centred[0] if len(centred) == 1 else centred.mean(axis=0)
    return means


def _binomial(share: float, m: int) -> float:
    """Return the variance of a share of m images; all right, or all wrong, counts as all but one."""
    share = min(max(share, 1 / m), 1 - 1 / m)
    return share * (1 - share) / m


def _residual(table: Floats, image_means: Floats) -> float | None:
    """Return the residual mean square of the two-way table without repetition (n, m): total less seeds less images."""
    n, m = table.shape
    if n == 1:
        return None
    seeds = table.sum(axis=1) / m
    squares = _sum_of_squares(table) - m * _sum_of_squares(seeds) - n * _sum_of_squares(image_means)
    return float(max(0.0, squares) / ((n - 1) * (m - 1)))


def _sum_of_squares(values: Floats) -> float:
    """Return the sum of squares by einsum: BLAS would start threads, which compete with trainings on every core."""
    return float(np.einsum("...i,...i->...", values, values).sum())


@dataclass(frozen=True)
class _Prior:
    """How seed variances scatter over configurations: variance * dof / chi-squared(dof); dof inf is one for all."""

    variance: float
    dof: float
    pooled: float  # the degrees of freedom of all configurations together


def _prior(variances: Floats, dofs: Floats) -> _Prior | None:
    """Match the moments of the log variances (Smyth 2004, section 6.2); if they scatter by chance alone, pool them.

    The pooled variance replaces Smyth's geometric mean: if variances differ after all, intervals are too wide.
    """
    if not len(variances):
        return None
    pooled = float(dofs.sum())
    common = _Prior(float(variances @ dofs) / pooled, math.inf, pooled)
    if len(variances) < _LEAST_REPLICATED:
        return common
    logs = np.log(variances) - digamma(dofs / 2) + np.log(dofs / 2)
    excess = float(logs.var(ddof=1) - polygamma(1, dofs / 2).mean())
    if excess <= 0:
        return common
    half = _inverse_trigamma(excess)
    return _Prior(math.exp(float(logs.mean()) + float(digamma(half)) - math.log(half)), 2 * half, pooled)


def _inverse_trigamma(value: float) -> float:
    """Invert trigamma by Newton's method on 1 / trigamma, which is convex and nearly linear (Smyth 2004, appendix)."""
    y = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, y))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, y))
        y += step
        if -step < 1e-10 * y:
            break
    return y


@dataclass(frozen=True, eq=False)
class _Parts:
    """Variances of the means, (K,) each, best configuration first; 0 with infinite degrees of freedom if unknown."""

    mean: Floats
    seed: Floats  # the part of the seeds beside the part of the images
    seed_raw: Floats  # the same with the share that both parts contain; its error is that of `seed`
    seed_dof: Floats
    seed_pooled: float
    image: Floats
    image_dof: Floats


def _parts(summaries: Sequence[_Summary]) -> tuple[_Parts, bool]:
    """Return the parts, and whether there is a seed part."""
    n = np.array([each.n for each in summaries], dtype=np.float64)
    image = np.array([each.image or 0.0 for each in summaries])
    image_dof = np.array([each.images - 1 if each.images else math.inf for each in summaries])
    mean = np.array([each.mean for each in summaries])
    unit = _units(summaries)
    variances = _floored(summaries) / unit
    prior = _prior(variances[n > 1], n[n > 1] - 1)
    if prior is None:
        none, unbounded = np.zeros_like(mean), np.full_like(mean, math.inf)
        return _Parts(mean, none, none, unbounded, math.inf, image, image_dof), False
    dof = np.minimum(prior.dof + n - 1, prior.pooled)
    if math.isinf(prior.dof):
        moderated = np.full_like(mean, prior.variance)
    else:
        moderated = (prior.dof * prior.variance + (n - 1) * variances) / (prior.dof + n - 1)
    raw = moderated * unit / n
    return _Parts(mean, np.maximum(0, raw - _shared(summaries)), raw, dof, prior.pooled, image, image_dof), True


def _floored(summaries: Sequence[_Summary]) -> Floats:
    """Return (K,) variances of the scores, none of them 0: equal scores are equal only up to their resolution."""
    spread = np.array([each.spread for each in summaries])
    resolution = np.array([each.resolution for each in summaries])
    positive = spread[spread > 0]
    least = (
        1e-5 * float(np.median(positive)) if len(positive) else 1e-30
    )  # limma's floor, for scores without a resolution
    floored: Floats = np.maximum(spread, np.where(resolution > 0, resolution, least))
    return floored


def _units(summaries: Sequence[_Summary]) -> Floats:
    """Return (K,) units for variances over seeds: p(1 - p) of a share, since 0.5 can vary more than 0.99."""
    if not all(each.is_share for each in summaries):
        return np.ones(len(summaries))
    # Laplace's share, never 0 or 1
    share: Floats = np.array([(each.mean * each.images + 1) / (each.images + 2) for each in summaries])
    return share * (1 - share)


def _shared(summaries: Sequence[_Summary]) -> Floats:
    """Return the (K,) residual variance of each mean, which the parts of seeds and of images both contain.

    A configuration with one seed has no residual: it takes the mean one, up to its own variance over images.
    """
    known = [each.residual for each in summaries if each.residual is not None]
    borrowed = float(np.mean(known)) if known else 0.0
    return np.array([_shared_by(each, borrowed) for each in summaries])


def _shared_by(summary: _Summary, borrowed: float) -> float:
    if summary.per_image is None or summary.image is None:
        return 0.0
    if summary.residual is None:
        return min(borrowed / summary.images, summary.image)
    return summary.residual / (summary.n * summary.images)


def _ordered_uncertainties(summaries: Sequence[_Summary], maximize: bool) -> list[Uncertainty]:
    parts, has_seed_part = _parts(summaries)
    intervals = _intervals(summaries, parts, has_seed_part)
    if not has_seed_part:
        return [Uncertainty(interval, False, None, None) for interval in intervals]
    covariance = _covariance(summaries[:_COMPARED])
    p_best = _p_best(parts, covariance, maximize)
    places = _places(parts, covariance, maximize)
    beyond = len(summaries) - len(places)
    return [
        Uncertainty(interval, True, p, place)
        for interval, p, place in zip(intervals, [*p_best, *[0.0] * beyond], [*places, *[None] * beyond], strict=True)
    ]


def _intervals(summaries: Sequence[_Summary], parts: _Parts, has_seed_part: bool) -> list[tuple[float, float] | None]:
    """Return mean -+ t * sqrt(variance), with Satterthwaite's (1946) degrees of freedom; Wilson's (1927) for a share.

    A share's interval is that of as many independent images as have this variance (Korn and Graubard 1998). With 5 of
    287 images wrong the plain form covers 87 % instead of 95.
    """
    variance = parts.seed + parts.image
    squares = parts.seed_raw**2 / parts.seed_dof + parts.image**2 / parts.image_dof
    t = stdtrit(_dof(variance, squares), 1 - _LEVEL / 2)
    is_share = np.array([each.is_share for each in summaries])
    of_one = np.array([_binomial(each.mean, each.images) * each.images if each.is_share else 1 for each in summaries])
    one_in = np.where(is_share, variance / of_one, 0)  # (K,): 1 / the number of independent images
    shrink = 1 + t**2 * one_in
    middle = (parts.mean + t**2 * one_in / 2) / shrink
    error = np.where(is_share, one_in * parts.mean * (1 - parts.mean), variance)
    half = t / shrink * np.sqrt(error + (t * one_in / 2) ** 2)
    least, most = np.where(is_share, 0, -math.inf), np.where(is_share, 1, math.inf)  # for rounding only
    low, high = np.maximum(middle - half, least), np.minimum(middle + half, most)
    return [
        (float(low[index]), float(high[index])) if has_seed_part or each.image is not None else None
        for index, each in enumerate(summaries)
    ]


def _dof(variance: Floats, squares: Floats) -> Floats:
    """Return Satterthwaite's degrees of freedom, from 1 to 1e9, which stands for infinity."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(np.nan_to_num(variance**2 / squares, nan=1e9), 1, 1e9)


def _covariance(summaries: Sequence[_Summary]) -> Floats:
    """Return the (C, C) covariance of the means over draws of the images; 0 if one of a pair has no `per_image`."""
    covariance = np.diag([each.image or 0.0 for each in summaries])
    known = [index for index, each in enumerate(summaries) if each.image_means is not None]
    if known:
        means = np.stack([each.image_means for each in summaries if each.image_means is not None])  # (C', m)
        covariance[np.ix_(known, known)] = np.cov(means) / means.shape[1]
    return covariance


def _places(parts: _Parts, covariance: Floats, maximize: bool) -> list[tuple[int, int]]:
    """Return the places of each compared configuration: a test for each pair, Bonferroni over the K - 1 of a row.

    No correlation is assumed with a configuration that is not among the compared; that can only add ties.
    """
    c, k = len(covariance), len(parts.mean)
    image = parts.image[:c, None] + parts.image  # (C, K)
    image[:, :c] = np.maximum(0, image[:, :c] - 2 * covariance)  # rounding may leave less than 0
    variance = parts.seed[:c, None] + parts.seed + image
    raw = parts.seed_raw[:c, None] + parts.seed_raw
    # The smaller of the two: variances from one pool are not independent, and Satterthwaite's degrees of freedom are
    # too many this far out in the tails (2 seeds, scores alone, 30 equal configurations with very different spreads:
    # 71 % of places held, and 86 % with the smaller; 3 seeds and less different spreads: 90 and 94 %).
    of_seeds = raw**2 / np.minimum(parts.seed_dof[:c, None], parts.seed_dof)
    of_images = image**2 / np.minimum(parts.image_dof[:c, None], parts.image_dof)
    lead = parts.mean[:c, None] - parts.mean if maximize else parts.mean - parts.mean[:c, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.nan_to_num(np.abs(lead) / np.sqrt(variance))
    differs = 2 * stdtr(_dof(variance, of_seeds + of_images), -t) < _LEVEL / max(1, k - 1)
    better, worse = (differs & (lead < 0)).sum(axis=1), (differs & (lead > 0)).sum(axis=1)
    return [(1 + int(above), k - int(below)) for above, below in zip(better, worse, strict=True)]


def _p_best(parts: _Parts, covariance: Floats, maximize: bool) -> list[float]:
    """Return how often each compared configuration is the best, over draws of all scores; equal draws are shared."""
    c = len(covariance)
    rng = np.random.default_rng(0)
    values, vectors = np.linalg.eigh(covariance)
    values[values < 1e-12 * values.max()] = 0  # of rounding, which would separate equal configurations
    drawn = rng.standard_normal((_DRAWS, c)) * np.sqrt(values) @ vectors.T
    drawn += rng.standard_t(np.minimum(parts.seed_dof[:c], 1e9), (_DRAWS, c)) * np.sqrt(parts.seed[:c])
    drawn += parts.mean[:c] if maximize else -parts.mean[:c]  # all the errors are symmetric
    equal = 1e-6 * math.sqrt(float(np.max(parts.seed[:c] + parts.image[:c]))) + 1e-12 * float(np.abs(parts.mean).max())
    is_best = drawn >= drawn.max(axis=1, keepdims=True) - equal
    return [float(share) for share in (is_best / is_best.sum(axis=1, keepdims=True)).mean(axis=0)]

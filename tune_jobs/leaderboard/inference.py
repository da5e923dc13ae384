"""What the scores of a study say about its configurations: an interval, the probability of being the best, the places.

A score moves with the seed and with the validation images; both are estimated, from what each image contributed to each
run. Numbers in, numbers out: `docs/leaderboard.md` has the formulas, their sources and how often they held in
simulation; which trials belong together, and what is shown, is the leaderboard's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma, stdtr, stdtrit

Floats = NDArray[np.float64]

_LEVEL = 0.05  # of error: intervals and places are at 95 %
_COMPARED = 100  # covariances grow with its square; a place beyond it decides nothing
_DRAWS = 20_000  # a probability is then known to 0.004
_LEAST_REPLICATED = 8  # configurations with a variance of their own, for there to be a variance of variances


@dataclass(frozen=True, eq=False)
class Sample:
    """The runs of one configuration: n seeds on m validation images.

    `scores`: (n,), one a seed. `per_image`: (n, m), what each image contributed to each of them (accuracy: 1 right, 0
    wrong; an error in minutes as it is), so that its mean over the images is the score; None where that is not known.
    `images`: m, where only that is known and a score is a share of the images.

    Raises: ValueError for shapes that do not fit, scores that are not finite, and shares outside 0 and 1.
    """

    scores: Floats
    per_image: NDArray[np.generic] | None = None
    images: int | None = None

    def __post_init__(self) -> None:
        scores, table = np.asarray(self.scores), self.per_image
        if scores.ndim != 1 or not scores.size or not np.isfinite(scores).all():
            raise ValueError(f"scores must be one finite number a seed, and are {scores}")
        if table is not None and self.images is not None:
            raise ValueError(f"images is for samples without per_image, and is {self.images} beside {table.shape}")
        if table is not None and (table.ndim != 2 or len(table) != scores.size or table.shape[1] < 2):
            raise ValueError(f"per_image must be {scores.size} seeds by 2 images or more, and is {table.shape}")
        if self.images is not None and (self.images < 2 or scores.min() < 0 or scores.max() > 1):
            raise ValueError(f"with images, scores must be shares of 2 or more, and are {scores} of {self.images}")


@dataclass(frozen=True)
class Uncertainty:
    """What is known about one configuration.

    Between which places (from 1) it may be: `places[0] == 1` is to say that it is tied with the best.
    """

    interval: tuple[float, float] | None  # 95 %, of the expected score; None where nothing is known of its error
    has_seed_part: bool  # False: the interval is of the images alone, since no configuration has a second seed
    p_best: float | None  # that it is the best of those judged; None without a seed part
    places: tuple[int, int] | None  # 95 %; None without a seed part, and beyond the best hundred


def judge(samples: Sequence[Sample], *, maximize: bool) -> tuple[Uncertainty, ...]:
    """The verdict on each configuration, in the order of `samples`, which has no influence on it.

    All `per_image` are over the same m images in the same order: configurations are paired on images. Seeds are not
    paired: two networks of one seed have little in common. Places (Mogstad et al. 2024) count every configuration;
    p_best is 0 beyond the best hundred.

    Raises: ValueError when two samples have different numbers of images.
    """
    if not samples:
        return ()
    sizes = {sample.per_image.shape[1] for sample in samples if sample.per_image is not None}
    if len(sizes) > 1:
        raise ValueError(f"per_image must be over the same images in all samples, and there are {sorted(sizes)}")
    summaries = [_summary(sample) for sample in samples]
    order = sorted(range(len(samples)), key=lambda at: summaries[at].key(maximize))
    verdicts = _verdicts([summaries[at] for at in order], maximize)
    return tuple(verdict for _, verdict in sorted(zip(order, verdicts, strict=True), key=lambda pair: pair[0]))


@dataclass(frozen=True, eq=False)
class _Summary:
    """A sample's mean and variances. In the two-way table X_jx = mu + seed_j + image_x + residual_jx."""

    n: int
    mean: float
    spread: float  # the variance of the scores; 0 for one seed
    resolution: float  # the variance that rounding to whole images hides; 0 where scores are not shares
    is_share: bool
    image: float | None  # the variance of the mean over draws of the images
    images: int  # 0 where unknown
    residual: float | None  # the residual mean square; None for one seed or without per_image
    image_means: Floats | None  # (m,) over the seeds

    def key(self, maximize: bool) -> tuple[float, ...]:
        """Best mean first; equal means in an order that does not depend on where they came from."""
        # Of one seed each, as many images right is an everyday tie; which ones they are tells the two apart.
        images = 0 if self.image_means is None else crc32(self.image_means.tobytes())
        return (-self.mean if maximize else self.mean, self.n, self.spread, self.image or 0.0, images)


def _summary(sample: Sample) -> _Summary:
    scores = np.asarray(sample.scores, dtype=np.float64)
    n, mean = len(scores), float(scores.mean())
    spread = float(scores.var(ddof=1)) if n > 1 else 0.0
    if sample.per_image is None:
        m = sample.images or 0
        image = _binomial(mean, m) if m else None
        return _Summary(n, mean, spread, 1 / m**2 / 12 if m else 0.0, m > 0, image, m, None, None)
    is_share = bool(sample.per_image.min() >= 0 and sample.per_image.max() <= 1)
    table = np.array(sample.per_image, dtype=np.float64)  # (n, m)
    table -= table.mean()
    m = table.shape[1]
    image_means = table.mean(axis=0) if n > 1 else table[0]  # (m,) over the seeds, less the mean
    image = _sum_of_squares(image_means) / (m - 1) / m or (_binomial(mean, m) if is_share else 0.0)
    resolution = 1 / m**2 / 12 if is_share else 0.0
    return _Summary(n, mean, spread, resolution, is_share, image, m, _residual(table, image_means), image_means)


def _binomial(share: float, m: int) -> float:
    """The variance of a share of m images. All right, or all wrong, counts as one image short of it."""
    share = min(max(share, 1 / m), 1 - 1 / m)
    return share * (1 - share) / m


def _residual(table: Floats, image_means: Floats) -> float | None:
    """The residual mean square of the two-way table without repetition (n, m): total less seeds less images."""
    n, m = table.shape
    if n == 1:
        return None
    seeds = table.sum(axis=1) / m
    squares = _sum_of_squares(table) - m * _sum_of_squares(seeds) - n * _sum_of_squares(image_means)
    return float(max(0.0, squares) / ((n - 1) * (m - 1)))


def _sum_of_squares(values: Floats) -> float:
    """By einsum: BLAS would start threads for it, and beside trainings on every core they wait for each other."""
    return float(np.einsum("...i,...i->...", values, values).sum())


@dataclass(frozen=True)
class _Prior:
    """Seed variances scatter like variance * dof / chi-squared(dof) over configurations: inf is one for all."""

    variance: float
    dof: float
    pooled: float  # degrees of freedom that all configurations together have


def _prior(variances: Floats, dofs: Floats) -> _Prior | None:
    """Moment matching on the log variances (Smyth 2004, section 6.2); the pooled variance where they scatter by chance.

    The pooled one in place of Smyth's geometric mean: should variances differ after all, it errs on the wide side.
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
    """Newton's method on 1 / trigamma, which is convex and nearly linear (Smyth 2004, appendix)."""
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
    """Variances of each mean, (K,) each, best configuration first. Unknown is 0, with infinite degrees of freedom."""

    mean: Floats
    seed: Floats  # what the choice of seeds adds to the image part
    seed_raw: Floats  # the same before what both parts contain is taken out; its error is that of `seed`
    seed_dof: Floats
    seed_pooled: float
    image: Floats
    image_dof: Floats


def _parts(summaries: Sequence[_Summary]) -> tuple[_Parts, bool]:
    """The parts, and whether there is a seed part."""
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
    """(K,) variances of the scores, none of them 0: equal scores are equal to their resolution only."""
    spread = np.array([each.spread for each in summaries])
    resolution = np.array([each.resolution for each in summaries])
    positive = spread[spread > 0]
    least = 1e-5 * float(np.median(positive)) if len(positive) else 1e-30  # limma's floor, where there is no resolution
    floored: Floats = np.maximum(spread, np.where(resolution > 0, resolution, least))
    return floored


def _units(summaries: Sequence[_Summary]) -> Floats:
    """(K,) in which variances over seeds are compared: p(1 - p) of a share, as 0.5 has more room to vary than 0.99."""
    if not all(each.is_share for each in summaries):
        return np.ones(len(summaries))
    # Laplace's share, never 0 or 1
    share: Floats = np.array([(each.mean * each.images + 1) / (each.images + 2) for each in summaries])
    return share * (1 - share)


def _shared(summaries: Sequence[_Summary]) -> Floats:
    """(K,) residual variance of each mean, which is in the variance over seeds and in that over images.

    A configuration of one seed has no residual to look at: it borrows the mean one, up to its own variance over images.
    """
    known = [each.residual for each in summaries if each.residual is not None]
    borrowed = float(np.mean(known)) if known else 0.0
    return np.array([_shared_by(each, borrowed) for each in summaries])


def _shared_by(summary: _Summary, borrowed: float) -> float:
    if summary.image_means is None or summary.image is None:
        return 0.0
    if summary.residual is None:
        return min(borrowed / summary.images, summary.image)
    return summary.residual / (summary.n * summary.images)


def _verdicts(summaries: Sequence[_Summary], maximize: bool) -> list[Uncertainty]:
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
    """mean -+ t * sqrt(variance), with Satterthwaite's (1946) degrees of freedom; Wilson's (1927) form for a share.

    A share's is that of as many independent images as would have this variance (Korn and Graubard 1998). With 5 of 287
    images wrong the plain form covers 87 % instead of 95.
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
        (float(low[at]), float(high[at])) if has_seed_part or each.image is not None else None
        for at, each in enumerate(summaries)
    ]


def _dof(variance: Floats, squares: Floats) -> Floats:
    """Satterthwaite's; 1e9 stands for infinitely many, and none are fewer than 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(np.nan_to_num(variance**2 / squares, nan=1e9), 1, 1e9)


def _covariance(summaries: Sequence[_Summary]) -> Floats:
    """(C, C) covariance of the means over draws of the images; 0 between two of which one has no `per_image`."""
    covariance = np.diag([each.image or 0.0 for each in summaries])
    known = [at for at, each in enumerate(summaries) if each.image_means is not None]
    if known:
        means = np.stack([each.image_means for each in summaries if each.image_means is not None])  # (C', m)
        covariance[np.ix_(known, known)] = np.cov(means) / means.shape[1]
    return covariance


def _places(parts: _Parts, covariance: Floats, maximize: bool) -> list[tuple[int, int]]:
    """Between which places each of the compared may be: one test a pair, Bonferroni over the K - 1 tests of a row.

    With a configuration beyond the compared no correlation is assumed, which errs on the side of a tie.
    """
    c, k = len(covariance), len(parts.mean)
    image = parts.image[:c, None] + parts.image  # (C, K)
    image[:, :c] = np.maximum(0, image[:, :c] - 2 * covariance)  # rounding may leave less than nothing
    variance = parts.seed[:c, None] + parts.seed + image
    raw = parts.seed_raw[:c, None] + parts.seed_raw
    # The fewer of the two: two variances that lean on one pool are not independent, and Satterthwaite's are too many
    # this far out in the tails (2 seeds, scores alone, 30 equal configurations with spreads far apart: 71 % of places
    # held, and hold in 86 % so; 3 seeds with spreads less far apart: 90 and 94).
    of_seeds = raw**2 / np.minimum(parts.seed_dof[:c, None], parts.seed_dof)
    of_images = image**2 / np.minimum(parts.image_dof[:c, None], parts.image_dof)
    lead = parts.mean[:c, None] - parts.mean if maximize else parts.mean - parts.mean[:c, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.nan_to_num(np.abs(lead) / np.sqrt(variance))
    differs = 2 * stdtr(_dof(variance, of_seeds + of_images), -t) < _LEVEL / max(1, k - 1)
    better, worse = (differs & (lead < 0)).sum(axis=1), (differs & (lead > 0)).sum(axis=1)
    return [(1 + int(above), k - int(below)) for above, below in zip(better, worse, strict=True)]


def _p_best(parts: _Parts, covariance: Floats, maximize: bool) -> list[float]:
    """The share of draws of all expected scores in which each of the compared is the best; equal draws are shared."""
    c = len(covariance)
    rng = np.random.default_rng(0)
    values, vectors = np.linalg.eigh(covariance)
    values[values < 1e-12 * values.max()] = 0  # rounding, which would part configurations that are equal
    drawn = rng.standard_normal((_DRAWS, c)) * np.sqrt(values) @ vectors.T
    drawn += rng.standard_t(np.minimum(parts.seed_dof[:c], 1e9), (_DRAWS, c)) * np.sqrt(parts.seed[:c])
    drawn += parts.mean[:c] if maximize else -parts.mean[:c]  # all the errors are symmetric
    equal = 1e-6 * math.sqrt(float(np.max(parts.seed[:c] + parts.image[:c]))) + 1e-12 * float(np.abs(parts.mean).max())
    is_best = drawn >= drawn.max(axis=1, keepdims=True) - equal
    return [float(share) for share in (is_best / is_best.sum(axis=1, keepdims=True)).mean(axis=0)]

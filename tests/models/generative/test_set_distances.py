"""Distances of sets against plain computations of the same definitions, and on sets whose answer is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.linalg

from tune_jobs.models.generative import set_distances

RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(40, 5))
DRAWN = RNG.normal(0.3, 1.2, size=(33, 5))


def kernel(x: np.ndarray, y: np.ndarray) -> float:
    return float((x @ y / len(x) + 1) ** 3)


def slow_kernel_distance(real: np.ndarray, drawn: np.ndarray) -> float:
    """The unbiased estimate, pair by pair (Gretton et al. 2012, equation 3)."""
    within = [np.mean([kernel(x, y) for x, y in itertools.permutations(features, 2)]) for features in (real, drawn)]
    return float(sum(within) - 2 * np.mean([kernel(x, y) for x, y in itertools.product(real, drawn)]))


def test_the_kernel_distance_is_that_of_all_pairs() -> None:
    distance, _ = set_distances.kernel_distance(REAL, DRAWN)
    assert distance == pytest.approx(slow_kernel_distance(REAL, DRAWN))


def test_its_error_is_the_jackknife_that_leaves_each_image_out() -> None:
    variance = 0.0
    for place, features in enumerate((REAL, DRAWN)):
        left = [
            slow_kernel_distance(*(np.delete(each, n, 0) if each is features else each for each in (REAL, DRAWN)))
            for n in range(len(features))
        ]
        variance += (len(left) - 1) * np.var(left)
        assert place < 2
    assert set_distances.kernel_distance(REAL, DRAWN)[1] == pytest.approx(np.sqrt(variance))


def test_two_draws_of_one_distribution_are_no_kernel_distance_apart_on_average() -> None:
    pairs = [set_distances.kernel_distance(*RNG.normal(size=(2, 50, 4))) for _ in range(200)]
    distances, errors = np.array(pairs).T
    assert abs(distances.mean()) < 3 * distances.std() / np.sqrt(200)  # the estimate is not biased
    assert distances.min() < 0
    assert np.abs(distances / errors < 3).mean() > 0.95


def test_the_frechet_distance_is_that_of_the_matrix_square_root() -> None:
    means = [features.mean(axis=0) for features in (REAL, DRAWN)]
    covariances = [np.cov(features, rowvar=False) for features in (REAL, DRAWN)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = ((means[0] - means[1]) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert set_distances.frechet_distance(REAL, DRAWN) == pytest.approx(expected)


def slow_share_covered(points: np.ndarray, by: np.ndarray, neighbours: int) -> float:
    """The share of points within a ball about one of the others that reaches its k-th neighbour."""
    radii = [sorted(np.linalg.norm(by - one, axis=1))[neighbours] for one in by]
    balls = list(zip(by, radii, strict=True))
    return float(np.mean([any(np.linalg.norm(point - one) <= radius for one, radius in balls) for point in points]))


@pytest.mark.parametrize("neighbours", [1, 3, 5])
def test_precision_and_recall_are_shares_within_the_balls_of_the_neighbours(neighbours: int) -> None:
    precision, recall = set_distances.precision_and_recall(REAL, DRAWN, neighbours)
    assert precision == slow_share_covered(DRAWN, REAL, neighbours)
    assert recall == slow_share_covered(REAL, DRAWN, neighbours)
    assert 0 < precision < 1


def test_a_set_and_itself_are_as_near_as_can_be() -> None:
    distance, error = set_distances.kernel_distance(REAL, REAL)
    assert distance < 0 < error  # unbiased: a set of its own copies is nearer than a new draw would be
    assert set_distances.frechet_distance(REAL, REAL) == pytest.approx(0, abs=1e-9)
    assert set_distances.precision_and_recall(REAL, REAL) == (1, 1)
    assert set_distances.diversity(REAL, REAL) == pytest.approx(1)


def test_a_dropped_class_costs_recall_and_not_precision() -> None:
    centres = 50 * np.eye(4)
    classes = np.repeat(np.arange(4), 100)
    real, drawn = (centres[classes] + RNG.normal(size=(400, 4)) for _ in range(2))
    kept = classes < 3
    whole, cut = (set_distances.precision_and_recall(real, some) for some in (drawn, drawn[kept]))
    assert cut[0] > 0.9
    assert cut[1] == pytest.approx(whole[1] - 0.25, abs=0.05)
    assert set_distances.class_coverage(classes, classes[kept]) == 0.75
    assert set_distances.kernel_distance(real, drawn[kept])[0] > 10 * set_distances.kernel_distance(real, drawn)[1]


def test_one_repeated_image_has_no_diversity_and_no_recall() -> None:
    repeated = np.repeat(REAL[:1], 40, axis=0)
    assert set_distances.diversity(REAL, repeated) == pytest.approx(0)
    precision, recall = set_distances.precision_and_recall(REAL, repeated)
    assert (precision, recall) == (1, 1 / 40)
    assert set_distances.frechet_distance(REAL, repeated) > np.trace(np.cov(REAL, rowvar=False))


def test_a_class_is_drawn_from_a_tenth_of_its_share() -> None:
    real = np.repeat([0, 1], [90, 10])
    assert set_distances.class_coverage(real, np.repeat([0, 1], [99, 1])) == 1
    assert set_distances.class_coverage(real, np.repeat([0, 1], [100, 0])) == 0.5
    assert set_distances.class_coverage(real, np.repeat([0, 1, 2], [8, 1, 91])) == 0.5


def test_sets_that_are_too_small_are_refused() -> None:
    with pytest.raises(ValueError, match="three images of each kind; got 40 and 2"):
        set_distances.kernel_distance(REAL, DRAWN[:2])
    with pytest.raises(ValueError, match="3 neighbours need more images of each kind; got 3 and 33"):
        set_distances.precision_and_recall(REAL[:3], DRAWN)

"""Intervals, places and probabilities against the textbook, and against studies whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from tune_jobs.leaderboard import inference
from tune_jobs.leaderboard.inference import Floats, Sample, Uncertainty, uncertainties


def sample(table: Floats) -> Sample:
    return Sample(table.mean(axis=1), table)


def minutes(rng: np.random.Generator, n: int, m: int, seed_std: float, mean: float = 20.0) -> Sample:
    """Errors in minutes: no shares, so that nothing is clipped or bent."""
    images = rng.normal(mean, 4, m)
    return sample(images + rng.normal(0, seed_std, (n, 1)) + rng.normal(0, 2, (n, m)))


def textbook(table: Floats, seed_variance: float) -> tuple[float, float, float]:
    """The mean's seed part, before and after what both parts share is taken out, and its image part; with loops."""
    n, m = table.shape
    seeds = [sum(row) / m for row in table]
    images = [sum(table[j][x] for j in range(n)) / n for x in range(m)]
    grand = sum(seeds) / n
    residual = sum((table[j][x] - seeds[j] - images[x] + grand) ** 2 for j in range(n) for x in range(m))
    residual /= (n - 1) * (m - 1)
    image = sum((each - grand) ** 2 for each in images) / (m - 1) / m
    return seed_variance / n, max(0.0, seed_variance / n - residual / (n * m)), image


def pooled(samples: Sequence[Sample]) -> tuple[float, int]:
    """The seeds' pooled variance, and its degrees of freedom."""
    dof = sum(len(each.scores) - 1 for each in samples)
    return sum(((each.scores - each.scores.mean()) ** 2).sum() for each in samples) / dof, dof


def satterthwaite(variance: float, *parts: tuple[float, float]) -> float:
    return variance**2 / sum(part**2 / dof for part, dof in parts)


@pytest.mark.parametrize("n", [1, 2])
def test_right_and_wrong_images_say_the_same_as_whole_numbers_and_as_floats(n: int) -> None:
    rng = np.random.default_rng(3)
    tables = [(rng.random((seeds, 300)) < share).astype(np.uint8) for seeds in (n, 3) for share in (0.7, 0.8, 0.8)]
    of_whole, of_floats = (
        uncertainties([Sample(table.mean(axis=1), table.astype(kind)) for table in tables], maximize=True)
        for kind in (np.uint8, np.float64)
    )
    for whole, floats in zip(of_whole, of_floats, strict=True):
        assert whole.interval == pytest.approx(floats.interval, rel=1e-12)
        assert (whole.p_best, whole.places) == (pytest.approx(floats.p_best, abs=1e-12), floats.places)


@pytest.mark.parametrize("seed_std", [0.0, 1.0])
def test_an_interval_is_the_textbooks_for_two_crossed_random_effects(seed_std: float) -> None:
    rng = np.random.default_rng(0)
    samples = [minutes(rng, n, 60, seed_std) for n in (3, 5)]
    variance, dof = pooled(samples)
    for each, result in zip(samples, uncertainties(samples, maximize=False), strict=True):
        assert each.per_image is not None
        raw, seed, image = textbook(np.asarray(each.per_image, dtype=np.float64), variance)
        assert (seed > 0) == (seed_std == 1.0)
        t = stats.t(satterthwaite(seed + image, (raw, dof), (image, 59)))
        half = t.ppf(0.975) * math.sqrt(seed + image)
        assert result.interval == pytest.approx((each.scores.mean() - half, each.scores.mean() + half))


def test_a_score_of_which_nothing_else_is_known_has_students_interval() -> None:
    losses = np.array([0.31, 0.29, 0.36, 0.33])
    (result,) = uncertainties([Sample(losses)], maximize=False)
    assert result.interval == pytest.approx(stats.ttest_1samp(losses, 0).confidence_interval(0.95))


def test_one_seed_each_is_an_interval_of_the_images_alone() -> None:
    errors = np.random.default_rng(0).normal(20, 4, (2, 1, 80))
    results = uncertainties([sample(each) for each in errors], maximize=False)
    for each, result in zip(errors, results, strict=True):
        assert result.interval == pytest.approx(stats.ttest_1samp(each[0], 0).confidence_interval(0.95))
        assert (result.has_seed_part, result.p_best, result.places) == (False, None, None)
    assert uncertainties([Sample(np.array([0.3]))], maximize=False) == (Uncertainty(None, False, None, None),)


@pytest.mark.parametrize("right", [0, 4, 250, 282, 287])
def test_a_share_of_one_seed_has_wilsons_interval(right: int) -> None:
    (result,) = uncertainties([Sample(np.array([right / 287]), images=287)], maximize=True)
    low, high = stats.binomtest(right, 287).proportion_ci(0.95, method="wilson")
    assert result.interval == pytest.approx((low, high), abs=4e-4)  # t of 286 degrees of freedom is not quite normal


def wilson(p: float, variance: float, t: float) -> tuple[float, float]:
    """The truths that p is `t` standard errors from, when the variance is that of a truth of p."""

    def surprise(truth: float) -> float:
        return float((p - truth) ** 2 - t**2 * variance * truth * (1 - truth) / (p * (1 - p)))

    return optimize.brentq(surprise, 1e-9, p, xtol=1e-12), optimize.brentq(surprise, p, 1 - 1e-9, xtol=1e-12)


def test_a_share_of_several_seeds_is_wilsons_with_the_variance_of_both_parts() -> None:
    rng = np.random.default_rng(1)
    right = (rng.random((4, 300)) < rng.beta(8, 1, 300) + rng.normal(0, 0.05, (4, 1))).astype(np.uint8)
    raw, seed, image = textbook(right.astype(np.float64), float(right.mean(axis=1).var(ddof=1)))
    t = stats.t(satterthwaite(seed + image, (raw, 3), (image, 299))).ppf(0.975)
    (result,) = uncertainties([Sample(right.mean(axis=1), right)], maximize=True)
    assert result.interval == pytest.approx(wilson(float(right.mean()), seed + image, t), abs=1e-9)


def test_shares_of_a_known_number_of_images_are_binomial_and_pool_their_spread_in_units_of_it() -> None:
    shares = [np.array([0.80, 0.84, 0.78]), np.array([0.96, 0.97])]
    ones = [(share.mean() * 200 + 1) / 202 for share in shares]
    units = [one * (1 - one) for one in ones]
    pool = sum(share.var(ddof=1) * (len(share) - 1) / unit for share, unit in zip(shares, units, strict=True)) / 3
    results = uncertainties([Sample(share, images=200) for share in shares], maximize=True)
    for share, unit, result in zip(shares, units, results, strict=True):
        p = float(share.mean())
        raw, image = pool * unit / len(share), p * (1 - p) / 200
        t = stats.t(satterthwaite(raw + image, (raw, 3), (image, 199))).ppf(0.975)
        assert result.interval == pytest.approx(wilson(p, raw + image, t), abs=1e-9)


def test_one_seed_borrows_the_residual_that_both_parts_share() -> None:
    rng = np.random.default_rng(7)
    samples = [minutes(rng, n, 60, 1.0) for n in (3, 3, 1)]
    variance, dof = pooled(samples)
    tables = [np.asarray(each.per_image, dtype=np.float64) for each in samples]
    residual = sum((variance / 3 - textbook(table, variance)[1]) * 3 for table in tables[:2]) / 2
    image = tables[2][0].var(ddof=1) / 60
    total = variance - residual + image
    half = stats.t(satterthwaite(total, (variance, dof), (image, 59))).ppf(0.975) * math.sqrt(total)
    middle = samples[2].scores[0]
    assert uncertainties(samples, maximize=False)[2].interval == pytest.approx((middle - half, middle + half))


def test_without_its_images_a_configuration_is_not_paired() -> None:
    """Two independent means: both binomial variances in full, whatever the images have in common."""
    right = (np.random.default_rng(0).random((2, 400)) < [[0.79], [0.82]]).astype(np.float64)
    scores, image = right.mean(axis=1), right.mean(axis=0).var(ddof=1) / 400
    m = 400

    def surprise(lead: float) -> float:
        ones = [(scores.mean() * m + 1) / (m + 2), ((scores.mean() - lead) * m + 1) / (m + 2)]
        units = [one * (1 - one) for one in ones]
        pool = scores.var(ddof=1) * (1 / units[0] + 1 / units[1]) / 2
        p = scores.mean() - lead
        first = textbook(right, pool * units[0])
        raw, seed = first[0] + pool * units[1] / 2, first[1] + pool * units[1] / 2
        images = image + p * (1 - p) / m
        dof = satterthwaite(seed + images, (raw, 2), (images, m - 1))
        return float(lead / math.sqrt(seed + images) - stats.t(dof).ppf(0.975))

    edge = optimize.brentq(surprise, 0.01, 0.5)
    for lead, places in ((edge - 1e-4, (1, 2)), (edge + 1e-4, (1, 1))):
        best, _ = uncertainties([sample(right), Sample(scores - lead, images=m)], maximize=True)
        assert best.places == places


def separated(lead: float, better: Floats, worse: Floats) -> bool:
    """Whether two tables, the first moved `lead` below the second (errors), are told apart."""
    moved = better - better.mean() + worse.mean() - lead
    results = uncertainties([sample(moved), sample(worse)], maximize=False)
    assert [result.places for result in results] in ([(1, 2), (1, 2)], [(1, 1), (2, 2)])
    return results[0].places == (1, 1)


def test_two_are_told_apart_just_where_the_paired_test_says() -> None:
    rng = np.random.default_rng(4)
    images = rng.normal(20, 6, 20)
    first, second = (images + rng.normal(0, 1, (n, 1)) + rng.normal(0, 2, (n, 20)) for n in (3, 5))
    variance, dof = pooled([sample(first), sample(second)])
    raw, seed = np.sum([textbook(table, variance)[:2] for table in (first, second)], axis=0)
    image = (first.mean(axis=0) - second.mean(axis=0)).var(ddof=1) / 20
    t = stats.t(satterthwaite(seed + image, (raw, dof), (image, 19))).ppf(0.975)
    edge = t * math.sqrt(seed + image)
    assert separated(edge * 1.001, first, second)
    assert not separated(edge * 0.999, first, second)
    unpaired = t * math.sqrt(seed + first.mean(axis=0).var(ddof=1) / 20 + second.mean(axis=0).var(ddof=1) / 20)
    assert edge < 0.9 * unpaired


def test_places_count_every_comparison_of_a_row() -> None:
    """Student's two-sample test with the pooled variance, at 5 % over the number of the others."""
    rng = np.random.default_rng(8)
    scores = rng.normal(0, 1, (6, 4)) + np.array([0, 0, 1, 2, 4, 8])[:, None]
    variance, dof = pooled([Sample(each) for each in scores])
    for row, result in zip(scores, uncertainties([Sample(each) for each in scores], maximize=True), strict=True):
        t = (scores.mean(axis=1) - row.mean()) / math.sqrt(variance * (1 / 4 + 1 / 4))
        differs = 2 * stats.t(dof).sf(abs(t)) < 0.05 / 5
        assert result.places == (1 + np.sum(differs & (t > 0)), 6 - np.sum(differs & (t < 0)))


@settings(deadline=None, max_examples=25)
@given(st.floats(1e-4, 1e4))
def test_the_inverse_of_trigamma_is_its_inverse(value: float) -> None:
    found = inference._inverse_trigamma(value)
    expected = optimize.brentq(lambda log: math.log(float(stats_trigamma(math.exp(log))) / value), -20, 20, xtol=1e-14)
    assert found == pytest.approx(math.exp(expected), rel=1e-6)


def stats_trigamma(x: float) -> float:
    """The sum of 1 / (x + k)^2 with the tail by Euler and Maclaurin."""
    head = math.fsum(1 / (x + k) ** 2 for k in range(200))
    y = x + 200
    return head + 1 / y + 1 / (2 * y**2) + 1 / (6 * y**3)


def test_variances_are_moderated_as_they_were_drawn() -> None:
    """Seed variances 0.04 * 6 / chi-squared(6), three seeds each: what was drawn is found again."""
    rng = np.random.default_rng(0)
    variances = 0.04 * 6 / rng.chisquare(6, 20_000) * rng.chisquare(2, 20_000) / 2
    prior = inference._prior(variances, np.full(20_000, 2.0))
    assert prior is not None
    assert prior.dof == pytest.approx(6, rel=0.1)
    assert prior.variance == pytest.approx(0.04, rel=0.03)
    likeliest = optimize.minimize(
        lambda at: -stats.f.logpdf(variances, 2, math.exp(at[0]), scale=math.exp(at[1])).sum(), [1.0, -3.0]
    )
    assert (prior.dof, prior.variance) == pytest.approx(np.exp(likeliest.x), rel=0.1)


def test_variances_that_scatter_by_chance_alone_are_pooled() -> None:
    equal = stats.chi2(2).ppf(np.linspace(0.05, 0.95, 12)) / 2
    dofs = np.full(12, 2.0)
    assert inference._prior(equal, dofs) == inference._Prior(float(equal @ dofs) / 24, math.inf, 24)
    different = inference._prior(equal * np.repeat([1, 1000], 6), dofs)
    assert different is not None
    assert different.dof < 2
    few = inference._prior(equal[:7] * np.array([1, 1000, 1, 1000, 1, 1000, 1]), dofs[:7])
    assert few is not None
    assert math.isinf(few.dof)


def test_one_seed_borrows_the_spread_of_the_others() -> None:
    losses = [np.array([0.31, 0.35, 0.33]), np.array([0.52, 0.47, 0.50]), np.array([0.40])]
    variance, dof = pooled([Sample(each) for each in losses])
    half = stats.t(dof).ppf(0.975) * math.sqrt(variance)
    assert uncertainties([Sample(each) for each in losses], maximize=False)[2].interval == pytest.approx(
        (0.4 - half, 0.4 + half)
    )


@pytest.mark.parametrize("is_known", [True, False])
def test_equal_shares_are_known_to_their_resolution_only(is_known: bool) -> None:
    row = (np.arange(100) < 80).astype(np.float64)
    equal = Sample(np.full(3, 0.8), np.tile(row, (3, 1))) if is_known else Sample(np.full(3, 0.8), images=100)
    raw, image = 1 / 100**2 / 12 / 3, 0.8 * 0.2 / (99 if is_known else 100)
    t = stats.t(satterthwaite(raw + image, (raw, 2), (image, 99))).ppf(0.975)
    (result,) = uncertainties([equal], maximize=True)
    assert result.interval == pytest.approx(wilson(0.8, raw + image, t), abs=1e-9)


def test_all_right_is_not_known_to_be_always_right() -> None:
    (result,) = uncertainties([Sample(np.ones(3), np.ones((3, 287)))], maximize=True)
    assert result.interval is not None
    assert 0.97 < result.interval[0] < 0.99
    assert result.interval[1] == pytest.approx(1)


def test_equal_losses_are_a_spread_like_any_other() -> None:
    rng = np.random.default_rng(0)
    (alone,) = uncertainties([Sample(np.full(3, 0.75))], maximize=False)
    assert alone.interval == pytest.approx((0.75, 0.75))
    losses = [np.full(3, 0.75), *rng.normal(0.5, 0.1, (9, 3))]
    for each, result in zip(losses, uncertainties([Sample(each) for each in losses], maximize=False), strict=True):
        assert result.interval is not None
        assert result.interval[0] < each.mean() < result.interval[1]


def test_what_is_better_by_the_same_on_every_image_is_told_apart() -> None:
    for seed in range(20):
        row = np.random.default_rng(seed).normal(20, 4, 50)
        better, worse = uncertainties([sample(np.tile(row + shift, (2, 1))) for shift in (0, 5)], maximize=False)
        assert (better.places, worse.places) == ((1, 1), (2, 2))


@dataclass(frozen=True)
class World:
    """A probit model: right is [a + seed + image + image of the configuration + noise > 0], all of them normal.

    The expected accuracy is `accuracy` exactly, a = Phi^-1(accuracy) * sqrt(the sum of the variances).
    """

    accuracy: tuple[float, ...]
    n: tuple[int, ...]
    m: int
    seed_std: tuple[float, ...]  # of the latent value; about a sixth of it in accuracy
    own_std: float = 0.4
    noise_std: float = 0.1

    def studies(self, count: int, seed: int) -> list[tuple[Uncertainty, ...]]:
        rng = np.random.default_rng(seed)
        return [uncertainties([sample(right) for right in self._study(rng)], maximize=True) for _ in range(count)]

    def _study(self, rng: np.random.Generator) -> list[Floats]:
        images = rng.standard_normal(self.m)
        return [
            (
                stats.norm.ppf(accuracy) * math.sqrt(seed_std**2 + 1 + self.own_std**2 + self.noise_std**2)
                + rng.normal(0, seed_std, (n, 1))
                + (images + rng.normal(0, self.own_std, self.m))
                + rng.normal(0, self.noise_std, (n, self.m))
                > 0
            ).astype(np.float64)
            for accuracy, n, seed_std in zip(self.accuracy, self.n, self.seed_std, strict=True)
        ]

    def true_places(self) -> list[tuple[int, int]]:
        """Equal configurations share theirs."""
        return [
            (1 + sum(other > each for other in self.accuracy), sum(other >= each for other in self.accuracy))
            for each in self.accuracy
        ]


_SPREAD = (0.882, 0.880, 0.878, 0.876, 0.87, 0.865, 0.85, 0.82)
WORLDS = {
    "3 seeds, 1,000 images": World(_SPREAD, (3,) * 8, 1000, (0.02,) * 8),
    "5 seeds, 2,000 images": World(_SPREAD, (5,) * 8, 2000, (0.02,) * 8),
    "3 and 1 seeds, 2,000 images": World(_SPREAD, (3, 1) * 4, 2000, (0.03,) * 8),
    "2 seeds, 2,000 images": World(_SPREAD, (2,) * 8, 2000, (0.03,) * 8),
    "3 seeds, 287 images, few wrong": World((0.985, 0.98, 0.975, 0.96), (3,) * 4, 287, (0.03,) * 4),
    "3 seeds, all equal": World((0.88,) * 8, (3,) * 8, 1000, (0.03,) * 8),
}


# Variances over seeds a hundredfold apart, of which three seeds each show little: what borrows is borrowed too much.
UNEQUAL = World(_SPREAD, (3,) * 8, 2000, (0.01, 0.1, 0.02, 0.08, 0.03, 0.05, 0.04, 0.1))


@dataclass(frozen=True)
class Figures:
    """How often it held, over studies."""

    interval: float
    places: float  # the least of the configurations'
    best_not_tied: float
    tied: float  # how many, on average

    @classmethod
    def of(cls, world: World, studies: Sequence[tuple[Uncertainty, ...]]) -> Figures:
        places = [[_places(result) for result in study] for study in studies]
        covered = [
            [_covers(result, truth) for result, truth in zip(study, world.accuracy, strict=True)] for study in studies
        ]
        held = [
            [
                low <= truth[0] and truth[1] <= high
                for (low, high), truth in zip(study, world.true_places(), strict=True)
            ]
            for study in places
        ]
        return cls(
            float(np.mean(covered)),
            float(np.mean(held, axis=0).min()),
            float(np.mean([study[0][0] > 1 for study in places])),
            float(np.mean([sum(low == 1 for low, _ in study) for study in places])),
        )


def _covers(result: Uncertainty, truth: float) -> bool:
    assert result.interval is not None
    return result.interval[0] <= truth <= result.interval[1]


def _places(result: Uncertainty) -> tuple[int, int]:
    assert result.places is not None
    return result.places


def simulated(name: str, world: World) -> Figures:
    """400 studies, and the row of the table in docs/leaderboard.md."""
    figures = Figures.of(world, world.studies(400, seed=1))
    print(
        f"\n| {name} | {figures.interval:.1%} | {figures.places:.1%} | {figures.best_not_tied:.2%} "
        f"| {figures.tied:.1f} of {len(world.n)} |"
    )
    return figures


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_in_simulated_studies_intervals_and_places_hold_as_often_as_they_say(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "_DRAWS", 2)  # p_best is not looked at
    figures = simulated(name, WORLDS[name])
    assert 0.93 < figures.interval < 0.97
    assert figures.places > 0.95 - 1.96 * math.sqrt(0.95 * 0.05 / 400)  # what 400 studies can tell
    assert figures.best_not_tied < 0.05


@pytest.mark.slow
def test_the_winner_of_many_is_lucky_by_as_much_as_the_document_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty configurations within 0.6 % of accuracy (standard deviation), three seeds each."""
    monkeypatch.setattr(inference, "_DRAWS", 500)
    rng = np.random.default_rng(5)
    luck, covered, said, was = [], [], [], []
    for _ in range(150):
        accuracy = rng.normal(0.88, 0.006, 40)
        study = [sample(right) for right in World(tuple(accuracy), (3,) * 40, 1000, (0.02,) * 40)._study(rng)]
        results = uncertainties(study, maximize=True)
        winner = int(np.argmax([each.scores.mean() for each in study]))
        luck.append(study[winner].scores.mean() - accuracy[winner])
        covered.append(_covers(results[winner], accuracy[winner]))
        said.append(results[winner].p_best or 0.0)
        was.append(winner == accuracy.argmax())
    print(
        f"\nthe winner of 40: {np.mean(luck):+.4f} above its truth, in its interval in {np.mean(covered):.0%}, "
        f"the best with {np.mean(said):.0%} and in {np.mean(was):.0%}"
    )
    assert 0.004 < np.mean(luck) < 0.012
    assert 0.8 < np.mean(covered) < 0.95
    assert abs(np.mean(said) - np.mean(was)) < 0.15


@pytest.mark.slow
def test_spreads_tenfold_apart_cost_intervals_a_few_percent_and_places_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "_DRAWS", 2)
    figures = simulated("3 seeds, 2,000 images, spreads over seeds up to tenfold apart", UNEQUAL)
    assert 0.91 < figures.interval < 0.97
    assert figures.places > 0.95
    assert figures.best_not_tied < 0.05


def test_what_is_clearly_better_is_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "_DRAWS", 2)
    world = World((0.90, 0.86, 0.86, 0.84), (3,) * 4, 2000, (0.02,) * 4)
    alone = [[_places(result)[0] for result in study].count(1) == 1 for study in world.studies(100, seed=2)]
    assert np.mean(alone) > 0.9


def test_probabilities_are_those_of_normal_differences() -> None:
    """Two paired configurations with hundreds of seeds: Phi of the difference over its standard error."""
    rng = np.random.default_rng(6)
    images = rng.normal(20, 4, 100)
    tables = [images + rng.normal(0, 1, 100) + rng.normal(0, 4, (400, 1)) for _ in range(2)]
    tables[0] += tables[1].mean() - tables[0].mean() - 0.3
    variance, _ = pooled([sample(each) for each in tables])
    error = math.sqrt((tables[0][0] - tables[1][0]).var(ddof=1) / 100 + variance * 2 / 400)
    first, second = uncertainties([sample(each) for each in tables], maximize=False)
    assert first.p_best == pytest.approx(stats.norm.cdf(0.3 / error), abs=0.01)
    assert second.p_best == pytest.approx(1 - stats.norm.cdf(0.3 / error), abs=0.01)


def any_study(rng: np.random.Generator) -> list[Sample]:
    kinds: list[Callable[[], Sample]] = [
        lambda: sample((rng.random((int(rng.integers(1, 4)), 50)) < 0.8).astype(np.float64)),
        lambda: Sample(rng.uniform(0.7, 0.9, int(rng.integers(1, 4))), images=50),
        lambda: Sample(rng.uniform(0.7, 0.9, int(rng.integers(1, 4)))),
    ]
    return [kinds[int(rng.integers(3))]() for _ in range(int(rng.integers(1, 12)))]


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_results_belong_to_samples_whatever_their_order(seed: int, maximize: bool) -> None:
    rng = np.random.default_rng(seed)
    samples = any_study(rng)
    results = uncertainties(samples, maximize=maximize)
    order = rng.permutation(len(samples))
    assert uncertainties([samples[at] for at in order], maximize=maximize) == tuple(results[at] for at in order)
    if results[0].has_seed_part:
        assert sum(result.p_best or 0 for result in results) == pytest.approx(1)
        assert all(1 <= low <= high <= len(samples) for low, high in map(_places, results))


EXACT = np.arange(64) < 48  # sums of it are exact in any order: what is equal is equal to the last digit


@pytest.mark.parametrize(
    "equals",
    [
        [sample(np.random.default_rng(at).permutation(EXACT)[None].astype(np.float64)) for at in range(5)],
        [Sample(np.array(scores)) for scores in ([0.75], [0.75, 0.75], [0.5, 1.0], [0.625, 0.875])],
        [Sample(np.array([0.5, 1.0]), images=images) for images in (64, 128, 256)],
    ],
    ids=["by images", "by seeds", "by how many images"],
)
def test_the_order_has_no_influence_among_equal_scores(equals: list[Sample]) -> None:
    assert {each.scores.mean() for each in equals} == {0.75}
    samples = [*equals, sample((np.random.default_rng(9).random((3, 64)) < 0.8).astype(np.float64))]
    results = uncertainties(samples, maximize=True)
    for order in (np.arange(len(samples))[::-1], np.random.default_rng(0).permutation(len(samples))):
        assert uncertainties([samples[at] for at in order], maximize=True) == tuple(results[at] for at in order)


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_less_is_better_is_more_is_better_of_the_negative(seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = [minutes(rng, 2, 20, 1.0) for _ in range(5)]
    negative = [sample(-np.asarray(each.per_image, dtype=np.float64)) for each in samples]
    for less, more in zip(uncertainties(samples, maximize=False), uncertainties(negative, maximize=True), strict=True):
        assert less.places == more.places
        assert less.p_best == pytest.approx(more.p_best, abs=0.02)


def test_equal_configurations_share_the_probability() -> None:
    right = (np.random.default_rng(2).random((3, 200)) < 0.8).astype(np.float64)
    for result in uncertainties(
        [sample(right[order, :]) for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0], [0, 2, 1])], maximize=True
    ):
        assert result.p_best == pytest.approx(0.25, abs=0.015)
        assert result.places == (1, 4)
    same = np.tile(right[:1], (2, 1))
    noisy = minutes(np.random.default_rng(0), 2, 200, 0.0, mean=-1000)
    shared = uncertainties([sample(same), sample(same), noisy], maximize=True)
    assert [result.p_best for result in shared] == pytest.approx([0.5, 0.5, 0], abs=0.02)


def test_a_clear_winner_is_the_best_with_near_certainty() -> None:
    rng = np.random.default_rng(0)
    samples = [minutes(rng, 3, 200, 0.1, mean) for mean in (10, 20, 20, 25)]
    results = uncertainties(samples, maximize=False)
    assert results[0].places == (1, 1)
    assert (results[0].p_best or 0) > 0.99
    assert (uncertainties(samples, maximize=True)[3].p_best or 0) > 0.99


@pytest.mark.slow
def test_beyond_the_best_hundred_there_are_intervals_only() -> None:
    rng = np.random.default_rng(0)
    samples = [Sample(rng.normal(at, 0.1, 3)) for at in range(103)]
    results = uncertainties(samples, maximize=False)
    assert [result.places for result in results] == [*((at, at) for at in range(1, 101)), None, None, None]
    assert [result.p_best for result in results[99:]] == [0, 0, 0, 0]
    assert all(result.interval is not None for result in results)
    assert uncertainties([], maximize=True) == ()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Sample(np.array([])), "one finite number a seed"),
        (lambda: Sample(np.array([0.5, math.nan])), "one finite number a seed"),
        (lambda: Sample(np.array([[0.5]])), "one finite number a seed"),
        (lambda: Sample(np.array([0.5]), np.ones((2, 9))), r"1 seeds by 2 images or more; got \(2, 9\)"),
        (lambda: Sample(np.array([0.5]), np.ones((1, 1))), "1 seeds by 2 images or more"),
        (lambda: Sample(np.array([0.5]), np.ones(9)), "1 seeds by 2 images or more"),
        (lambda: Sample(np.array([0.5]), np.ones((1, 9)), images=9), "images is for samples without per_image"),
        (lambda: Sample(np.array([1.5]), images=9), "must be shares"),
        (lambda: Sample(np.array([-0.5]), images=9), "must be shares"),
        (lambda: Sample(np.array([0.5]), images=1), "must be shares"),
        (
            lambda: uncertainties([sample(np.ones((1, 9))), sample(np.ones((1, 8)))], maximize=True),
            r"same images in all samples; got \[8, 9\]",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()

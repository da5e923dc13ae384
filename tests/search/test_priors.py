"""A search learns from the trials of another study, as far as these rank its own trials well."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pytest

from tests.support.trials import trial_record
from tune_jobs.records.studies import Search
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search import gaussian_process, samplers
from tune_jobs.search.bayesian import GaussianProcessSampler
from tune_jobs.search.prior_tpe import normal_scores
from tune_jobs.search_spaces import Choice, Fixed, Float, Int, Objective, OneFactor, Params, Space, Variants
from tune_jobs.search_spaces.fitting import overlapping

MAXIMIZE = Objective("val_accuracy", "maximize")
SPACE = Space(x=Float(0.0, 1.0), y=Float(0.0, 1.0), kind=Choice("a", "b"))
LEARNING: tuple[Search, ...] = ("tpe", "gp")
Score = Callable[[Params], float]


def near(x: float, y: float) -> Score:
    """Best, at 1, in a point of kind a."""
    return lambda p: 1 - abs(float(p["x"]) - x) - abs(float(p["y"]) - y) - 0.3 * (p["kind"] == "b")  # type: ignore[arg-type]


def ended(number: int, params: Params, score: float) -> TrialRecord:
    return trial_record(number, params, score=score, history=({"val_accuracy": score},))


def drawn(score: Score, n: int = 30) -> tuple[TrialRecord, ...]:
    """A study that random search made."""
    asked = islice(iter(samplers.make_sampler("random", SPACE, MAXIMIZE, 7, ()).ask, None), n)
    return tuple(ended(number, one.params, score(one.params)) for number, one in enumerate(asked))


def walk(
    search: Search, score: Score, prior: Sequence[TrialRecord], n: int, trials: tuple[TrialRecord, ...] = ()
) -> list[TrialRecord]:
    sampler = samplers.make_sampler(search, SPACE, MAXIMIZE, 0, trials, prior=prior)
    proposed: list[TrialRecord] = []
    for number in range(len(trials), len(trials) + n):
        candidate = sampler.ask()
        assert candidate is not None
        proposed.append(ended(number, candidate.params, score(candidate.params)))
        sampler.tell(proposed[-1])
    return proposed


def params_of(trials: Sequence[TrialRecord]) -> list[Params]:
    return [dict(trial.params) for trial in trials]


def weight(score: Score, prior: Sequence[TrialRecord], n: int) -> float:
    sampler = GaussianProcessSampler(SPACE, MAXIMIZE, 0, drawn(score, n), (), prior)
    return sampler.prior_weight()


@pytest.mark.slow
@pytest.mark.parametrize("search", LEARNING)
def test_the_first_trials_are_where_those_of_the_other_study_were_good(search: Search) -> None:
    score = near(0.8, 0.2)
    taught = [score(trial.params) for trial in walk(search, score, drawn(lambda p: 900 + 50 * score(p)), 4)]
    alone = [score(trial.params) for trial in walk(search, score, (), 4)]
    assert max(taught) > 0.8
    assert np.median(taught) > np.median(alone)


@pytest.mark.slow
def test_a_prior_has_all_the_weight_at_first_and_none_where_it_ranks_trials_the_wrong_way_round() -> None:
    score = near(0.8, 0.2)
    same, opposite = drawn(score), drawn(lambda params: -score(params))
    assert weight(score, opposite, 2) == 1.0
    assert weight(score, opposite, 12) == 0.0
    assert weight(score, same, 12) > 0.5
    assert weight(score, (), 12) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("search", LEARNING)
def test_a_misleading_study_is_soon_let_go(search: Search) -> None:
    score = near(0.8, 0.2)
    misled = walk(search, score, drawn(lambda params: -score(params)), 25)
    assert max(score(trial.params) for trial in misled) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("search", LEARNING)
def test_a_search_with_a_prior_goes_on_from_the_record_as_it_would_have(search: Search) -> None:
    score, prior = near(0.6, 0.4), drawn(near(0.5, 0.5))
    whole = walk(search, score, prior, 9)
    for cut in (1, 4):
        assert params_of(walk(search, score, prior, 9 - cut, tuple(whole[:cut]))) == params_of(whole[cut:])


@pytest.mark.slow
def test_tpe_sees_the_order_of_the_other_scores_alone() -> None:
    score, prior = near(0.6, 0.4), drawn(near(0.5, 0.5))
    stretched = drawn(lambda params: math.exp(7 * near(0.5, 0.5)(params)))
    assert params_of(walk("tpe", score, prior, 3)) == params_of(walk("tpe", score, stretched, 3))


@pytest.mark.parametrize("search", LEARNING)
def test_a_point_of_the_other_study_can_be_proposed_and_only_once(search: Search) -> None:
    space = Space(units=Choice(1, 2, 3, 4))
    prior = tuple(ended(number, {"units": number + 1}, float(number)) for number in range(4))
    sampler = samplers.make_sampler(search, space, MAXIMIZE, 0, (), prior=prior)
    proposed = [one.params["units"] for one in iter(sampler.ask, None)]
    assert sorted(proposed) == [1, 2, 3, 4]
    assert search != "gp" or proposed[0] == 4


def test_normal_scores_are_quantiles_of_ranks_and_equal_scores_share_theirs() -> None:
    trials = [ended(number, {"x": 0.0}, score) for number, score in enumerate((5.0, 900.0, 5.0, -1.0))]
    stopped = trial_record(4, {"x": 0.0}, state="stopped", score=3.0)
    scores = [trial.score for trial in normal_scores([*trials, stopped])]
    expected = [0.0, 1.1503494, 0.0, -1.1503494, 3.0]  # of the shares 4/8, 7/8, 4/8 and 1/8, from a table
    assert scores == pytest.approx(expected, abs=1e-6)


def test_a_left_out_point_is_predicted_as_by_a_process_without_it() -> None:
    random = np.random.default_rng(0)
    x, y = random.random((6, 2)), random.standard_normal(6)
    kernel = gaussian_process.fit_kernel(x, y, (0, 1))
    draws = gaussian_process.Posterior(x, y, kernel).draw_left_out(20_000, random)
    for left_out in range(6):
        kept = np.arange(6) != left_out
        mean, spread = gaussian_process.Posterior(x[kept], y[kept], kernel).predict(x[[left_out]])
        assert draws[:, left_out].mean() == pytest.approx(mean[0], abs=0.05)
        assert draws[:, left_out].std() == pytest.approx(spread[0], rel=0.05)


@pytest.mark.slow
def test_draws_of_a_process_have_its_mean_and_vary_together() -> None:
    random = np.random.default_rng(0)
    x, y = random.random((6, 2)), random.standard_normal(6)
    posterior = gaussian_process.Posterior(x, y, gaussian_process.fit_kernel(x, y, (0, 1)))
    rows = np.concatenate([random.random((1, 2))] * 2)
    draws = posterior.draw(rows, 20_000, random)
    mean, spread = posterior.predict(rows)
    assert draws.mean(axis=0) == pytest.approx(mean, abs=0.05)
    assert draws.std(axis=0) == pytest.approx(spread, rel=0.05)
    assert draws[:, 0] == pytest.approx(draws[:, 1], abs=1e-3)


OTHER = Space(
    units=Choice("64", "128"),
    rate=Float(1e-3, 1e-1, log=True),
    dropout=Variants({"without": Space(), "with": Space(dropout_rate=Float(0.1, 0.5))}),
    depth=Fixed(1, Int(1, 3)),
)


@pytest.mark.parametrize(
    ("space", "params", "point"),
    [
        (OTHER, {"units": 128, "rate": 0.01, "filters": 8}, {"units": "128", "rate": 0.01, "dropout": "without"}),
        (OTHER, {"units": "64", "rate": 0.01, "depth": 2}, None),  # which is held at another value
        (OTHER, {"units": "64", "rate": 0.5}, None),
        (OTHER, {"units": "64", "rate": 0.01, "dropout_rate": 0.2}, None),  # which is nothing without dropout
        (OTHER, {"filters": 8}, None),
        (OneFactor({"rate": 1}, {"rate": {"two": {"rate": 2}}}), {"rate": 2, "filters": 8}, {"rate": 2}),
    ],
)
def test_params_of_another_task_are_a_point_where_the_spaces_overlap(
    space: Any, params: Params, point: Params | None
) -> None:
    expected = point if point is None or isinstance(space, OneFactor) else {**point, "depth": 1}
    assert overlapping(space, params, {"dropout": "without"}) == expected

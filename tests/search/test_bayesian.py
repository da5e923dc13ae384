"""A Gaussian process learns from what was tried, and the search goes where it promises most."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import pytest
from scipy import integrate
from scipy.stats import norm

from tests.support.trials import changed, trial_record
from tune_jobs.records.studies import Search
from tune_jobs.records.trials import State, TrialRecord
from tune_jobs.search import gaussian_process, samplers, sobol, unit_cube
from tune_jobs.search.candidates import Candidate
from tune_jobs.search.columns import Columns
from tune_jobs.search_spaces import (
    Choice,
    Fixed,
    Float,
    Int,
    Objective,
    OneFactor,
    Params,
    Space,
    Variants,
    narrow,
    params_id,
)

MAXIMIZE = Objective("val_accuracy", "maximize")
SPACE = Space(
    x=Float(-1.0, 1.0),
    y=Float(1e-4, 1.0, log=True),
    n=Int(1, 9),
    m=Int(1, 64, log=True),
    step=Float(0.1, 0.5, step=0.1),
    kind=Variants(
        a=Space(inner=Float(0.0, 1.0)), b=Space(deep=Variants(on=Space(inner=Int(1, 3)), off=Space())), c=Space()
    ),
    held=Fixed("with", Variants({"with": Space(rate=Float(0.0, 1.0)), "without": Space()})),
    only=Choice("one"),
)


def params_of(candidate: Candidate | None) -> Params:
    assert candidate is not None
    return candidate.params


def ended_trial(number: int, params: Params, score: float | None, state: State = "complete") -> TrialRecord:
    return trial_record(number, params, seed=0, state=state, score=score)


def number(params: Params, name: str) -> float:
    value = params[name]
    assert isinstance(value, int | float)
    return float(value)


# --- a space as columns -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "space",
    [
        SPACE,
        narrow(SPACE, {"kind": "b"}),
        OneFactor({"a": 1, "b": 2}, {"a": {"3": {"a": 3}, "4": {"a": 4}}, "b": {"none": {"b": None}}}),
    ],
    ids=["open", "narrowed", "one-factor"],
)
def test_a_point_of_the_cube_and_its_params_are_the_same_row(space: Any) -> None:
    columns = Columns(space)
    shares = np.random.default_rng(0).random((200, len(unit_cube.dimensions(space))))
    points = [unit_cube.params_at(space, row.tolist()) for row in shares]
    np.testing.assert_allclose(columns.encode_cube(shares), columns.encode(points), atol=1e-12)


def test_what_is_not_taken_makes_no_difference_between_rows() -> None:
    space = Space(kind=Variants(a=Space(inner=Float(0.0, 1.0)), b=Space()))
    rows = Columns(space).encode([{"kind": "b"}, {"kind": "a", "inner": 0.25}])
    assert rows.tolist() == [[0, 1, 0.5], [1, 0, 0.25]]
    assert np.ptp(Columns(space).encode_cube(np.array([[0.9, 0.0], [0.9, 1.0]])), axis=0).tolist() == [0, 0, 0]


# --- the process ------------------------------------------------------------------------------------------------------


def test_the_slope_of_the_covariance_is_the_one_of_finite_differences() -> None:
    x = np.random.default_rng(0).random((6, 4))
    kernel = gaussian_process.GroupedMatern(np.array([0.4, 1.5]), (0, 1, 1, 0))
    _, slope = kernel(x, eval_gradient=True)
    for index in range(2):
        step = np.eye(2)[index] * 1e-6
        upper, lower = (kernel.clone_with_theta(kernel.theta + sign * step)(x) for sign in (1, -1))
        np.testing.assert_allclose(slope[:, :, index], (upper - lower) / 2e-6, atol=1e-7)


@pytest.mark.parametrize("best", [2.0, 0.0, -3.0, -30.0])
def test_the_expected_improvement_is_the_integral_that_it_is_defined_as(best: float) -> None:
    x = np.array([[0.2], [0.6]])
    kernel = gaussian_process.fit_kernel(x, np.array([-1.0, 1.0]), (0,))
    posterior = gaussian_process.Posterior(x, np.array([-1.0, 1.0]), kernel)
    point = np.array([[0.9]])
    cross, inside = kernel.k1(point, x), kernel(x)
    mean = (cross @ np.linalg.solve(inside, np.array([-1.0, 1.0]))).item()
    deviation = math.sqrt((1 - cross @ np.linalg.solve(inside, cross.T)).item())
    z = (best - mean) / deviation
    scaled, _ = integrate.quad(lambda u: u * math.exp(z * u - u * u / 2), 0, np.inf)  # u = z - t, over pdf(z)
    expected = math.log(deviation) + norm.logpdf(z) + math.log(scaled)
    assert posterior.log_expected_improvement(point, best).item() == pytest.approx(expected, rel=1e-5)


# --- the search -------------------------------------------------------------------------------------------------------


def test_the_first_ten_trials_are_quasi_random() -> None:
    sampler = samplers.make_sampler("gp", SPACE, MAXIMIZE, 4, ())
    points = sobol.points(SPACE, 4)
    for index in range(10):
        assert params_of(sampler.ask()) == next(points)
        sampler.tell(ended_trial(index, {}, 0.5))
    assert params_of(sampler.ask()) == next(points)  # there are no scores yet


VALLEY = Space(x=Float(-1.0, 1.0), y=Float(1e-4, 1.0, log=True), kind=Choice("a", "b", "c"))


def proposals(search: Search, seed: int, objective: Objective = MAXIMIZE, n: int = 30) -> list[Params]:
    """Of a space in which `a` at x = 0.5 and y = 0.01 is best, the points proposed after the first."""
    sampler = samplers.make_sampler(search, VALLEY, objective, seed, ())
    sign = 1 if objective.direction == "maximize" else -1
    proposed = []
    for index in range(n):
        params = params_of(sampler.ask())
        proposed.append(params)
        sampler.tell(ended_trial(index, params, sign * bowl(params)))
    return proposed


def bowl(params: Params) -> float:
    off = (number(params, "x") - 0.5) ** 2 + (math.log10(number(params, "y")) + 2) ** 2 / 4
    return -off - (params["kind"] != "a")


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_it_comes_closer_to_the_bottom_of_a_bowl_than_random_search(direction: Any) -> None:
    objective = Objective("val_accuracy", direction)
    missing = {
        search: statistics.median(-max(map(bowl, proposals(search, seed, objective))) for seed in range(5))
        for search in ("gp", "random")
    }
    assert missing["gp"] < missing["random"] / 10


@pytest.mark.slow
def test_those_asked_at_the_same_time_get_different_answers() -> None:
    trials = tuple(ended_trial(index, params, bowl(params)) for index, params in enumerate(proposals("gp", 0, n=12)))
    sampler = samplers.make_sampler("gp", VALLEY, MAXIMIZE, 0, trials)
    together = [params_of(sampler.ask()) for _ in range(4)]
    places = [(number(params, "x"), math.log10(number(params, "y")) / 2) for params in together]
    apart = [math.dist(one, other) for index, one in enumerate(places) for other in places[:index]]
    assert min(apart) > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("state", ["failed", "stopped"])
def test_what_did_not_end_is_never_taken_for_the_best(state: Any) -> None:
    """A quarter of the space fails, or is stopped with a score that looks good: the search keeps away from it."""
    sampler = samplers.make_sampler("gp", Space(x=Float(0.0, 1.0), y=Float(0.0, 1.0)), MAXIMIZE, 0, ())
    proposed = []
    for index in range(30):
        proposed.append(params_of(sampler.ask()))
        x, y = (number(proposed[-1], name) for name in "xy")
        is_bad = x > 0.5 and y > 0.5
        record = ended_trial(index, proposed[-1], x + y / 10)
        sampler.tell(changed(record, state=state, score=None if state == "failed" else 9.0) if is_bad else record)
    late = proposed[15:]
    assert sum(number(params, "x") > 0.5 and number(params, "y") > 0.5 for params in late) <= 4
    assert max(number(params, "x") for params in late if number(params, "y") <= 0.5) > 0.95


@pytest.mark.slow
def test_scores_that_are_all_alike_do_no_harm() -> None:
    sampler = samplers.make_sampler("gp", SPACE, MAXIMIZE, 0, ())
    proposed = []
    for index in range(16):
        proposed.append(params_of(sampler.ask()))
        sampler.tell(ended_trial(index, proposed[-1], 0.5))
    assert len(set(map(params_id, proposed))) == 16


@pytest.mark.slow
def test_every_fifth_trial_takes_another_option_than_the_best_one() -> None:
    """Whatever the scores say: `a` alone looks good, and `b` would only be good where nobody has looked yet."""
    space = Space(kind=Variants(a=Space(), b=Space(inner=Float(0.0, 1.0))), x=Float(0.0, 1.0))
    sampler = samplers.make_sampler("gp", space, MAXIMIZE, 0, ())
    kinds = []
    for index in range(31):
        params = params_of(sampler.ask())
        kinds.append(params["kind"])
        sampler.tell(ended_trial(index, params, 1.0 - number(params, "x") if params["kind"] == "a" else -1.0))
    assert [kinds[index] for index in range(10, 31, 5)] == ["b"] * 5


def test_more_trials_than_it_fits_are_the_best_and_the_latest() -> None:
    from tune_jobs.search.bayesian import _most_informative

    losses = np.array([5.0, 1.0, 4.0, 0.0, 3.0, 9.0, 8.0, 2.0])
    assert _most_informative(losses, 8).tolist() == list(range(8))
    assert _most_informative(losses, 4).tolist() == [1, 3, 6, 7]


@pytest.mark.slow
def test_a_large_finite_space_is_searched_without_listing_it() -> None:
    space = Space(**{f"n{index}": Int(1, 40) for index in range(4)})
    sampler = samplers.make_sampler("gp", space, MAXIMIZE, 0, ())
    scores = []
    for index in range(35):
        params = params_of(sampler.ask())
        assert space.why_not(params) is None
        scores.append(-sum(abs(number(params, f"n{k}") - 30) / 40 for k in range(4)))
        sampler.tell(ended_trial(index, params, scores[-1]))
    assert max(scores) > -0.2

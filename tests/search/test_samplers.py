"""Searches propose what was not tried, what belongs to the space, and the same again after a restart."""

from __future__ import annotations

import math
import statistics
import tracemalloc
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.trials import trial_record
from tune_jobs.records.studies import Search
from tune_jobs.records.trials import LOST, State, TrialRecord
from tune_jobs.search import optuna_sampler, samplers
from tune_jobs.search.candidates import Candidate, ListSampler, Sampler
from tune_jobs.search.untried import draw_untried
from tune_jobs.search_spaces import (
    Choice,
    Fixed,
    Float,
    Int,
    Objective,
    OneFactor,
    Params,
    Space,
    SpaceError,
    Variants,
    params_id,
)
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.places import point_at
from tune_jobs.study.optuna_form import optuna_form

MAXIMIZE = Objective("val_accuracy", "maximize")
ALGORITHMS: tuple[Search, ...] = ("grid", "random", "qmc", "tpe", "gp")  # over any finite space
ENDLESSLY: tuple[Search, ...] = ("random", "qmc", "tpe", "gp", "cmaes")  # over one without end
FINITE = Space(
    units=Choice(64, 128),
    optimizer=Variants(sgd=Space(momentum=Choice(0.0, 0.9), nesterov=Choice(False, True)), adam=Space()),
    depth=Fixed(1, Int(1, 3)),
)
ENDLESS = Space(
    layers=Int(1, 3),
    rate=Float(0.1, 0.5, step=0.1),
    optimizer=Variants(
        sgd=Space(learning_rate=Float(1e-3, 1e-1, log=True), momentum=Float(0.0, 0.99)),
        adam=Space(learning_rate=Float(1e-4, 1e-2, log=True)),
    ),
)


def surrogate(params: Params) -> float:
    """Best, at 1, for adam with a learning rate near 1e-3 in two layers."""
    rate = float(params["learning_rate"])  # type: ignore[arg-type]
    return 1.0 - abs(rate - 1e-3) * 20 - abs(int(params["layers"]) - 2) * 0.1 - (params["optimizer"] == "sgd") * 0.3  # type: ignore[arg-type]


def ended_trial(
    number: int, params: Params, score: float = 0.5, state: State = "complete", epochs: int = 1
) -> TrialRecord:
    history = tuple({"loss": 1.0, "val_accuracy": score} for _ in range(epochs))
    if state == "failed":
        return trial_record(number, params, seed=0, state=state, history=({"loss": 1.0},), reason="invalid")
    return trial_record(number, params, seed=0, state=state, score=score, history=history)


def walk(search: Any, space: Space, n: int, trials: tuple[TrialRecord, ...] = (), seed: int = 0) -> list[Params]:
    """Asked and told n times, one trial after another, after those that are there already."""
    sampler = samplers.make_sampler(search, space, MAXIMIZE, seed, trials)
    proposed: list[Params] = []
    for number in range(len(trials), len(trials) + n):
        candidate = sampler.ask()
        if candidate is None:
            break
        assert candidate.seed == seed
        proposed.append(candidate.params)
        sampler.tell(ended_by_number(number, candidate.params))
    return proposed


def ended_by_number(number: int, params: Params) -> TrialRecord:
    """Every sort of end, in turn."""
    state: State = ("complete", "complete", "failed", "stopped")[number % 4]
    score = surrogate(params) if "learning_rate" in params else len(params_id(params)) / (2 + number)
    return ended_trial(number, params, score, state, epochs=1 + number % 3)


def test_a_grid_is_walked_in_declared_order() -> None:
    assert walk("grid", FINITE, 99) == list(FINITE.grid())


def test_a_grid_skips_what_was_tried() -> None:
    points = list(FINITE.grid())
    tried = tuple(ended_trial(number, points[index]) for number, index in enumerate((0, 3, 9)))
    assert walk("grid", FINITE, 99, tried) == [point for index, point in enumerate(points) if index not in (0, 3, 9)]


def test_a_grid_over_a_space_without_end_is_refused_before_it_is_walked() -> None:
    with pytest.raises(SpaceError, match=r"--set learning_rate="):
        samplers.check_search("grid", ENDLESS)
    for search in ALGORITHMS:
        samplers.check_search(search, FINITE)


@pytest.mark.parametrize("search", ALGORITHMS)
def test_a_finite_space_is_used_up_without_a_repeat_and_then_nothing_is_left(search: Any) -> None:
    proposed = walk(search, FINITE, 99)
    assert sorted(params_id(params) for params in proposed) == sorted(params_id(params) for params in FINITE.grid())
    assert (
        samplers.make_sampler(search, FINITE, MAXIMIZE, 0, tuple(map(ended_trial, range(10), proposed))).ask() is None
    )


@pytest.mark.parametrize(
    ("search", "space"), [*((search, ENDLESS) for search in ENDLESSLY), *((search, FINITE) for search in ALGORITHMS)]
)
def test_a_search_goes_on_after_a_trial_whose_params_are_lost(search: Search, space: Space) -> None:
    first, second = walk(search, space, 2)
    lost = trial_record(0, {}, seed=0, state="failed", reason=LOST)
    proposed = walk(search, space, 2, (lost, ended_trial(1, second)))
    assert all(space.why_not(params) is None for params in proposed)
    assert second not in proposed
    assert search != "grid" or proposed[0] == first


@pytest.mark.slow
@pytest.mark.parametrize("search", ENDLESSLY)
def test_what_is_proposed_belongs_to_the_space_and_never_twice(search: Any) -> None:
    proposed = walk(search, ENDLESS, 30)
    assert [ENDLESS.why_not(params) for params in proposed] == [None] * 30
    assert len({params_id(params) for params in proposed}) == 30
    assert {params["optimizer"] for params in proposed} == {"sgd", "adam"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("search", "space"), [*((search, ENDLESS) for search in ENDLESSLY), *((search, FINITE) for search in ALGORITHMS)]
)
def test_a_search_continued_from_the_record_proposes_what_an_undisturbed_one_would(search: Any, space: Space) -> None:
    whole = walk(search, space, 26, seed=3)
    for cut in (1, 6, 17, 25):
        if cut > len(whole):
            continue
        record = tuple(ended_by_number(number, params) for number, params in enumerate(whole[:cut]))
        assert walk(search, space, 26 - cut, record, seed=3) == whole[cut:]


@pytest.mark.slow
@pytest.mark.parametrize("search", ["random", "qmc", "tpe", "gp"])
def test_trials_that_still_run_count_the_same_before_and_after_a_restart(search: Any) -> None:
    """Four run at a time: twelve have ended when the driver is killed, and the others begin again in the next one."""
    undisturbed = samplers.make_sampler(search, ENDLESS, MAXIMIZE, 5, ())
    proposed = [params_of(undisturbed.ask()) for _ in range(16)]
    ended_trials = [ended_by_number(number, params) for number, params in enumerate(proposed[:12])]
    for trial in ended_trials:
        undisturbed.tell(trial)
    running = [TrialRecord(number, proposed[number], seed=0, state="running") for number in range(12, 15)]
    waiting = TrialRecord(15, proposed[15], seed=0, state="waiting")
    continued = samplers.make_sampler(search, ENDLESS, MAXIMIZE, 5, (*ended_trials, *running, waiting))
    for number in range(12, 16):
        assert continued.ask() == undisturbed.ask()
        for one in (undisturbed, continued):
            one.tell(ended_by_number(number, proposed[number]))
    assert continued.ask() == undisturbed.ask()


def test_another_seed_is_another_search() -> None:
    for search in ENDLESSLY:
        assert walk(search, ENDLESS, 5, seed=1) != walk(search, ENDLESS, 5, seed=2)


def test_random_search_is_uniform_over_each_domain() -> None:
    proposed = walk("random", ENDLESS, 300)
    optimizers = Counter(params["optimizer"] for params in proposed)
    assert abs(optimizers["adam"] - 150) < 5 * (300 * 0.5 * 0.5) ** 0.5  # five standard deviations
    for layers in (1, 2, 3):
        assert abs(sum(params["layers"] == layers for params in proposed) - 100) < 5 * (300 * 2 / 9) ** 0.5
    low = sum(float(params["learning_rate"]) < 1e-3 for params in proposed if params["optimizer"] == "adam")  # type: ignore[arg-type]
    assert abs(low - optimizers["adam"] / 2) < 5 * (optimizers["adam"] / 4) ** 0.5  # half a log scale


@pytest.mark.slow
def test_tpe_reaches_a_good_point_of_a_conditional_space_sooner_than_random() -> None:
    """The median over seeds of the best score after 40 trials."""

    def best(search: Any, seed: int) -> float:
        sampler = samplers.make_sampler(search, ENDLESS, MAXIMIZE, seed, ())
        scores = []
        for number in range(40):
            params = params_of(sampler.ask())
            scores.append(surrogate(params))
            sampler.tell(ended_trial(number, params, scores[-1]))
        return max(scores)

    seeds = range(7)
    missing_tpe, missing_random = (
        1 - statistics.median(best(search, seed) for seed in seeds) for search in ("tpe", "random")
    )
    assert missing_tpe < missing_random / 2


def test_tpe_minimizes_where_the_objective_does() -> None:
    sampler = samplers.make_sampler("tpe", Space(x=Float(0.0, 1.0)), Objective("val_accuracy", "minimize"), 0, ())
    proposed = []
    for number in range(40):
        proposed.append(params_of(sampler.ask()))
        sampler.tell(ended_trial(number, proposed[-1], float(proposed[-1]["x"])))  # type: ignore[arg-type]
    assert statistics.mean(float(params["x"]) for params in proposed[25:]) < 0.25  # type: ignore[arg-type]


@pytest.mark.slow
def test_tpe_goes_on_where_its_favourite_can_be_tried_only_once() -> None:
    """Drawing alone would propose the one flat point for ever, and what is left of a Float cannot be listed."""
    space = Space(kind=Variants(flat=Space(), deep=Space(rate=Float(0.0, 1.0))))
    sampler = samplers.make_sampler("tpe", space, MAXIMIZE, 0, ())
    kinds = []
    for number in range(25):
        params = params_of(sampler.ask())
        kinds.append(params["kind"])
        sampler.tell(ended_trial(number, params, 1.0 if params["kind"] == "flat" else 0.1))
    assert Counter(kinds) == {"flat": 1, "deep": 24}


# --- spaces that nobody could list ------------------------------------------------------------------------------------

SWITCHES = Space.of({f"use_{at}": Choice(False, True) for at in range(30)})
OPTION = Space(model=Variants(deep=SWITCHES, linear=Space()), units=Int(1, 9), depth=Int(1, 9))
STEPS = Space(steps=Int(1, 10**8, log=True), other=Int(1, 2))


@pytest.mark.parametrize("search", [*ALGORITHMS, "cmaes"])
@pytest.mark.parametrize("space", [OPTION, STEPS])
def test_a_huge_space_is_searched_without_being_listed(search: Any, space: Space) -> None:
    tracemalloc.start()
    sampler = samplers.make_sampler(search, space, MAXIMIZE, 0, ())
    proposed = [params_of(sampler.ask()) for _ in range(5)]
    kept = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert kept < 30 * 2**20
    assert len({params_id(params) for params in proposed}) == 5
    assert [space.why_not(params) for params in proposed] == [None] * 5


def test_tpe_goes_on_from_a_full_corner_of_a_huge_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fewer steps the better, so that TPE settles on numbers that were all tried."""
    monkeypatch.setattr(Space, "grid", lambda space: pytest.fail("the space is listed"))
    space = Space(steps=Int(1, 10**8, log=True))
    trials = tuple(ended_trial(number, {"steps": number + 1}, -float(number)) for number in range(40))
    proposed = walk("tpe", space, 4, trials)
    assert len({params_id(params) for params in proposed} - {trial.params_id for trial in trials}) == 4


@pytest.mark.parametrize(
    "space",
    [
        FINITE,
        OPTION,
        STEPS,
        Space(**{name: Int(1, 10**9) for name in "abc"}),
        OneFactor({"a": 1}, {"a": {"2": {"a": 2}, "3": {"a": 3}}}),
    ],
)
def test_an_untried_point_is_any_but_those_that_were_tried(space: AnySpace) -> None:
    tried = [point_at(space, place) for place in (1, 2)] + [{"units": 999}]
    by_id = {params_id(params): params for params in tried}
    drawn = [draw_untried(space, by_id, np.random.default_rng(seed)) for seed in range(60)]
    assert all(point is not None and space.why_not(point) is None and point not in tried for point in drawn)
    if space.size is not None and space.size < 20:
        assert len({params_id(point) for point in drawn if point}) == space.size - 2


def test_in_a_space_that_is_used_up_no_point_is_untried() -> None:
    assert (
        draw_untried(FINITE, {params_id(params): params for params in FINITE.grid()}, np.random.default_rng(0)) is None
    )


def test_a_quasi_random_search_of_floats_that_lie_too_close_ends() -> None:
    assert len(walk("qmc", Space(rate=Float(1.0, math.nextafter(1.0, 2.0))), 9)) == 2


# --- quasi-random search ----------------------------------------------------------------------------------------------


def test_quasi_random_points_leave_no_part_of_the_space_out() -> None:
    """Each of 8 x 8 squares holds one of 64 points: a random search leaves about 23 of them empty."""
    space = Space(x=Float(0.0, 1.0), y=Float(1e-4, 1e-2, log=True))

    def squares(search: Any) -> set[tuple[int, int]]:
        proposed = walk(search, space, 64)
        return {(int(p["x"] * 8), int((math.log10(p["y"]) + 4) * 4)) for p in proposed}  # type: ignore[operator,arg-type]

    assert len(squares("qmc")) == 64
    assert len(squares("random")) < 50


def test_a_quasi_random_search_takes_options_alike_and_asks_for_what_is_under_them() -> None:
    optimizers = Counter(params["optimizer"] for params in walk("qmc", ENDLESS, 64))
    assert optimizers == {"sgd": 32, "adam": 32}


# --- CMA-ES -----------------------------------------------------------------------------------------------------------

BOWL = Space(x=Float(-1.0, 1.0), y=Float(1e-4, 1.0, log=True), n=Int(1, 9), kind=Choice("a", "b"))


def bowl(params: Params) -> float:
    """Best, at 0, for x=0.5, y=0.01 and n=7, whatever the kind."""
    x, y, n = (float(params[name]) for name in ("x", "y", "n"))  # type: ignore[arg-type]
    return -((x - 0.5) ** 2) - (math.log10(y) + 2) ** 2 / 4 - ((n - 7) / 8) ** 2


def best_of(search: Any, n: int, seed: int, objective: Objective = MAXIMIZE) -> float:
    sign = 1 if objective.direction == "maximize" else -1
    sampler = samplers.make_sampler(search, BOWL, objective, seed, ())
    scores = []
    for number in range(n):
        params = params_of(sampler.ask())
        scores.append(bowl(params))
        sampler.tell(ended_trial(number, params, sign * scores[-1]))
    return max(scores)


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_cma_es_comes_closer_to_the_bottom_of_a_bowl_than_random_search(direction: Any) -> None:
    objective = Objective("val_accuracy", direction)
    missing = {
        search: statistics.median(-best_of(search, 120, seed, objective) for seed in range(5))
        for search in ("cmaes", "random")
    }
    assert missing["cmaes"] < missing["random"] / 5


def test_cma_es_waits_for_its_generation_and_does_not_mind_in_which_order_it_ends() -> None:
    def second_generation(order: Callable[[list[Params]], list[Params]]) -> list[Params]:
        sampler = samplers.make_sampler("cmaes", BOWL, MAXIMIZE, 0, ())
        first = []
        while (candidate := sampler.ask()) is not None:
            first.append(candidate.params)
        for number, params in enumerate(order(first)):
            assert sampler.ask() is None
            sampler.tell(ended_trial(number, params, bowl(params)))
        return [params_of(sampler.ask()) for _ in first]

    forward = second_generation(list)
    assert forward == second_generation(lambda first: first[::-1])
    assert len(forward) == 7  # four and three times the logarithm of three, as Hansen has it


@pytest.mark.parametrize("state", ["failed", "stopped"])
def test_cma_es_takes_what_did_not_end_for_worse_than_all_that_did(state: Any) -> None:
    def after(score: float, ending: State) -> list[Params]:
        sampler = samplers.make_sampler("cmaes", BOWL, MAXIMIZE, 0, ())
        first = [params_of(sampler.ask()) for _ in range(7)]
        for number, params in enumerate(first):
            sampler.tell(
                ended_trial(
                    number, params, score if number == 3 else number / 10, ending if number == 3 else "complete"
                )
            )
        return [params_of(sampler.ask()) for _ in range(7)]

    assert after(0.9, state) == after(-5.0, "complete")
    assert after(0.9, state) != after(0.9, "complete")


def test_cma_es_goes_on_with_the_rest_of_a_space_that_it_has_seen_enough_of() -> None:
    space = Space(x=Int(1, 3), y=Int(1, 3), kind=Choice("a", "b"))
    proposed = walk("cmaes", space, 99)
    assert sorted(map(params_id, proposed)) == sorted(map(params_id, space.grid()))


@pytest.mark.parametrize(("space", "actual"), [(FINITE, "none"), (Space(x=Float(0.0, 1.0), k=Choice(1, 2)), "x alone")])
def test_cma_es_needs_two_numbers_that_every_point_has(space: Space, actual: str) -> None:
    with pytest.raises(SpaceError, match=f"two or more of them, and this space has {actual}: take another search"):
        samplers.check_search("cmaes", space)


@pytest.mark.parametrize("rebuilt", [False, True])
def test_a_stopped_trial_is_told_as_pruned_and_a_failed_one_as_no_value(rebuilt: bool) -> None:
    """A trial that was stopped with a good score must not pass for a whole training."""
    sampler = samplers.make_sampler("tpe", ENDLESS, MAXIMIZE, 0, ())
    proposed = [params_of(sampler.ask()) for _ in range(3)]
    records = [
        ended_trial(0, proposed[0], 0.7),
        ended_trial(1, proposed[1], 0.9, "stopped", epochs=2),
        ended_trial(2, proposed[2], state="failed"),
    ]
    if rebuilt:
        sampler = samplers.make_sampler("tpe", ENDLESS, MAXIMIZE, 0, tuple(records))
    else:
        for record in records:
            sampler.tell(record)
    states = optuna.trial.TrialState
    trials = sampler._study.trials  # type: ignore[attr-defined]
    complete, pruned = (trial for trial in trials if trial.state != states.FAIL)
    assert (complete.state, complete.value) == (states.COMPLETE, 0.7)
    assert (pruned.state, pruned.intermediate_values) == (states.PRUNED, {1: 0.9, 2: 0.9})
    assert all(trial.values is None for trial in trials if trial.state == states.FAIL)


@pytest.mark.parametrize("search", ALGORITHMS)
def test_a_trial_that_nobody_here_asked_for_counts_as_tried(search: Any) -> None:
    sampler: Sampler = samplers.make_sampler(search, FINITE, MAXIMIZE, 0, (ended_trial(0, next(FINITE.grid())),))
    proposed = []
    while (candidate := sampler.ask()) is not None:
        proposed.append(candidate.params)
        sampler.tell(ended_trial(len(proposed), candidate.params))
        sampler.tell(ended_trial(len(proposed), candidate.params))  # a replicate of it
    assert len(proposed) == 9


@pytest.mark.parametrize("search", ["random", "tpe", "gp"])
def test_what_came_from_elsewhere_takes_no_place_of_the_space(search: Any) -> None:
    outside = {"units": 999, "optimizer": "adam", "depth": 3}
    proposed = walk(search, FINITE, 99, (ended_trial(0, outside),))
    assert sorted(map(params_id, proposed)) == sorted(map(params_id, FINITE.grid()))


def test_a_list_is_gone_through_in_its_order_but_for_the_pairs_that_were_tried() -> None:
    wanted = [Candidate({"units": units}, seed) for seed in (0, 1) for units in (64, 128)]
    listed = ListSampler(wanted, [ended_trial(0, {"units": 64}), ended_trial(1, {"units": 256})])
    assert [listed.ask() for _ in range(4)] == [*wanted[1:], None]


@pytest.mark.parametrize("space", [FINITE, ENDLESS])
def test_optunas_form_names_the_option_a_parameter_lives_under(space: Space) -> None:
    for params in walk("random", space, 10):
        form = optuna_form(space, params)
        option = params["optimizer"]
        inside = {name for name in params if name in ("learning_rate", "momentum", "nesterov")}
        assert {f"optimizer={option}/{name}" for name in inside} <= form.params.keys()
        assert "depth" not in form.params  # Fixed: there is nothing to search
        assert form.params.keys() == form.distributions.keys()
        assert all(form.distributions[name]._contains(form.distributions[name].to_internal_repr(value))  # type: ignore[no-untyped-call]
                   for name, value in form.params.items())  # fmt: skip


DOMAINS: dict[str, Callable[[], st.SearchStrategy[Any]]] = {
    "float": lambda: st.sampled_from([Float(0.1, 0.9, step=0.1), Float(1e-5, 1e-1, log=True), Float(-1.0, 1.0)]),
    "int": lambda: st.sampled_from([Int(1, 4), Int(2, 10, step=4), Int(1, 1024, log=True)]),
    "choice": lambda: st.sampled_from([Choice(None, "a"), Choice(True, False), Choice(1, 2.5, "x"), Choice("only")]),
}


@pytest.mark.slow
@hypothesis_settings(deadline=None, max_examples=25)
@given(
    st.tuples(*(make() for make in DOMAINS.values())),
    st.sampled_from(["random", "qmc", "tpe", "gp"]),
    st.integers(0, 2**32),
)
def test_every_kind_of_domain_is_sampled_within_itself(domains: Any, search: Any, seed: int) -> None:
    outer, inner, choice = domains
    space = Space(outer=outer, kind=Variants(one=Space(inner=inner), two=Space(inner=choice)), choice=choice)
    for params in walk(search, space, 12 if search == "gp" else 4, seed=seed):
        assert space.why_not(params) is None


def params_of(candidate: Candidate | None) -> Params:
    assert candidate is not None
    return candidate.params


def test_a_stopped_trial_that_was_not_scored_in_each_epoch_teaches_what_it_was_scored() -> None:
    history = ({"loss": 1.0}, {"loss": 0.5, "val_accuracy": 0.25}, {"loss": 0.4}, {"val_accuracy": 0.5})
    trial = trial_record(0, {"x": 1}, seed=0, state="stopped", score=0.5, history=history)
    assert optuna_sampler._curve(trial, (Objective("val_accuracy", "maximize"),)) == {2: 0.25, 4: 0.5}

"""Enqueued points come before what a search proposes, which learns from them and proposes none of them again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.trials import trial_record
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search import enqueued, samplers
from tune_jobs.search.candidates import Candidate
from tune_jobs.search.enqueued import EnqueuedSampler
from tune_jobs.search.warm_starts import WarmStartSampler
from tune_jobs.search_spaces import Choice, Float, Int, Objective, Params, Space, params_id

OBJECTIVE = Objective("val_accuracy", "maximize")
SPACES = {
    "grid": Space(x=Int(0, 5), y=Choice("a", "b")),
    "cmaes": Space(x=Float(0.0, 1.0), y=Float(0.0, 1.0)),
}
POINTS = {"grid": [{"x": 5, "y": "b"}, {"x": 3, "y": "a"}], "cmaes": [{"x": 0.5, "y": 0.5}, {"x": 0.25, "y": 0.75}]}


def _ended(number: int, params: Params) -> TrialRecord:
    return trial_record(number, params, 0, "complete", score=int(params_id(params)[:6], 16) / 16**6)


def propose(search: Any, points: list[Params], n: int, trials: tuple[TrialRecord, ...] = ()) -> list[Params]:
    """The first n params, each told before the next is asked for; enqueued ones as soon as they are there."""
    kind = "cmaes" if search == "cmaes" else "grid"
    inner = samplers.make_sampler(search, SPACES[kind], OBJECTIVE, 0, trials)
    sampler = EnqueuedSampler(lambda: points, inner, 0, trials)
    proposed: list[Params] = []
    while len(proposed) + len(trials) < n and (one := sampler.ask_enqueued(now=True) or sampler.ask()) is not None:
        proposed.append(one.params)
        sampler.tell(_ended(len(trials) + len(proposed) - 1, one.params))
    return proposed


@pytest.mark.parametrize("search", ["grid", "random", "qmc", "tpe", "gp", "cmaes"])
def test_enqueued_points_come_first_and_nothing_comes_twice(search: Any) -> None:
    points = POINTS["cmaes" if search == "cmaes" else "grid"]
    proposed = propose(search, [*points, points[0]], 12)
    assert proposed[:2] == points
    assert len({params_id(params) for params in proposed}) == len(proposed) == 12


@pytest.mark.parametrize("search", ["grid", "random", "qmc", "tpe", "gp", "cmaes"])
def test_a_search_with_enqueued_points_that_was_killed_goes_on_as_it_would_have(search: Any) -> None:
    points = POINTS["cmaes" if search == "cmaes" else "grid"]
    whole = propose(search, points, 11)
    for cut in (1, 2, 6):
        trials = tuple(_ended(number, params) for number, params in enumerate(whole[:cut]))
        assert propose(search, points, 11, trials) == whole[cut:]


@pytest.mark.parametrize("search", ["grid", "random", "tpe", "gp"])
def test_a_point_that_a_search_was_to_begin_with_is_tried_once(search: Any) -> None:
    first = [Candidate(params, 0) for params in POINTS["grid"]]
    inner = WarmStartSampler(first, samplers.make_sampler(search, SPACES["grid"], OBJECTIVE, 0, ()), ())
    sampler = EnqueuedSampler(lambda: POINTS["grid"][:1], inner, 0, ())
    proposed = [one.params for one in (sampler.ask_enqueued(now=True), sampler.ask(), sampler.ask()) if one]
    assert proposed[:2] == POINTS["grid"]
    assert len({params_id(params) for params in proposed}) == 3


def test_a_point_that_comes_while_the_search_runs_is_next() -> None:
    points: list[Params] = []
    sampler = EnqueuedSampler(lambda: points, samplers.make_sampler("grid", SPACES["grid"], OBJECTIVE, 0, ()), 0, ())
    first = sampler.ask()
    assert first is not None
    assert sampler.ask_enqueued(now=True) is None
    points += [first.params, POINTS["grid"][0]]
    assert not sampler.has_enqueued()  # a moment ago there was none
    assert sampler.has_enqueued(now=True)
    second = sampler.ask_enqueued()
    assert second is not None
    assert second.params == POINTS["grid"][0]
    assert sampler.ask_enqueued(now=True) is None


def test_a_look_follows_the_last_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    monkeypatch.setattr(enqueued, "_LOOK_S", 0.0)
    sampler = EnqueuedSampler(
        lambda: looks.append(1) or (), samplers.make_sampler("grid", SPACES["grid"], OBJECTIVE, 0, ()), 0, ()
    )
    for _ in range(3):
        sampler.has_enqueued()
    assert len(looks) == 3

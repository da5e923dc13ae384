"""Searches that are told of limits: what keeps to them is found sooner, and a restart changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.trials import trial_record
from tune_jobs.errors import Reason
from tune_jobs.records.constraints import Constraint, excess
from tune_jobs.records.studies import Budget
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search import budgets, samplers
from tune_jobs.search_spaces import Choice, Float, Objective, Params, Space

SPACE = Space(x=Float(0.0, 1.0), y=Float(0.0, 1.0), mode=Choice("a", "b"))
NUMBERS = Space(x=Float(0.0, 1.0), y=Float(0.0, 1.0))
SCORE, SIZE = Objective("score", "maximize"), Objective("size", "minimize")
LIMIT = Constraint("cost", "<=", 0.4)


def trial(number: int, params: Params, *, knows_before: bool = False) -> TrialRecord:
    """The score grows with x and y, and so does the cost."""
    x, y = float(params["x"]), float(params["y"])  # type: ignore[arg-type]
    metrics = {"cost": x + y, "size": y}
    if knows_before and LIMIT.excess(x + y) > 0:
        return trial_record(number, params, 0, "failed", metrics=metrics, reason=str(Reason.INFEASIBLE))
    score = x + 0.5 * y
    return trial_record(number, params, 0, "complete", score=score, best_epoch=1, metrics=metrics | {"score": score})


def walk(
    search: Any,
    n: int,
    trials: tuple[TrialRecord, ...] = (),
    constraints: tuple[Constraint, ...] = (LIMIT,),
    *,
    knows_before: bool = False,
) -> list[TrialRecord]:
    further = (SIZE,) if search == "nsga2" else ()
    space = NUMBERS if search == "cmaes" else SPACE
    sampler = samplers.make_sampler(
        search, space, SCORE, 0, trials, further_objectives=further, constraints=constraints
    )
    walked: list[TrialRecord] = []
    for number in range(len(trials), len(trials) + n):
        candidate = sampler.ask()
        if candidate is None:
            break
        walked.append(trial(number, candidate.params, knows_before=knows_before))
        sampler.tell(walked[-1])
    return walked


@pytest.mark.parametrize("search", ["tpe", "nsga2", "cmaes"])
def test_a_search_that_is_told_keeps_to_its_limits_more_often(search: Any) -> None:
    told, not_told = walk(search, 45), walk(search, 45, constraints=())
    kept = [sum(not excess(each, (LIMIT,)) for each in walked[10:]) for walked in (told, not_told)]
    assert kept[0] >= kept[1] + 5


def test_a_process_that_is_told_finds_more_within_its_limits() -> None:
    """It looks for the best along the limit, where about half of what it tries is beyond."""

    def best(walked: list[TrialRecord]) -> float:
        return max((each.score or 0.0 for each in walked if not excess(each, (LIMIT,))), default=0.0)

    assert best(walk("gp", 18)) > 0.35 > best(walk("gp", 18, constraints=()))


@pytest.mark.parametrize("search", ["tpe", "gp", "nsga2", "random", "qmc"])
@pytest.mark.parametrize("knows_before", [False, True])
def test_a_told_search_that_was_killed_goes_on_as_it_would_have(search: Any, knows_before: bool) -> None:
    n = 15 if search == "gp" else 24
    whole = walk(search, n, knows_before=knows_before)
    for cut in (3, n - 3):
        assert walk(search, n - cut, tuple(whole[:cut]), knows_before=knows_before) == whole[cut:]


def test_a_process_models_the_limits_even_before_it_knows_scores() -> None:
    strict = Constraint("cost", "<=", 0.05)
    walked: list[TrialRecord] = []
    sampler = samplers.make_sampler("gp", SPACE, SCORE, 0, (), constraints=(strict,))
    for number in range(18):
        candidate = sampler.ask()
        assert candidate is not None
        one = trial(number, candidate.params)
        if excess(one, (strict,)):
            one = trial_record(number, candidate.params, 0, "failed", metrics=one.metrics, reason="infeasible")
        walked.append(one)
        sampler.tell(one)
    costs = [each.metrics["cost"] for each in walked]
    assert min(costs[10:]) < 0.15
    assert sum(costs[10:]) / 8 < 0.5 * sum(costs[:10]) / 10


def test_a_search_ends_where_limits_leave_next_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "_MAX_UNTRAINED", 4)
    untrained = [
        trial_record(
            n, {"x": 0.5 + n / 100, "y": 0.5, "mode": "a"}, 0, "failed", reason="infeasible", finished=float(n)
        )
        for n in range(4)
    ]
    kept = trial(9, {"x": 0.1, "y": 0.1, "mode": "a"})

    def end_reason(*trials: TrialRecord) -> str | None:
        inner = samplers.make_sampler("random", SPACE, SCORE, 0, ())
        return budgets.BudgetedSampler(inner, Budget(), SCORE, trials, (LIMIT,)).end_reason

    assert end_reason(*untrained) == "4 configurations in a row break cost<=0.4, and were not trained"
    assert end_reason(*untrained[:3]) is None
    assert end_reason(kept, *untrained[1:]) is None


def test_only_what_keeps_to_limits_is_a_better_score() -> None:
    inner = samplers.make_sampler("random", SPACE, SCORE, 0, ())
    bounded = budgets.BudgetedSampler(inner, Budget(flat=2), SCORE, (), (LIMIT,))
    bounded.tell(trial(0, {"x": 0.1, "y": 0.1, "mode": "a"}))
    bounded.tell(trial(1, {"x": 0.9, "y": 0.9, "mode": "a"}))
    bounded.tell(trial(2, {"x": 0.8, "y": 0.9, "mode": "a"}, knows_before=True))
    assert bounded.end_reason is None
    bounded.tell(trial(3, {"x": 0.8, "y": 0.8, "mode": "a"}))
    assert bounded.end_reason == "2 trials brought no better score and --stop-when-flat is 2"

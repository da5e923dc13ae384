"""Who is judged by a scheduler, and who is not."""

from __future__ import annotations

from typing import Any

import pytest

from tune_jobs.execution.trial_queue import SearchStrategy
from tune_jobs.records.studies import Scheduling
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search.candidates import ListSampler
from tune_jobs.search.schedulers import make_scheduler
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, params_id

SPACE = Space(width=Choice(1, 2))
BASELINE = params_id({"width": 1})


@pytest.mark.parametrize("name", ["asha", "hyperband", "median"])
def test_no_scheduler_stops_the_baseline(name: Any) -> None:
    judge = make_scheduler(Scheduling(name, 1, 3), Objective("val_accuracy", "maximize"), Protocol(epochs=27), ())
    strategy = SearchStrategy(SPACE, ListSampler((), ()), judge, spared=BASELINE)
    trials = [TrialRecord(number, {"width": 1 + number % 2}, 0, "waiting") for number in range(4)]
    assert [bool(strategy.milestones(trial)) for trial in trials] == [False, True, False, True]


def test_without_a_scheduler_nobody_is_judged() -> None:
    strategy = SearchStrategy(SPACE, ListSampler((), ()))
    assert strategy.milestones(TrialRecord(0, {"width": 2}, 0, "waiting")) == ()

"""The history of a search: what its configurations cost, and the best of them so far."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.reproduction.test_images import study
from tests.support.trials import trial_record
from tune_jobs.leaderboard import histories
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import State, TrialRecord


def trial(
    number: int, state: State, score: float | None, epochs: int, finished: float, seed: int = 0, **more: Any
) -> TrialRecord:
    history = tuple({"val_accuracy": 0.5} for _ in range(epochs))
    params = {"units": more.pop("units", number)}
    return trial_record(number, params, seed, state, score=score, history=history, finished=finished, **more)


@pytest.fixture
def searched() -> StudyRecord:
    return study(
        "one",
        "mnist-mlp",
        trial(0, "complete", 0.90, 5, 1.0),
        trial(1, "stopped", 0.99, 2, 2.0),
        trial(2, "complete", 0.95, 5, 4.0),  # which ended after the next one began
        trial(3, "failed", None, 1, 3.0),
        trial(4, "complete", 0.92, 5, 5.0),
        trial(5, "complete", 0.97, 5, 6.0, seed=1, units=0),  # a further seed of the first
        trial(6, "running", None, 0, 0.0),
    )


def test_steps_are_in_the_order_in_which_trials_ended_and_further_seeds_are_none(searched: StudyRecord) -> None:
    steps = histories.history(searched)
    assert [step.number for step in steps] == [0, 1, 3, 2, 4]
    assert [step.epochs for step in steps] == [5, 7, 8, 13, 18]


def test_a_stopped_trial_costs_its_epochs_and_is_never_the_best(searched: StudyRecord) -> None:
    assert [step.best for step in histories.history(searched)] == [0.90, 0.90, 0.90, 0.95, 0.95]


def test_the_best_of_a_minimized_objective_is_the_smallest(searched: StudyRecord) -> None:
    loss = replace(searched.terms, objective=replace(searched.terms.objective, direction="minimize"))
    assert [step.best for step in histories.history(replace(searched, terms=loss))] == [0.90] * 5


def test_what_was_found_after_some_epochs_is_of_the_trials_that_ended_by_then(searched: StudyRecord) -> None:
    steps = histories.history(searched)
    found = {epochs: histories.best_after(steps, epochs) for epochs in (4, 5, 12, 13, 100)}
    assert found == {4: None, 5: 0.90, 12: 0.90, 13: 0.95, 100: 0.95}

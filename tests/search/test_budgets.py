"""Budgets: a search that ends after so many epochs, or when it has become flat, the same after a restart."""

from __future__ import annotations

from tests.support.trials import trial_record
from tune_jobs.records.studies import Budget
from tune_jobs.records.trials import State, TrialRecord
from tune_jobs.search.budgets import BudgetedSampler
from tune_jobs.search.candidates import Candidate, ListSampler
from tune_jobs.search_spaces import Objective

OBJECTIVE = Objective("val_loss", "minimize")


def ended_trial(number: int, score: float | None, state: State = "complete", epochs: int = 3) -> TrialRecord:
    history = ({"val_loss": score or 0.0},) * epochs
    return trial_record(number, {"x": number}, 0, state, score=score, history=history, finished=float(number))


def budgeted(budget: Budget, *trials: TrialRecord) -> BudgetedSampler:
    return BudgetedSampler(ListSampler((Candidate({"x": x}, 0) for x in range(99)), trials), budget, OBJECTIVE, trials)


def count_proposals(budget: Budget, scores: list[float | None], *trials: TrialRecord) -> int:
    """How many trials begin, one at a time, before the budget is spent."""
    sampler, count = budgeted(budget, *trials), 0
    while sampler.ask() is not None:
        score = scores[len(trials) + count]
        sampler.tell(ended_trial(len(trials) + count, score, "complete" if score is not None else "failed"))
        count += 1
    return count


def test_no_trial_begins_once_the_epochs_are_trained() -> None:
    assert count_proposals(Budget(epochs=9), [1.0] * 9) == 3
    assert count_proposals(Budget(epochs=10), [1.0] * 9) == 4
    assert (
        count_proposals(Budget(epochs=10), [1.0] * 9, ended_trial(0, 1.0), ended_trial(1, 1.0, "failed", epochs=5)) == 1
    )


def test_a_search_ends_after_so_many_trials_without_a_better_score() -> None:
    scores: list[float | None] = [0.5, 0.5, 0.4, None, 0.6, 0.4, 0.1]
    assert count_proposals(Budget(flat=3), scores) == 6
    assert count_proposals(Budget(flat=2), scores) == 5
    earlier = [
        ended_trial(number, score, "failed" if score is None else "complete") for number, score in enumerate(scores[:4])
    ]
    assert count_proposals(Budget(flat=3), scores, *earlier) == 2


def test_a_trial_that_was_stopped_is_no_better_score() -> None:
    sampler = budgeted(Budget(flat=2), ended_trial(0, 0.5), ended_trial(1, 0.1, "stopped"))
    assert sampler.remaining == "no better score in 1 of 2 trials"
    sampler.tell(ended_trial(2, 0.3, "stopped"))
    assert sampler.end_reason == "2 trials brought no better score and --stop-when-flat is 2"


def test_the_order_in_which_trials_ended_counts() -> None:
    late = trial_record(0, {"x": 0}, 0, "complete", score=0.1, history=({"val_loss": 0.1},), finished=9.0)
    assert (
        budgeted(Budget(flat=2), late, ended_trial(1, 0.5), ended_trial(2, 0.6)).remaining
        == "no better score in 0 of 2 trials"
    )


def test_what_is_left_is_told() -> None:
    sampler = budgeted(Budget(epochs=2000, flat=5), ended_trial(0, 0.5))
    assert sampler.remaining == "1,997 epochs left · no better score in 0 of 5 trials"

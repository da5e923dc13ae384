"""A study by its encodings: how each is named, which configuration is its best, and in what order they stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pytest

from tune_jobs.leaderboard.encodings import encoding_name, entries, evaluated, means, ranked_rows
from tune_jobs.records.studies import StudyRecord, StudyTerms
from tune_jobs.records.trials import RecordedResult, TestResult, TrialRecord
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space

HIGHER, LOWER = Objective("val_accuracy", "maximize"), Objective("val_loss", "minimize")


def trial(
    number: int,
    params: Mapping[str, Any],
    score: float,
    seed: int = 0,
    state: Literal["complete", "stopped"] = "complete",
    tested: TestResult | None = None,
) -> TrialRecord:
    history = ({"val_loss": score + 1}, {"val_loss": score})
    result = RecordedResult(state, score, 2, {"val_loss": score}, history, finished=1.0)
    return TrialRecord(number, params, seed, state, result=result, tested=tested)


def study(*trials: TrialRecord, objective: Objective = LOWER) -> StudyRecord:
    space = Space(bins=Choice(5, 20)).to_json()
    terms = StudyTerms("own", "d", "own.py:OWN", "digits", "da", space, objective, Protocol(epochs=2), 0)
    return StudyRecord("first", "identity", terms, None, 0.0, trials)


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"kind": "classes", "bins": 720, "width": 2.0, "units": 8}, "classes 720"),
        ({"bins": 20, "is_soft": True, "width": 2.0, "units": 8}, "bins=20 is_soft=True"),
        ({"width": 2.0, "units": 8}, "width=2.0"),
        ({"units": 8}, "its own"),
    ],
)
def test_an_encoding_is_named_by_its_words_and_counts(params: dict[str, Any], name: str) -> None:
    assert encoding_name(params, ("kind", "bins", "is_soft", "width")) == name


@pytest.mark.parametrize(("objective", "order"), [(LOWER, ["bins=5", "bins=20"]), (HIGHER, ["bins=20", "bins=5"])])
def test_encodings_stand_in_the_order_of_their_best_configurations(objective: Objective, order: list[str]) -> None:
    record = study(
        trial(0, {"bins": 5, "units": 8}, 0.5),
        trial(1, {"bins": 5, "units": 16}, 0.4),
        trial(2, {"bins": 20, "units": 8}, 0.8),
        trial(3, {"bins": 20, "units": 16}, 0.9, state="stopped"),
        objective=objective,
    )
    compared = entries(record, ("bins",))
    assert [entry.name for entry in compared] == order
    known = {entry.name: (entry.row.score, entry.configurations) for entry in compared}
    assert known == {"bins=5": (0.4 if objective is LOWER else 0.5, 2), "bins=20": (0.8, 1)}


def test_an_entry_has_its_means_and_its_curve_over_seeds() -> None:
    (entry,) = entries(study(trial(0, {"bins": 5}, 0.5), trial(1, {"bins": 5}, 0.7, seed=1)), ("bins",))
    assert entry.metrics == {"val_loss": pytest.approx(0.6)}
    assert entry.curve is not None
    assert (entry.curve.mean, entry.curve.n) == (pytest.approx((1.6, 0.6)), 2)


def test_a_restless_encoding_does_not_widen_the_interval_of_another() -> None:
    calm = [trial(seed, {"bins": 5}, score, seed) for seed, score in enumerate((0.30, 0.31, 0.29))]
    restless = [trial(3 + seed, {"bins": 20}, score, seed) for seed, score in enumerate((1.0, 9.0, 5.0))]
    alone, *_ = ranked_rows(study(*calm), ("bins",))
    beside, *_ = ranked_rows(study(*calm, *restless), ("bins",))
    pooled, *_ = ranked_rows(study(*calm, *restless), ())
    assert alone.interval == beside.interval
    assert pooled.interval != beside.interval


def test_the_first_trial_that_kept_its_readings_is_shown() -> None:
    read = TestResult({"test_loss": 0.5}, readings="v1")
    record = study(
        trial(0, {"bins": 5}, 0.5),
        trial(1, {"bins": 5}, 0.4, 1, tested=read),
        trial(2, {"bins": 5}, 0.3, 2, tested=read),
    )
    (row,) = ranked_rows(record, ("bins",))
    shown = evaluated(record, row)
    assert shown is not None
    assert shown.number == 1
    assert evaluated(study(trial(0, {"bins": 5}, 0.5)), row) is None


def test_means_are_of_what_all_have() -> None:
    assert means([{"a": 1.0, "b": 2.0}, {"a": 3.0}]) == {"a": 2.0}
    assert means([]) == {}

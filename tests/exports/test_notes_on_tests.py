"""What a leaderboard says of readings of the test split, and of the models that were scored there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.small_studies import study, trial
from tune_jobs import exports
from tune_jobs.records.studies import Evaluation
from tune_jobs.records.trials import TestResult

ANEW = "tested with models that were trained anew, to other validation scores"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"val_score": 0.9012, "is_retrained": True}, True),
        ({"val_score": 0.9, "is_retrained": True}, False),  # the same model again
        ({"val_score": 0.9012, "is_retrained": False}, False),  # its own weights, on another processor
        ({"val_score": 0.9012}, False),  # of an earlier version, which did not say
        ({"is_retrained": True}, False),  # of all folds
    ],
)
def test_models_that_are_not_the_ones_that_were_ranked_are_named(changes: dict[str, Any], said: bool) -> None:
    tested = TestResult({"test_accuracy": 0.7}, **changes)
    page = exports.render(study(replace(trial(0, 0.9, units=1), tested=tested), trial(1, 0.8, units=2)), "table")
    assert (ANEW in " ".join(page.split())) == said
    assert ("trial 0 (0.9012 for 0.9000)" in page) == said


def test_trials_that_began_after_the_last_reading_are_counted() -> None:
    trials = [replace(trial(n, 0.5 + n / 10, units=n), started=100.0 * n) for n in range(3)]
    for at, words in ((150.0, "1 trial of this study began after it"), (50.0, "2 trials of this study began after it")):
        page = exports.render(replace(study(*trials), readings=(Evaluation(at, "me", (0,)),)), "table")
        assert words in " ".join(page.split())
    page = exports.render(replace(study(*trials), readings=(Evaluation(300.0, "me", (0,)),)), "table")
    assert "began after it" not in page

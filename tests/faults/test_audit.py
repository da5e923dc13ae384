"""The audit itself: it passes what is whole, and finds what was planted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.auditing import Seen, audit, differences, undisturbed
from tests.support.sweeping import finished_study, own_task
from tune_jobs import exports
from tune_jobs.search.candidates import Candidate
from tune_jobs.settings import Settings
from tune_jobs.tracking import delivery

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # of MLflow's own tables
]


@pytest.mark.slow
def test_an_audit_passes_what_is_whole_and_finds_what_is_not(tmp_path: Path, settings: Settings) -> None:
    own = own_task(tmp_path / "task", "fine", "raise", width="Choice(1, 2)")
    record = finished_study(own, settings)
    exports.write_all(record, settings.exports_dir("own"))
    delivery.deliver_once("own", settings)
    expected = undisturbed(own_task(tmp_path / "alone", "fine", "raise", width="Choice(1, 2)"), tmp_path)
    audit(settings, expected, own=own)
    (settings.exports_dir("own") / "leaderboard.json").write_text("cut off")
    assert differences(settings, expected) == ["the home has another leaderboard.json than the study"]
    found = differences(settings, replace(expected, trials=expected.trials[1:], runs=expected.runs[::-1]))
    assert [line[:30] for line in found][:2] == ["the study has beyond that (0, ", "MLflow has another order"]


@pytest.mark.slow
def test_an_audit_finds_a_trial_that_was_counted_twice(tmp_path: Path, settings: Settings) -> None:
    own = own_task(tmp_path / "task", width="Choice(1, 2)")
    points = [Candidate(params, 0) for params in own.task.space.grid()]
    record = finished_study(own, settings, candidates=[*points, points[0]])
    exports.write_all(record, settings.exports_dir("own"))
    delivery.deliver_once("own", settings)
    expected = undisturbed(own_task(tmp_path / "alone", width="Choice(1, 2)"), tmp_path)
    found = differences(settings, expected, own=own)
    assert any(line.startswith("the study has beyond that (2, ") for line in found)
    assert any(line.startswith("MLflow has beyond that ('own-0002'") for line in found)
    assert any(line.startswith("the leaderboard has beyond that") for line in found)
    assert sum(line.endswith("was begun again after it had ended") for line in found) == 0  # both are its trials
    assert Seen.of(settings) != expected

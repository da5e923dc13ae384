"""What studies took of the machines: sums over trials, and nothing made up for what was not recorded."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.trials import trial_record
from tune_jobs.exports import accounts
from tune_jobs.records.studies import StudyRecord, StudyTerms
from tune_jobs.records.trials import Spent, TrialRecord
from tune_jobs.search_spaces import Objective, Protocol

OCTOBER = datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC).timestamp()
TERMS = StudyTerms("own", "0", "own", "digits", "0", {}, Objective("score", "maximize"), Protocol(epochs=1), 0)


def study(name: str, *trials: TrialRecord) -> StudyRecord:
    return StudyRecord(name, "0" * 32, TERMS, None, 0.0, trials)


def trial(number: int, spent: Spent | None = None, finished: float = OCTOBER, **known: Any) -> TrialRecord:
    known = {"state": "complete", "started": finished - 10, "user": "ada", "cpus": 2.0} | known
    return trial_record(number, {"width": number}, finished=finished, spent=spent, **known)


def test_a_line_for_each_study_user_and_month_of_a_trials_end() -> None:
    took = Spent(cpu_held=20.0)
    first = study("a", trial(0, took), trial(1, took, OCTOBER + 2), trial(2, took, user="grace"))
    lines = accounts.accounts([study("b", trial(0, took)), first])
    assert [(line["study"], line["user"], line["month"], line["trials"]) for line in lines] == [
        ("a", "ada", "2026-10", 1),
        ("a", "ada", "2026-11", 1),
        ("a", "grace", "2026-10", 1),
        ("b", "ada", "2026-10", 1),
    ]
    (ada, grace) = accounts.accounts([first], ("user",))
    assert (ada["user"], ada["trials"], ada["cpu_seconds"]) == ("ada", 2, 40.0)
    assert "study" not in grace


def test_idle_is_the_share_of_the_time_held_that_was_not_used() -> None:
    shared = Spent(cpu_held=10.0, gpu_held=5.0, cpu_used=2.5, gpu_used=4.0, joules=3600.0)
    whole = Spent(cpu_held=30.0, gpu_held=15.0, cpu_used=7.5, gpu_used=6.0, joules=7200.0)
    unmeasured = Spent(cpu_held=100.0, gpu_held=100.0)
    sums = accounts.account([trial(0, shared), trial(1, whole), trial(2, unmeasured)])
    assert sums == accounts.Account(
        trials=3, cpu_seconds=140.0, cpu_idle=0.75, gpu_seconds=120.0, gpu_idle=0.5, energy_wh=3.0, unrecorded=0
    )


@pytest.mark.parametrize(
    ("known", "cpu_seconds", "gpu_seconds"),
    [
        ({"place": "host"}, 20.0, 0.0),
        ({"place": "host, GPU 0, 1", "gpus": 2}, 20.0, 20.0),
        ({"place": "host, GPU 0"}, 20.0, None),  # perhaps a share of it
        ({"place": None}, 20.0, None),
        ({"place": "host", "cpus": None}, None, None),
    ],
)
def test_of_a_trial_of_an_earlier_version_only_that_counts_which_is_known(
    known: Mapping[str, Any], cpu_seconds: float | None, gpu_seconds: float | None
) -> None:
    sums = accounts.account([trial(0, user=None, **known)])
    assert (sums.cpu_seconds, sums.gpu_seconds) == (cpu_seconds, gpu_seconds)
    assert (sums.cpu_idle, sums.gpu_idle, sums.energy_wh, sums.unrecorded) == (None, None, None, 1)


def test_what_was_never_begun_or_still_runs_is_not_counted() -> None:
    unbegun = trial_record(0, {}, state="failed", reason="infeasible", finished=OCTOBER)
    running = trial_record(1, {}, state="running", started=OCTOBER)
    assert accounts.accounts([study("a", unbegun, running)]) == []


def test_csv_leaves_empty_what_was_not_recorded_and_no_user_is_a_formula() -> None:
    lines = accounts.accounts([study("a", trial(0, user="=1+1"), trial(1, Spent(7.5, cpu_used=1.5)))])
    first, second = csv.DictReader(io.StringIO(accounts.csv_text(lines, accounts.KEYS)))
    assert (first["user"], first["gpu_seconds"], first["energy_wh"]) == ("'=1+1", "", "")
    assert (second["cpu_seconds"], second["cpu_idle"], second["gpu_seconds"]) == ("7.5", "0.8", "0.0")
    assert json.loads(accounts.json_text(lines))[1]["cpu_idle"] == 0.8
    assert json.loads(accounts.json_text(lines))[0]["energy_wh"] is None

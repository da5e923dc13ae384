"""Studies with limits: from `--constraint` to the leaderboard."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.sweeping import Own, SharedRay, called, finished_study, own_task, refusal
from tune_jobs import exports
from tune_jobs.actions.launch import LaunchRequest
from tune_jobs.exports.best import best_row
from tune_jobs.records.constraints import Constraint
from tune_jobs.search.candidates import Candidate
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study

COSTLY = """
def cost(params):
    return {"cost": params["width"] * 10}

OWN = replace(OWN, constraints=cost)
"""


@pytest.fixture
def own(tmp_path: Path) -> Own:
    """A task whose wider configurations score more, and cost more."""
    own = own_task(tmp_path / "task", "level")
    own.file.write_text(own.file.read_text() + COSTLY)
    return own


def test_a_study_keeps_its_limits_until_others_are_asked_for(
    own: Own, settings: Settings, resolved: Callable[[LaunchRequest], Any]
) -> None:
    def limits(*asked: str) -> tuple[Constraint, ...]:
        resolved(LaunchRequest(own.reference, search="random", constraints=asked))
        return Study.open("own", settings).record().constraints

    assert limits() == ()
    assert limits("cost<=20", "latency<=2ms") == (Constraint("cost", "<=", 20.0), Constraint("latency", "<=", 2.0))
    assert limits() == (Constraint("cost", "<=", 20.0), Constraint("latency", "<=", 2.0))
    assert limits("cost<=30") == (Constraint("cost", "<=", 30.0),)
    assert limits("none") == ()


def test_a_limit_of_another_form_is_one_line(own: Own, settings: Settings) -> None:
    code, _, stderr = called(settings, "launch", own.reference, "--constraint", "cost<20")
    assert code == 2
    assert "--constraint needs NAME<=NUMBER or NAME>=NUMBER" in refusal(stderr)


def test_what_was_not_trained_is_proposed_again_once_its_limit_is_wider(
    own: Own, settings: Settings, resolved: Callable[[LaunchRequest], Any]
) -> None:
    from tune_jobs.execution.trial_ledger import TrialLedger

    limits = (Constraint("cost", "<=", 20.0),)
    grid = [Candidate(params, 0) for params in own.task.space.grid()]
    finished_study(own, settings, search="grid", candidates=grid, constraints=limits)
    study = Study.open("own", settings)
    assert TrialLedger(study).n_searched == 2
    status = called(settings, "status", "own")[1]
    assert "trials    2: 2 complete; 2 more not trained, for they break a limit" in status
    assert "trial 2 was not trained: cost would be 30, and needs cost<=20" in status
    narrow = resolved(LaunchRequest(own.reference, search="grid", constraints=("cost<=20",)))
    assert narrow.plan is None
    wider = resolved(LaunchRequest(own.reference, search="grid", constraints=("cost<=30",)))
    assert wider.plan.sampler.ask().params["width"] == 3
    assert wider.plan.sampler.ask() is None


def test_a_leaderboard_marks_what_breaks_a_limit_and_puts_it_last(
    own: Own, settings: Settings, resolved: Callable[[LaunchRequest], Any]
) -> None:
    finished_study(own, settings)
    resolved(LaunchRequest(own.reference, search="grid", constraints=("cost<=20",)))  # asked for later
    record = Study.open("own", settings).record()
    best = best_row(record)
    assert best is not None
    assert best.params["width"] == 2
    rows = json.loads(exports.render(record, "json"))
    assert [(row["params"]["width"], row["broken"]) for row in rows] == [
        (2, []),
        (1, []),
        (4, ["cost 40"]),
        (3, ["cost 30"]),
    ]
    table = exports.render(record, "table")
    assert "limits: cost<=20; 2 of 4 configurations break them, have no rank and come last" in table
    assert [line.split()[0] for line in table.splitlines() if "cost 30" in line or "cost 40" in line] == ["-", "-"]
    cells = csv.DictReader(exports.render(record, "csv").splitlines())
    assert [row["broken"] for row in cells] == ["", "", "cost 40", "cost 30"]


def test_a_study_without_anything_within_its_limits_has_no_best(
    own: Own, settings: Settings, resolved: Callable[[LaunchRequest], Any]
) -> None:
    finished_study(own, settings)
    resolved(LaunchRequest(own.reference, search="grid", constraints=("cost<=5",)))
    code, _, stderr = called(settings, "replicate", "own", "--top", "2")
    assert code == 2
    assert "has nothing to replicate: none of its trials is complete and keeps to cost<=5" in refusal(stderr)


def test_what_is_known_to_break_a_limit_is_not_trained_and_costs_no_trial(
    ray: SharedRay, own: Own, settings: Settings
) -> None:
    settings.prepare()
    limit = "--constraint", "cost<=20"
    code, stdout, stderr = called(
        settings, "launch", own.reference, "--search", "random", "--trials", "2", *limit, *ray.words
    )
    assert code == 0, stderr
    assert sorted(width for width, _ in own.trained) == [1, 2]
    assert "not trained: cost would be " in stderr
    record = Study.open("own", settings).record()
    assert record.count("complete") == 2
    untrained = [trial for trial in record.trials if trial.reason == "infeasible"]
    assert untrained
    assert all(trial.metrics["cost"] > 20 for trial in untrained)
    assert f"2 trials: 2 complete; {len(untrained)} more not trained, for they break a limit" in stdout
    code, stdout, stderr = called(settings, "launch", own.reference, *ray.words)
    assert "study own has its 2 trials" in stderr

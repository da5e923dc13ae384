"""`enqueue`: points for a running or a stopped study, next in turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.sweeping import (
    Own,
    SharedRay,
    called,
    finished_study,
    kill_family,
    own_task,
    refusal,
    until,
)
from tune_jobs.actions import steer
from tune_jobs.actions.launch import LaunchRequest
from tune_jobs.search.candidates import Candidate
from tune_jobs.settings import Settings
from tune_jobs.study import enqueued
from tune_jobs.study.study import Study

NINE = "Choice(1, 2, 3, 4, 5, 6, 7, 8, 9)"


@pytest.fixture
def own(tmp_path: Path, settings: Settings) -> Own:
    """A study of nine configurations, of which one was tried."""
    own = own_task(tmp_path / "task", width=NINE)
    finished_study(own, settings, search="random", trials=1, candidates=[Candidate(own.task.baseline, 0)])
    return own


def widths(settings: Settings) -> list[object]:
    return [point["width"] for point in Study.open("own", settings).enqueued()]


def test_points_are_enqueued_in_their_order(own: Own, settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "points.yaml"
    file.write_text("- {width: 7}\n- {width: 1}\n- {width: 3}\n- {width: 7}\n")
    code, _, stderr = called(settings, "enqueue", "own", "--try", str(file))
    assert code == 0
    assert "Left out: point 2 is trial 0 already" in stderr
    assert "Enqueued 2 points for study own; 2 now wait\n" in stderr
    assert called(settings, "enqueue", "own", "--set", "width=5", "--set", "depth=2")[0] == 0
    code, _, stderr = called(settings, "enqueue", "own", "--set", "width=3")
    assert "Left out: point 1 waits already\nEnqueued 0 points for study own; 3 now wait\n" in stderr
    assert "the same launch command does" in stderr
    assert widths(settings) == [7, 3, 5]
    status = called(settings, "status", "own")[1]
    assert "enqueued  3 points, first act fine, width 7, depth 1" in status
    assert '"width": 7' in called(settings, "status", "own", "--json")[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("own",), "needs --try FILE or --set NAME=VALUE"),
        (("own", "--set", "width=2", "--try", "x.yaml"), "needs --try FILE or --set NAME=VALUE"),
        (("own", "--set", "width=10"), "width is '10'; allowed: 1, 2, 3"),
        (("own", "--set", "wide=1"), "it has no parameter wide"),
        (("own", "--set", "width=1,2"), "width is '1,2'; allowed"),
        (("own", "--set", "width"), "needs NAME=VALUE"),
        (("own", "--try", "none.yaml"), "there is no file none.yaml"),
        (("none", "--set", "width=2"), "no study named 'none'"),
    ],
)
def test_what_cannot_be_a_point_is_one_line(own: Own, settings: Settings, words: tuple[str, ...], message: str) -> None:
    code, _, stderr = called(settings, "enqueue", *words)
    assert code == 2
    assert message in refusal(stderr)
    assert not enqueued.file_of("own", settings).exists()


def test_a_launch_begins_with_them_even_if_the_search_is_at_its_end(
    own: Own, settings: Settings, resolved: Callable[[LaunchRequest], Any]
) -> None:
    request = LaunchRequest(own.reference, search="random", trials=1)
    assert resolved(request).plan is None
    called(settings, "enqueue", "own", "--set", "width=8")
    sweep = resolved(request)
    assert "study own: 1 enqueued point comes first" in sweep.said
    assert (sweep.plan.total, sweep.plan.trials) == (2, 1)
    assert sweep.plan.enqueued.ask_enqueued().params == {"act": "fine", "width": 8, "depth": 1}
    assert resolved(LaunchRequest(own.reference, search="baseline")).plan.enqueued.has_enqueued()


def test_a_point_that_the_task_does_not_have_any_more_is_passed_over(
    own: Own, settings: Settings, resolved: Callable[[LaunchRequest], Any]
) -> None:
    Study.open("own", settings).enqueue([{"act": "fine", "width": 99, "depth": 1}])
    assert resolved(LaunchRequest(own.reference, search="random", trials=1)).plan is None


def test_points_are_deleted_with_their_study(own: Own, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    called(settings, "enqueue", "own", "--set", "width=8")
    assert enqueued.file_of("own", settings).exists()
    monkeypatch.setattr(steer, "_forget", lambda *_: None)  # MLflow knows nothing of it
    steer.delete("own", settings)
    assert not enqueued.file_of("own", settings).exists()


@pytest.mark.parametrize("storage", ["journal", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_a_study_of_another_process_takes_them_next_and_a_kill_loses_none(
    ray: SharedRay, tmp_path: Path, settings: Settings, request: pytest.FixtureRequest, storage: str
) -> None:
    if storage == "postgres":
        settings = replace(settings, storage=request.getfixturevalue("postgres_url"))
    settings.prepare()
    own = own_task(tmp_path / "task", width=NINE)
    own.make_room(0)
    launch = "launch", own.reference, "--search", "grid", "--trials", "2", "--max-concurrent", "1"
    driver = ray.command_line(settings, *launch)
    try:
        until(lambda: own.trained, "the first trial begins", driver)
        _, _, stderr = called(settings, "enqueue", "own", "--set", "width=9")
        assert f"process {driver.pid} of " in stderr
        called(settings, "enqueue", "own", "--set", "width=6")
        own.make_room(1)
        until(lambda: len(own.trained) == 2, "an enqueued trial begins", driver)
    finally:
        kill_family(driver)
    assert own.trained[1] == (9, 0)
    called(settings, "enqueue", "own", "--set", "width=7")
    own.make_room(None)
    code, _, stderr = called(settings, *launch)
    assert code == 0, stderr
    trials = Study.open("own", settings).record().trials
    assert [(trial.params["width"], trial.state) for trial in trials] == [(width, "complete") for width in (1, 9, 6, 7)]
    assert [trial.attempts for trial in trials] == [1, 2, 1, 1]
    assert Study.open("own", settings).enqueued() == ()

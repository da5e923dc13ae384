"""A study is stopped from another shell, given more trials, and deleted: real sweeps, real MLflow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from tests.support.sweeping import Own, SharedRay, called, ended, finished_study, kill_family, own_task, until
from tune_jobs.actions import extend, steer
from tune_jobs.actions.extend import ExtendRequest
from tune_jobs.actions.launch import LaunchRequest
from tune_jobs.cli import run
from tune_jobs.errors import StudyError
from tune_jobs.records.studies import StudyRecord
from tune_jobs.settings import Settings
from tune_jobs.study import locks, provenance
from tune_jobs.study.locks import Holder
from tune_jobs.study.storage import study_names
from tune_jobs.study.study import Study
from tune_jobs.tracking import delivery
from tune_jobs.training import weights

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables


def record(settings: Settings) -> StudyRecord:
    return Study.open("own", settings).record()


def say(message: str) -> None:
    """Nobody listens."""


# --- stop -------------------------------------------------------------------------------------------------------------


@contextmanager
def two_waiting(ray: SharedRay, settings: Settings, own: Own) -> Iterator[Any]:
    """A launch of four trials, of which two wait."""
    process = ray.command_line(settings, "launch", own.reference, "--search", "grid", "--max-concurrent", "2")
    try:
        until(lambda: len(own.trained) == 2, "two trials to begin", process)
        yield process
    finally:
        kill_family(process)


def test_a_drained_study_ends_with_its_running_trials_and_goes_on_later(tmp_path: Path, ray: SharedRay) -> None:
    settings, own = Settings.read(home=tmp_path / "home"), own_task(tmp_path / "task", "wait")
    with two_waiting(ray, settings, own) as process:
        code, stdout, stderr = called(settings, "stop", "own")
        assert (code, stdout) == (0, "")
        assert f"process {process.pid} of " in stderr
        assert "will stop once its running trials have finished" in stderr
        until(lambda: "Draining: running trials finish" in process.stderr, "the driver to say so", process)
        own.go()  # only now: a trial that ended before the signal was heard would have made room for another
        code, _, stderr = ended(process)
    assert code == 0, stderr
    states = [trial.state for trial in record(settings).trials]
    assert states[:2] == ["complete"] * 2
    assert set(states[2:]) <= {"waiting"}  # the next one may have been at hand already
    code, _, stderr = called(settings, "launch", own.reference, "--search", "grid", "--max-concurrent", "1")
    assert code == 0, stderr
    again = record(settings).trials
    assert [trial.state for trial in again] == ["complete"] * 4
    assert [trial.attempts for trial in again[:2]] == [1, 1]


def test_a_study_that_is_stopped_now_leaves_its_running_trials_for_the_next_launch(
    tmp_path: Path, ray: SharedRay
) -> None:
    settings, own = Settings.read(home=tmp_path / "home"), own_task(tmp_path / "task", "wait")
    with two_waiting(ray, settings, own) as process:
        assert called(settings, "stop", "own", "--now")[0] == 0
        assert ended(process)[0] == 130
    states = [trial.state for trial in record(settings).trials]
    assert states[:2] == ["running"] * 2
    assert "complete" not in states


def test_a_study_that_nobody_runs_cannot_be_stopped(tmp_path: Path, settings: Settings) -> None:
    finished_study(own_task(tmp_path / "task"), settings)
    with pytest.raises(StudyError, match=r"^nothing runs study 'own' on this machine; `tune-jobs status own` shows"):
        steer.stop("own", settings, now=False)
    with pytest.raises(StudyError, match=r"^no study named 'another'"):
        steer.stop("another", settings, now=False)


def test_a_study_run_on_another_machine_is_stopped_there(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines may share a home: the number of a process there is that of another one here."""
    finished_study(own_task(tmp_path / "task"), settings)
    with Study.hold("own", settings) as study:
        elsewhere = replace(Holder.me(), host="elsewhere")
        monkeypatch.setattr(locks, "_read_holder", lambda path: elsewhere)
        assert study.holder() == elsewhere
        with pytest.raises(StudyError, match=rf"run by process {os.getpid()} of .* on elsewhere, .*: stop it there$"):
            steer.stop("own", settings, now=True)


# --- extend -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[LaunchRequest]:
    """What would be launched."""
    requests: list[LaunchRequest] = []
    monkeypatch.setattr(extend, "launch", lambda request, *others: requests.append(request))
    return requests


@pytest.mark.parametrize(
    ("last", "asked", "total"), [(4, "+3", 7), (4, "9", 9), (None, "+3", 7), (6, "+3", 6), (6, "8", 8)]
)
def test_more_trials_are_counted_from_what_was_asked_for_last_unless_that_is_not_there_yet(
    tmp_path: Path, settings: Settings, launches: list[LaunchRequest], last: int | None, asked: str, total: int
) -> None:
    own = own_task(tmp_path / "task")
    finished_study(own, settings)  # of four trials
    with Study.hold("own", settings) as study:
        study.note_launch(replace(provenance.note("random", last)))
    request = ExtendRequest("own", int(asked), is_more=asked.startswith("+"))
    extend.extend(request, settings, say)
    assert [(request.task, request.study, request.trials) for request in launches] == [(own.reference, "own", total)]


def test_a_study_is_not_given_fewer_trials_than_it_has(tmp_path: Path, settings: Settings) -> None:
    finished_study(own_task(tmp_path / "task"), settings)
    with pytest.raises(StudyError, match=r"has 4 trials already, and 3 in all are asked for: --trials \+N adds some"):
        extend.extend(ExtendRequest("own", 3), settings, say)


@pytest.mark.parametrize("trials", ["", "-3", "0", "+0", "3.5", "many"])
def test_a_number_of_trials_that_is_none_is_refused(trials: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["extend", "own", "--trials", trials]) == 2
    assert "needs +50 for 50 more trials, or 70 for 70 trials in total" in capsys.readouterr().err


@pytest.fixture(autouse=True)
def nothing_of_ours_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow itself leaves its variable behind when a model is logged."""
    for name in ("TUNE_JOBS_HOME", "TUNE_JOBS_DATA", "TUNE_JOBS_STORAGE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


# --- delete -----------------------------------------------------------------------------------------------------------


def runs(settings: Settings, view: int) -> list[str]:
    client = MlflowClient(tracking_uri=settings.tracking_uri)
    experiment = client.get_experiment_by_name("own")
    found = client.search_runs([experiment.experiment_id], run_view_type=view)
    return sorted(run.info.run_name for run in found)


@pytest.mark.slow
def test_a_deleted_study_is_gone_and_its_name_is_free(tmp_path: Path, settings: Settings) -> None:
    own = own_task(tmp_path / "task")
    settings.prepare()
    first = finished_study(own, settings)
    delivery.deliver_once("own", settings)
    kept, exported = settings.weights_dir(first.identity), settings.exports_dir("own")
    for folder in (kept, exported):
        folder.mkdir(parents=True)
        (folder / "something").touch()
    assert len(runs(settings, ViewType.ACTIVE_ONLY)) == 5
    assert run(["delete", "own", "--yes", "--home", str(settings.home)]) == 0
    assert study_names(settings) == ()
    assert not kept.exists()
    assert not exported.exists()
    assert weights.load(kept, 0) is None
    assert runs(settings, ViewType.ACTIVE_ONLY) == []
    assert len(runs(settings, ViewType.DELETED_ONLY)) == 5
    second = finished_study(own, settings)
    assert second.identity != first.identity
    assert len(second.trials) == 4


def test_deleting_asks_first(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finished_study(own_task(tmp_path / "task"), settings)
    answers = tmp_path / "answers"
    answers.write_text("n\n")
    with answers.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert run(["delete", "own", "--home", str(settings.home)]) == 0
    said = capsys.readouterr().err
    assert "Delete study own of task own with its 4 trials? [y/N]" in said
    assert "Nothing was deleted" in said
    assert study_names(settings) == ("own",)


def test_a_study_that_is_run_is_not_deleted(tmp_path: Path, settings: Settings) -> None:
    finished_study(own_task(tmp_path / "task"), settings)
    with Study.hold("own", settings), pytest.raises(StudyError, match="study 'own' is being run by"):
        steer.delete("own", settings)
    assert study_names(settings) == ("own",)


def test_a_study_is_deleted_although_mlflow_is_away(
    tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    finished_study(own_task(tmp_path / "task"), settings)
    away = replace(settings, tracking_uri="http://127.0.0.1:9")
    _, left = steer.delete("own", away)
    assert left is not None
    assert "no MLflow server answers at http://127.0.0.1:9" in left
    assert study_names(settings) == ()

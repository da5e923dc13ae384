"""Readings of test splits are known as long as the home or the store is, also those of studies that were deleted."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.sweeping import Own, deliver_nothing, finished_study, own_task
from tune_jobs import cli
from tune_jobs.actions import portable, steer
from tune_jobs.actions.readings import all_readings, known_studies
from tune_jobs.records.split_readings import readings_of
from tune_jobs.records.studies import Evaluation, StudyRecord
from tune_jobs.settings import Settings
from tune_jobs.study import deleted
from tune_jobs.study.storage import study_names
from tune_jobs.study.study import Study

SPLIT = "0123456789abcdef"


@pytest.fixture(params=["a home", "a database"])
def where(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Settings:
    """No MLflow answers here."""
    storage = None if request.param == "a home" else f"sqlite:///{tmp_path / 'studies.db'}"
    return replace(settings, storage=storage, tracking_uri="http://127.0.0.1:9")


def read_by(own: Own, settings: Settings, name: str, at: float | None = None) -> StudyRecord:
    """A study of two trials that has read its test split, now or at a time."""
    record = finished_study(own, settings, name=name)
    with Study.hold(name, settings) as study:
        study.note_evaluation(Evaluation(at or time.time(), "ada", (0,), SPLIT, 1))
    return record


def say(message: str) -> None:
    """Nobody listens."""


def test_a_deleted_study_still_counts_with_who_when_and_what_began_since(tmp_path: Path, where: Settings) -> None:
    own = own_task(tmp_path / "task", width="Choice(1, 2)")
    first = read_by(own, where, "first")
    steer.delete("first", where)
    assert study_names(where) == ()
    last = read_by(own, where, "last")
    known = known_studies(where, say)
    assert [reading.study for reading in readings_of(SPLIT, last.terms, known)] == ["first", "last"]
    noted = [(one.study, one.place, one.by, one.task, one.trials) for one in all_readings(where, say)]
    assert noted == [("first", 1, "ada", "own", 1), ("last", 2, "ada", "own", 1)]
    assert [(one.begun_since, one.is_deleted) for one in all_readings(where, say)] == [(2, True), (0, False)]
    assert deleted.readers(where)[0].terms == first.terms


def test_a_study_without_readings_leaves_nothing(tmp_path: Path, where: Settings) -> None:
    finished_study(own_task(tmp_path / "task", width="Choice(1, 2)"), where)
    steer.delete("own", where)
    assert deleted.readers(where) == ()


def test_a_deleted_study_that_is_imported_again_counts_once(
    tmp_path: Path, where: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_nothing(monkeypatch)
    read_by(own_task(tmp_path / "task", width="Choice(1, 2)"), where, "own")
    portable.export_study("own", tmp_path / "own.study", where, say)
    for _ in range(2):
        steer.delete("own", where)
        portable.import_study(tmp_path / "own.study", None, where, say)
    assert [(one.study, one.is_deleted) for one in all_readings(where, say)] == [("own", False)]


def test_a_line_that_a_killed_writer_left_costs_no_other(tmp_path: Path, settings: Settings) -> None:
    away = replace(settings, tracking_uri="http://127.0.0.1:9")
    own = own_task(tmp_path / "task", width="Choice(1, 2)")
    read_by(own, away, "first", 1.0)
    steer.delete("first", away)
    with deleted.file_of(away).open("ab") as file:
        file.write(b'{"name": "half')
    read_by(own, away, "second", 2.0)
    steer.delete("second", away)
    assert [study.name for study in deleted.readers(away)] == ["first", "second"]


def test_the_command_lists_them(tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["readings", "--home", str(settings.home)]) == 0
    assert "No test split was read yet" in capsys.readouterr().err
    read_by(own_task(tmp_path / "task", width="Choice(1, 2)"), settings, "own", 1.5e9)
    assert cli.run(["readings", "--home", str(settings.home)]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["data", "reading"]
    assert line.split() == ["digits", "1", "2017-07-14", "02:40", "ada", "own", "own", "1", "2"]
    assert cli.run(["readings", "--json", "--home", str(settings.home)]) == 0
    (noted,) = json.loads(capsys.readouterr().out)
    assert (noted["study"], noted["place"], noted["begun_since"], noted["is_deleted"]) == ("own", 1, 2, False)

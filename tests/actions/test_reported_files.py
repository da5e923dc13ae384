"""What a function reports is kept by a trial in a script, and goes where its study goes."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.sweeping import deliver_nothing, finished_study, own_task
from tune_jobs.actions import portable, reported_files
from tune_jobs.actions.try_trial import TryRequest, try_trial
from tune_jobs.errors import StudyError, UserError
from tune_jobs.search_spaces import Choice, Objective, Space, Task
from tune_jobs.settings import Settings
from tune_jobs.study.storage import study_names

AIM = Objective("score", "maximize")


def report(params: Any, *, artifacts: Path) -> float:
    (artifacts / "inner").mkdir()
    (artifacts / "inner" / "log.txt").write_text(f"x was {params['x']}")
    return 1.0


REPORTING = Task("reporting", Space(x=Choice(1, 2)), AIM, run=report)
PLAIN = Task("plain", Space(x=Choice(1, 2)), AIM, run=lambda params: 1.0)


def test_a_trial_in_a_script_keeps_what_its_function_reports(settings: Settings, tmp_path: Path) -> None:
    said: list[str] = []
    folder = tmp_path / "kept"
    assert try_trial(TryRequest(REPORTING, {"x": 2}, artifacts=folder), settings, said.append).score == 1
    assert (folder / "inner" / "log.txt").read_text() == "x was 2"
    try_trial(TryRequest(REPORTING), settings, said.append)
    assert said[-1] == "the files of the function are not kept: artifacts=FOLDER keeps them"
    with pytest.raises(UserError, match="is there already: name another folder"):
        try_trial(TryRequest(REPORTING, artifacts=folder), settings, said.append)
    with pytest.raises(UserError, match="task 'plain' reports no files: leave artifacts out"):
        try_trial(TryRequest(PLAIN, artifacts=tmp_path / "none"), settings, said.append)


@pytest.fixture
def exported(tmp_path: Path) -> tuple[Settings, Path]:
    """A study of four trials, two of which reported files, in its file."""
    settings, own = Settings.read(home=tmp_path / "home"), own_task(tmp_path / "task")
    finished_study(own, settings)
    for number in (1, 3):
        folder = settings.trial_files_dir("own") / f"{number:04d}" / "inner"
        folder.mkdir(parents=True)
        (folder / "log.txt").write_text(f"of trial {number}")
    said: list[str] = []
    portable.export_study("own", tmp_path / "own.study", settings, said.append)
    assert said == [
        f"the files that its trials reported are in {tmp_path}/own.study.files.zip: keep it beside own.study"
    ]
    return settings, tmp_path / "own.study"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Another home; what is imported there is not delivered to MLflow."""
    deliver_nothing(monkeypatch)
    monkeypatch.setattr(portable, "_deliver", lambda *_: True)
    return Settings.read(home=tmp_path / "elsewhere")


def logs_of(settings: Settings, name: str = "own") -> dict[str, str]:
    folder = settings.trial_files_dir(name)
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*.txt")}


def test_files_go_where_their_study_goes(exported: tuple[Settings, Path], elsewhere: Settings) -> None:
    settings, file = exported
    portable.import_study(file, "copy", elsewhere, lambda _: None)
    assert (
        logs_of(elsewhere, "copy")
        == logs_of(settings)
        == {
            "0001/inner/log.txt": "of trial 1",
            "0003/inner/log.txt": "of trial 3",
        }
    )
    own = elsewhere.trial_files_dir("copy") / "0001" / "inner" / "log.txt"
    own.write_text("mine")
    portable.import_study(file, "copy", elsewhere, lambda _: None)
    assert own.read_text() == "mine"
    assert (own.stat().st_mode & 0o077, own.parent.stat().st_mode & 0o077) == (0, 0)


def test_a_study_without_its_archive_is_imported_alone(exported: tuple[Settings, Path], elsewhere: Settings) -> None:
    _, file = exported
    reported_files.archive_of(file).unlink()
    portable.import_study(file, None, elsewhere, lambda _: None)
    assert logs_of(elsewhere) == {}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("../out.txt", b"x"),
        ("0001/../../out.txt", b"x"),
        ("/0001/out.txt", b"x"),
        ("0001/a\\b.txt", b"x"),
        ("0009/log.txt", b"x"),
        ("notes.txt", b"x"),
    ],
)
def test_an_archive_that_no_export_wrote_is_refused(
    name: str, content: bytes, exported: tuple[Settings, Path], elsewhere: Settings
) -> None:
    _, file = exported
    with zipfile.ZipFile(reported_files.archive_of(file), "w") as archive:
        archive.writestr(name, content)
    with pytest.raises(StudyError, match="which no trial of the study reported"):
        portable.import_study(file, None, elsewhere, lambda _: None)
    assert not logs_of(elsewhere)
    assert not list(elsewhere.home.rglob("out.txt"))


def test_an_archive_that_fills_the_disk_is_refused(
    exported: tuple[Settings, Path], elsewhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, file = exported
    monkeypatch.setattr(reported_files, "_UNPACKED", (0, 10))
    with zipfile.ZipFile(reported_files.archive_of(file), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0001/zeros", bytes(10**6))
    with pytest.raises(StudyError, match="unpacks to more than 10 times its size"):
        portable.import_study(file, None, elsewhere, lambda _: None)
    reported_files.archive_of(file).write_bytes(b"no archive")
    with pytest.raises(StudyError, match="cannot be read"):
        portable.import_study(file, None, elsewhere, lambda _: None)
    assert not study_names(elsewhere)


def test_a_study_without_files_has_no_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, own = Settings.read(home=tmp_path / "home"), own_task(tmp_path / "task")
    finished_study(own, settings)
    said: list[str] = []
    portable.export_study("own", tmp_path / "own.study", settings, said.append)
    assert said == []
    assert not reported_files.archive_of(tmp_path / "own.study").exists()

"""A home that others can write is refused, a link that they planted is not followed, and what is ours is closed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.security.conftest import Intruder
from tests.support.sweeping import called, finished_study, own_task
from tune_jobs import exports, files
from tune_jobs.cli import run
from tune_jobs.errors import SettingsError, UserError
from tune_jobs.execution import submission
from tune_jobs.live import activity, drains
from tune_jobs.live.activity import Activity
from tune_jobs.search_spaces import catalog
from tune_jobs.settings import Settings
from tune_jobs.study.locks import StudyLock, taking_turns
from tune_jobs.tracking import report, ui_password
from tune_jobs.tracking.report import Report
from tune_jobs.training import folders, weights
from tune_jobs.training.checkpoints import CheckpointFolder


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("folder", ["", "studies", "exports"])
@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777])
def test_a_home_that_others_can_write_is_refused(
    folder: str, mode: int, open_home: Settings, intruder: Intruder, capsys: pytest.CaptureFixture[str]
) -> None:
    open_home.prepare()
    place = open_home.home / folder
    place.mkdir(exist_ok=True)
    os.chown(place, 0, intruder.number)
    place.chmod(mode)
    for command in (["studies"], ["status", "own"], ["launch", "digits-mlp"], ["import-study", "x.study"]):
        assert run([*command, "--home", str(open_home.home)]) == 2
        line = capsys.readouterr().err.strip()
        assert line.startswith(f"tune-jobs: other users can write in {place}")
        assert "`chmod go-w" in line


@pytest.mark.parametrize("folder", ["", "studies"])
def test_a_home_of_another_user_is_refused(folder: str, open_home: Settings, intruder: Intruder) -> None:
    open_home.prepare()
    os.chown(open_home.home / folder, intruder.number, intruder.number)
    with pytest.raises(SettingsError, match=f"belongs to another user, number {intruder.number}"):
        open_home.prepare()
    with pytest.raises(SettingsError, match="belongs to another user"):
        Settings.read(home=open_home.home)


def test_a_planted_link_is_not_followed(reachable: Path, intruder: Intruder) -> None:
    """In a folder beside a SQLite file that several homes share."""
    victims = reachable / "victims"
    victims.write_text("kept")
    shared = reachable / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    intruder.links(shared / "x.lock", victims)
    with pytest.raises(UserError, match="is no regular file"), StudyLock("x", shared / "x.lock").hold():
        pass
    with pytest.raises(UserError, match="is no regular file"), taking_turns(shared / "x.lock"):
        pass
    os.link(victims, shared / "y.lock")  # as another user may where the system does not protect hard links
    with pytest.raises(UserError, match="is no regular file"), StudyLock("y", shared / "y.lock").hold():
        pass
    assert victims.read_text() == "kept"
    os.mkfifo(shared / "pipe")
    with pytest.raises(UserError, match="is no regular file"), files.opened(shared / "pipe"):
        pass


@pytest.mark.timeout(60)
def test_a_pipe_in_place_of_a_lock_keeps_no_reader_waiting(
    open_home: Settings, reachable: Path, tmp_path: Path, intruder: Intruder
) -> None:
    """In a folder with a SQLite file that several users share."""
    shared = reachable / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    settings = replace(open_home, storage=f"sqlite:///{shared / 'studies.db'}")
    finished_study(own_task(tmp_path), settings)
    done = intruder.does('rm -f "$1" && mkfifo "$1"', shared / "studies.db.own.lock")
    assert done.returncode == 0, done.stderr
    code, stdout, stderr = called(settings, "status", "own")
    assert code == 0, stderr
    assert "4 complete" in stdout


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_what_is_ours_is_closed_whatever_the_umask(
    open_home: Settings, tmp_path: Path, intruder: Intruder, no_umask: None
) -> None:
    record = finished_study(own_task(tmp_path), open_home)
    exports.write_all(record, open_home.exports_dir("own"))
    weights.keep(b"weights", open_home.weights_dir(record.identity), 0)
    reported = tmp_path / "reported" / "below"
    reported.mkdir(parents=True)
    (reported / "picture.png").touch()
    folders.put(folders.packed(reported.parent), open_home.trial_files_dir("own") / "0000")
    CheckpointFolder(open_home.checkpoints_dir(record.identity)).save("trial", b"checkpoint")
    activity.write(open_home.activity_file("own"), Activity())
    drains.drain(open_home.drained_file("own"), drains.spots("node", ()))
    report.write("own", open_home, Report())
    ui_password.make(open_home, 5000)
    made = list(open_home.home.rglob("*"))
    assert {path.relative_to(open_home.home).parts[0] for path in made} >= {"studies", "exports", "weights", "ui"}
    assert [path for path in made if rights(path) != (0o700 if path.is_dir() else 0o600)] == []
    assert not intruder.can_read(open_home.studies_dir / "own.journal")


def test_what_is_made_in_a_home_that_others_may_enter_is_closed(open_home: Settings, tmp_path: Path) -> None:
    open_home.home.mkdir(mode=0o755)  # a folder of the user's own
    record = finished_study(own_task(tmp_path), open_home)
    exports.write_all(record, open_home.exports_dir("own"))
    weights.keep(b"weights", open_home.weights_dir(record.identity), 0)
    assert [path for path in open_home.home.rglob("*") if rights(path) & 0o077] == []


def test_a_home_is_closed_before_a_submitted_task_is_kept_in_it(
    reachable: Path, tmp_path: Path, intruder: Intruder, no_umask: None
) -> None:
    home = reachable / "new" / "home"
    settings = Settings(home, home / "data", storage=None, tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
    own = own_task(tmp_path / "task" / "package")
    kept, _ = submission.keep_task(f"{own.file}:OWN", (), settings)
    assert {rights(path) for path in (home.parent, home, *home.rglob("*")) if path.is_dir()} == {0o700}
    assert not intruder.can_read(Path(kept.rpartition(":")[0]))
    assert catalog.find_said(kept, "the study").name == "own"  # its checks pass, too


def test_what_a_user_has_written_elsewhere_follows_the_umask(
    open_home: Settings, tmp_path: Path, no_umask: None
) -> None:
    record = finished_study(own_task(tmp_path), open_home)
    folder = open_home.home.parent / "for-all"
    assert {rights(path) for path in exports.write_all(record, folder)} == {0o666}
    assert rights(folder) == 0o777


def test_what_an_earlier_version_left_open_is_closed(open_home: Settings) -> None:
    for folder in (open_home.home, open_home.studies_dir, open_home.exports_dir("x").parent):
        folder.mkdir()
        folder.chmod(0o755)
    (open_home.home / "mlflow.db").touch(0o644)
    elsewhere = open_home.home.parent / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    (open_home.home / "weights").symlink_to(elsewhere)
    open_home.prepare()
    assert rights(open_home.home) == 0o755  # it may be a folder of the user's own
    assert rights(open_home.studies_dir) == rights(open_home.home / "exports") == 0o700
    assert rights(open_home.home / "mlflow.db") == 0o600
    assert rights(elsewhere) == 0o755

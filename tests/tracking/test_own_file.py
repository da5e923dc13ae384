"""MLflow's file in the home works whatever the home is called, follows a home that moves, and is brought up to date."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.people import TRIALS, facts, settings_of, study, sync, trial
from tests.support.sweeping import logged
from tune_jobs.environment import prepare_mlflow
from tune_jobs.errors import SettingsError
from tune_jobs.settings import Settings
from tune_jobs.tracking import own_file, store
from tune_jobs.tracking.tracker import Tracker

prepare_mlflow()

pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # of MLflow's own tables
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with MLflow's file, made once: that takes seconds."""
    settings = settings_of(tmp_path_factory.mktemp("made") / "home")
    store.prepare_file(settings, print)
    return settings.home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Settings:
    shutil.copytree(made, tmp_path / "home")
    return settings_of(tmp_path / "home")


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["a#b", "a?b", "a%b", "a%20b", "a&b;c", "mit Leerzeichen", "größe-漢", "😀", "?x=%23#"]
)
def test_a_home_of_any_name_has_all_of_mlflow_inside(made: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(made, tmp_path / name)
    settings, record = settings_of(tmp_path / name), study(*TRIALS)
    tracker = sync(settings, record)
    assert (tracker.failed, tracker.left_out) == ({}, {})
    client = store.client(settings)
    (parent,) = (run for run in client.search_runs(["1"]) if run.info.run_name == "first")
    assert "leaderboard/best.yaml" in {file.path for file in client.list_artifacts(parent.info.run_id, "leaderboard")}
    with closing(sqlite3.connect(tmp_path / name / "mlflow.db")) as database:
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (4,)
    assert {path.name for path in tmp_path.iterdir()} == {name}
    assert any(file.startswith("mlartifacts/rows/") for file in files_of(tmp_path / name))


def test_a_file_is_made_in_a_home_with_a_question_mark(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "ho?me%20")
    store.prepare_file(settings, print)
    assert {path.name for path in tmp_path.iterdir()} == {"ho?me%20"}
    assert store.client(settings).get_experiment("0").artifact_location == f"{settings.artifacts_dir.as_uri()}/0"


@pytest.mark.slow
def test_a_home_that_was_moved_is_written_to_where_it_is(home: Settings, tmp_path: Path) -> None:
    record = study(*TRIALS)
    sync(home, record)
    before = facts(home, record)
    home.home.rename(tmp_path / "moved, 100 %")
    moved = settings_of(tmp_path / "moved, 100 %")
    more = replace(record, trials=(*TRIALS, trial(3)))
    sync(moved, more)
    assert not home.home.exists()
    client = store.client(moved)
    places = [run.info.artifact_uri for run in client.search_runs(["1"])]
    assert len(places) == 5
    assert {place.startswith(moved.artifacts_dir.as_uri()) for place in places} == {True}
    assert client.get_experiment("1").artifact_location.startswith(moved.artifacts_dir.as_uri())
    assert before.items() <= facts(moved, more).items()


@pytest.mark.slow
def test_two_copies_of_a_home_are_both_used_and_neither_writes_to_the_other(home: Settings, tmp_path: Path) -> None:
    record = study(*TRIALS)
    sync(home, record)
    shutil.copytree(home.home, tmp_path / "copy")
    copy, first = settings_of(tmp_path / "copy"), files_of(home.home)
    sync(copy, replace(record, trials=(*TRIALS, trial(3))))
    assert files_of(home.home) == first
    second = files_of(copy.home)
    sync(home, replace(record, trials=(*TRIALS, trial(3), trial(4))))
    assert files_of(copy.home) == second
    assert (len(logged(home, record).trials), len(logged(copy, record).trials)) == (5, 4)


@pytest.mark.slow
def test_experiments_that_people_keep_elsewhere_stay_there(home: Settings, tmp_path: Path) -> None:
    sync(home, study(*TRIALS))
    place = (tmp_path / "data" / "mlartifacts" / "theirs").as_uri()
    store.client(home).create_experiment("theirs", artifact_location=place)
    home.home.rename(tmp_path / "moved")
    assert store.client(settings_of(tmp_path / "moved")).get_experiment_by_name("theirs").artifact_location == place


@pytest.mark.slow
def test_files_of_a_home_that_is_gone_are_named_and_left_out(made: Path, tmp_path: Path) -> None:
    """The database is not the home's, so it cannot follow the home."""
    shutil.copy(made / "mlflow.db", tmp_path / "shared.db")
    shared, record = f"sqlite:///{tmp_path / 'shared.db'}", study(*TRIALS)
    before = replace(settings_of(tmp_path / "home"), tracking_uri=shared)
    sync(before, record)
    before.home.rename(tmp_path / "moved")
    tracker = sync(replace(settings_of(tmp_path / "moved"), tracking_uri=shared), record)
    ((what, why),) = tracker.left_out.items()
    assert what == "the files of 'leaderboard' of the study"
    assert f"the folder {before.artifacts_dir}, in which MLflow keeps them, is not there any more" in why
    assert not before.home.exists()


# --- tables of another version -----------------------------------------------------------------------------------


@pytest.fixture
def upgrades(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What `mlflow db upgrade` was called on; here it only writes the newest version, which the tables have."""
    called: list[str] = []

    def run(command: list[str], **_: Any) -> Any:
        assert command[1:6] == ["-P", "-m", "mlflow", "db", "upgrade"]
        file = Path(command[6].removeprefix("sqlite:///"))
        set_version(file, store._newest_version())
        called.append(file.name)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(own_file.subprocess, "run", run)
    return called


def set_version(file: Path, version: str) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = ?", [version])


@pytest.mark.slow
def test_our_own_file_of_an_older_version_is_brought_up_to_date_and_a_copy_is_kept(
    home: Settings, upgrades: list[str]
) -> None:
    record = study(*TRIALS)
    sync(home, record)
    file = home.home / "mlflow.db"
    set_version(file, "75868b020152")
    tracker = sync(home, replace(record, trials=(*TRIALS, trial(3))))
    kept = home.home / "mlflow-before-upgrade-from-75868b020152.db"
    assert tracker.news == [
        f"MLflow's file was of an older version: it had an upgrade, and {kept} is a copy from before"
    ]
    assert own_file.schema_version(kept) == "75868b020152"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600  # also in a home that others may enter
    with closing(sqlite3.connect(kept)) as database:
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (4,)
    assert len(upgrades) == 1
    assert len(logged(home, record).trials) == 4
    assert not list(home.home.glob(".mlflow.db.*"))


@pytest.mark.slow
def test_the_real_upgrade_brings_tables_back_that_an_older_version_had_not(home: Settings) -> None:
    with closing(sqlite3.connect(home.home / "mlflow.db")) as database, database:
        database.execute("DROP TABLE job_locks")
        database.execute("DROP TABLE scheduler_leases")
        database.execute("DROP TABLE jobs")
        database.execute(OLDER_JOBS)
    set_version(home.home / "mlflow.db", "75868b020152")
    said: list[str] = []
    client = store.client(home, said.append)
    assert len(said) == 1
    assert client.search_experiments()
    with closing(sqlite3.connect(home.home / "mlflow.db")) as database:
        assert database.execute("SELECT count(*) FROM job_locks").fetchone() == (0,)


OLDER_JOBS = """
CREATE TABLE jobs (id VARCHAR(36) NOT NULL PRIMARY KEY, creation_time BIGINT NOT NULL, job_name VARCHAR(500) NOT NULL,
params TEXT NOT NULL, workspace VARCHAR(63) DEFAULT 'default' NOT NULL, timeout FLOAT, status INTEGER NOT NULL,
result TEXT, retry_count INTEGER NOT NULL, last_update_time BIGINT NOT NULL, status_details JSON)
"""


@pytest.mark.slow
def test_a_file_that_cannot_be_brought_up_to_date_is_as_it_was_and_the_command_is_named(home: Settings) -> None:
    file = home.home / "mlflow.db"
    set_version(file, "75868b020152")  # its tables are newer, so that the step cannot be taken again
    before = file.read_bytes()
    with pytest.raises(SettingsError, match=rf"its upgrade failed \(.*\).*`mlflow db upgrade sqlite:///{file}`"):
        Tracker(home).deliver(study(*TRIALS))
    assert file.read_bytes() == before
    assert not list(home.home.glob(".mlflow.db.*"))


@pytest.mark.parametrize("version", ["75868b020152", "of the future"])
def test_a_database_of_somebody_elses_is_named_with_the_command_and_left_alone(
    home: Settings, made: Path, tmp_path: Path, version: str
) -> None:
    file = tmp_path / "theirs.db"
    shutil.copy(made / "mlflow.db", file)
    set_version(file, version)
    before = file.read_bytes()
    with pytest.raises(SettingsError, match=rf"back them up and run `mlflow db upgrade sqlite:///{file}`, or"):
        Tracker(replace(home, tracking_uri=f"sqlite:///{file}")).deliver(study(*TRIALS))
    assert file.read_bytes() == before


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def overwritten(file: Path) -> None:
    file.write_bytes(b"garbage" * 1000)


def robbed(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("DROP TABLE latest_metrics")


@pytest.mark.slow
@pytest.mark.parametrize("damage", [emptied, overwritten, robbed])
def test_a_damaged_file_is_named_with_what_helps(home: Settings, damage: Callable[[Path], None]) -> None:
    assert home.mlflow_file is not None
    damage(home.mlflow_file)
    with pytest.raises(SettingsError, match=r"mlflow.db is damaged \(.*\): move it away, then `tune-jobs sync STUDY`"):
        store.client(home)
    home.mlflow_file.unlink()
    assert sync(home, study(*TRIALS)).failed == {}

"""A study in a SQLite file that another process locks, that was cut, or whose journal was left half written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.auditing import audit, undisturbed
from tests.support.sweeping import SharedRay, called, ended, finished_study, own_task, refusal, until
from tune_jobs.errors import StudyError
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.tracking import delivery

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # of MLflow's own tables
]

IMPATIENT = "from tune_jobs.study import retries\nretries.LIMIT_S = 8.0\n"
LAUNCH = ("--search", "grid", "--max-concurrent", "1")


@pytest.fixture
def filed(settings: Settings) -> Settings:
    settings.prepare()
    return replace(settings, storage=f"sqlite:///{settings.home / 'studies.db'}")


@contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Nobody else reads or writes the database while the block runs."""
    assert settings.storage is not None
    with closing(sqlite3.connect(settings.storage.removeprefix("sqlite:///"), timeout=60)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def test_a_sweep_waits_for_a_locked_database_and_goes_on_after_one_that_stays_locked(
    tmp_path: Path, filed: Settings, ray: SharedRay
) -> None:
    own, alone = (own_task(tmp_path / name) for name in ("task", "alone"))
    own.make_room(1)
    process = ray.command_line(filed, "launch", own.reference, *LAUNCH, before=IMPATIENT)
    until(lambda: len(own.noted("begin")) == 2, "a trial to end", process)
    with locked(filed):
        own.make_room(2)
        until(lambda: len(own.noted("end")) == 2, "the second trial to end", process)
    until(lambda: len(own.noted("begin")) == 3, "the third trial", process)
    with locked(filed):
        own.make_room(None)
        code, _, stderr = ended(process)
    assert code == 2, stderr
    assert "was away for 8 s (database is locked): what is finished is kept" in refusal(stderr)
    code, _, stderr = called(filed, "launch", own.reference, *LAUNCH)
    assert code == 0, stderr
    delivery.deliver_once("own", filed)
    audit(filed, undisturbed(alone, tmp_path), own=own)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_a_database_that_was_cut_is_refused_in_one_line(tmp_path: Path, filed: Settings, share: float) -> None:
    finished_study(own_task(tmp_path / "task", width="Choice(*range(1, 13))"), filed)
    file = filed.home / "studies.db"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    copy = replace(filed, storage=f"sqlite:////{file}")  # another name, which no connection is open to
    with pytest.raises(StudyError, match=r"the storage .* is damaged \(.*\): restore it from a backup") as refused:
        _read_and_write(copy)
    assert "\n" not in str(refused.value)


def _read_and_write(settings: Settings) -> None:
    Study.open("own", settings).record()
    with Study.hold("own", settings) as study:
        study.unfinished()

"""One process writes a study; another real one is told which, and death frees the study at once."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from tests.support.sweeping import PROGRAMS
from tune_jobs.errors import StudyError
from tune_jobs.study.locks import Holder, StudyLock, taking_turns


@contextmanager
def held_elsewhere(name: str, path: Path, url: str = "") -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the study, until it is killed or the block ends."""
    with subprocess.Popen(
        [sys.executable, str(PROGRAMS / "lock_holder.py"), name, str(path), url], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_study_held_by_another_process_is_refused_with_its_pid(tmp_path: Path) -> None:
    path = tmp_path / "clock.lock"
    with held_elsewhere("clock", path) as other:
        lock = StudyLock("clock", path)
        with (
            pytest.raises(StudyError, match=f"study 'clock' is being run by process {other.pid} of .* on "),
            lock.hold(),
        ):
            pytest.fail("held twice")
        holder = lock.holder()
        assert holder is not None
        assert holder.pid == other.pid


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "clock.lock"
    lock = StudyLock("clock", path)
    with held_elsewhere("clock", path) as other:
        kill(other)
        assert path.read_text()  # it still says who held it
        assert lock.holder() is None
        with lock.hold():
            assert lock.holder() is not None


def test_a_study_is_free_after_the_block_however_it_ended(tmp_path: Path) -> None:
    lock = StudyLock("clock", tmp_path / "locks" / "clock.lock")
    with pytest.raises(RuntimeError, match="as it goes"), lock.hold():
        raise RuntimeError("as it goes")
    assert lock.holder() is None
    with lock.hold():
        holder = lock.holder()
    assert holder is not None
    assert holder.pid == os.getpid()
    assert lock.holder() is None


def test_another_study_is_not_held(tmp_path: Path) -> None:
    with StudyLock("one", tmp_path / "one.lock").hold(), StudyLock("two", tmp_path / "two.lock").hold():
        pass


def test_whoever_looks_for_a_holder_is_not_taken_for_one(tmp_path: Path) -> None:
    path = tmp_path / "clock.lock"
    path.touch()
    with path.open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.03, lambda: fcntl.flock(looking, fcntl.LOCK_UN)).start()
        with StudyLock("clock", path).hold():
            pass


def test_a_holder_is_named_in_words() -> None:
    holder = Holder(12, "node", "ada", since=0.0)
    day = time.strftime("%Y-%m-%d", time.localtime(0))
    assert str(holder).startswith(f"process 12 of ada on node, since {day}")


def test_turns_are_waited_for(tmp_path: Path) -> None:
    order = []
    path = tmp_path / "turns" / "lock"

    def other() -> None:
        with taking_turns(path):
            order.append("other")

    with taking_turns(path):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "other"]


@pytest.mark.postgres
def test_on_a_server_a_study_is_held_against_another_machine_until_its_holder_dies(
    tmp_path: Path, postgres_url: str
) -> None:
    """Another home folder stands for another machine: only the server can know."""
    with held_elsewhere("clock", tmp_path / "there.lock", postgres_url) as other:
        here = StudyLock("clock", tmp_path / "here.lock", create_engine(postgres_url))
        with pytest.raises(StudyError, match=f"study 'clock' is being run by process {other.pid} of "), here.hold():
            pytest.fail("held twice")
        assert here.holder() is None
        with StudyLock("another", tmp_path / "another.lock", create_engine(postgres_url)).hold():
            pass
        kill(other)
        hold_soon(here)


@pytest.mark.postgres
def test_a_study_of_the_same_name_in_another_database_is_another(
    tmp_path: Path, postgres_url: str, empty_database: str
) -> None:
    with (
        held_elsewhere("clock", tmp_path / "there.lock", empty_database),
        held_elsewhere("clock", tmp_path / "here.lock", postgres_url) as holder,
        pytest.raises(StudyError, match=f"study 'clock' is being run by process {holder.pid} of "),
        StudyLock("clock", tmp_path / "mine.lock", create_engine(postgres_url)).hold(),
    ):
        pytest.fail("held twice")


def hold_soon(lock: StudyLock) -> None:
    """The server notices within moments that a connection is gone."""
    deadline = time.monotonic() + 5
    while True:
        try:
            with lock.hold():
                return
        except StudyError:
            assert time.monotonic() < deadline, "the server holds a study for a process that is dead"
            time.sleep(0.02)


@pytest.mark.postgres
def test_on_a_server_a_study_is_free_after_the_block(tmp_path: Path, postgres_url: str) -> None:
    for folder in ("one", "two"):
        with StudyLock("clock", tmp_path / folder / "clock.lock", create_engine(postgres_url)).hold():
            pass

"""A study in a PostgreSQL server that restarts, is cut off or answers late: nothing is lost, and two never write."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.auditing import audit, undisturbed
from tests.support.servers import PostgresServer, Wire, private_postgres
from tests.support.sweeping import Own, SharedRay, called, data_of, ended, own_task, terms_of, until
from tune_jobs.errors import StudyError
from tune_jobs.records.trials import TrialRecord
from tune_jobs.settings import Settings
from tune_jobs.study import retries
from tune_jobs.study.study import Study
from tune_jobs.training.runs import run_trial

pytestmark = [
    pytest.mark.faults,
    pytest.mark.postgres,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # of MLflow's own tables
]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with private_postgres() as server:
        yield server


@pytest.fixture
def wire(server: PostgresServer) -> Iterator[Wire]:
    with Wire(server.port).open() as wire:
        yield wire


@pytest.fixture
def here(tmp_path: Path, server: PostgresServer, wire: Wire) -> Settings:
    """A home on this machine, which reaches the server through the wire."""
    return on_machine(tmp_path, "here", server.url(wire.port))


def on_machine(tmp_path: Path, name: str, storage: str) -> Settings:
    """Another home stands for another machine: only the server can know who writes."""
    home = tmp_path / name
    settings = Settings(home, home / "data", storage, f"sqlite:///{home / 'mlflow.db'}")
    settings.prepare()
    return settings


@contextmanager
def holding(own: Own, settings: Settings, name: str) -> Iterator[Callable[[], TrialRecord]]:
    """The study held, with a function that runs its next trial of the grid."""
    task = own.task
    data = data_of(task)
    with Study.hold(name, settings) as study:
        study.begin(terms_of(task, own.reference, data))

        def next_trial() -> TrialRecord:
            params = list(task.space.grid())[len(study.record().trials)]
            trial = study.start(study.add(task.space, params, 0))
            return study.finish(trial, run_trial(task, params, data, seed=0), 1.0)

        yield next_trial


def states(settings: Settings, name: str) -> list[str]:
    return [trial.state for trial in Study.open(name, settings).record().trials]


def test_a_driver_outlives_a_restart_with_its_lock(
    tmp_path: Path, server: PostgresServer, here: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    own = own_task(tmp_path / "task")
    with holding(own, here, "restarted") as next_trial:
        next_trial()
        server.stop()
        threading.Timer(1.0, server.start).start()
        next_trial()
        there = on_machine(tmp_path, "there", server.url())
        with pytest.raises(StudyError, match=f"is being run by process {os.getpid()} "), Study.hold("restarted", there):
            pytest.fail("held twice")
        next_trial()
    assert states(here, "restarted") == ["complete"] * 3
    assert capfd.readouterr().err.count("is away (") == 1


@pytest.mark.parametrize("is_noticed", [True, False], ids=["both-ends", "server-does-not-notice"])
def test_a_driver_whose_connection_is_cut_takes_its_lock_again(
    tmp_path: Path, here: Settings, wire: Wire, is_noticed: bool
) -> None:
    name = f"cut-{is_noticed}"
    with holding(own_task(tmp_path / "task"), here, name) as next_trial:
        next_trial()
        wire.cut(keeps_server=not is_noticed)
        next_trial()
    assert states(here, name) == ["complete"] * 2


def test_a_driver_that_lost_its_study_to_another_writes_nothing_more(
    tmp_path: Path, server: PostgresServer, here: Settings, wire: Wire
) -> None:
    own, there = own_task(tmp_path / "task"), on_machine(tmp_path, "there", server.url())
    with ExitStack() as stack:
        first = stack.enter_context(holding(own, here, "taken"))
        first()
        wire.cut()
        second = stack.enter_context(_soon(own, there, "taken"))
        with pytest.raises(
            StudyError, match=f"study 'taken' is being run by process {os.getpid()} of .*; wait for it"
        ) as refused:
            first()
        assert "\n" not in str(refused.value)
        second()
    assert states(there, "taken") == ["complete"] * 2


@contextmanager
def _soon(own: Own, settings: Settings, name: str) -> Iterator[Callable[[], TrialRecord]]:
    """As `holding`, once the server has noticed that the holder's connection is gone."""
    with ExitStack() as stack:
        deadline = time.monotonic() + 10
        while True:
            try:
                held = stack.enter_context(holding(own, settings, name))
                break
            except StudyError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield held


@pytest.mark.parametrize("statement", [b"COMMIT", b"INSERT INTO trials", b"UPDATE trials"])
def test_what_was_heard_although_its_answer_was_lost_is_not_said_twice(
    tmp_path: Path, here: Settings, wire: Wire, statement: bytes
) -> None:
    name = f"answer-{statement.decode().split()[0]}"
    with holding(own_task(tmp_path / "task"), here, name) as next_trial:
        next_trial()
        wire.lose_answer_to = statement
        next_trial()
        assert wire.lose_answer_to is None
        next_trial()
    record = Study.open(name, here).record()
    assert [(trial.number, trial.params["width"], trial.state) for trial in record.trials] == [
        (0, 1, "complete"),
        (1, 2, "complete"),
        (2, 3, "complete"),
    ]


def test_a_server_that_stays_away_ends_a_driver_in_one_line(
    tmp_path: Path, server: PostgresServer, here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "LIMIT_S", 1.0)
    began = time.monotonic()
    with holding(own_task(tmp_path / "task"), here, "away") as next_trial:
        next_trial()
        server.stop()
        try:
            with pytest.raises(
                StudyError, match=r"the storage .* was away for 1 s \(.*\): what is finished is"
            ) as refused:
                next_trial()
        finally:
            server.start()
    assert "\n" not in str(refused.value)
    assert time.monotonic() - began < 60
    assert states(here, "away")[0] == "complete"


def test_a_sweep_outlives_a_slow_server_that_is_cut_off_and_restarts(
    tmp_path: Path, server: PostgresServer, wire: Wire, here: Settings, ray: SharedRay
) -> None:
    own, alone = (own_task(tmp_path / name, width="Choice(*range(1, 9))") for name in ("task", "alone"))
    wire.delay_s = 0.01
    own.make_room(2)
    process = ray.command_line(here, "launch", own.reference, "--search", "grid", "--max-concurrent", "1")
    until(lambda: len(own.noted("begin")) >= 3, "two trials to end", process)
    wire.cut()
    own.make_room(5)
    until(lambda: len(own.noted("end")) >= 5, "three more to end", process)
    server.stop()
    own.make_room(None)
    time.sleep(3)
    server.start()
    code, _, stderr = ended(process)
    assert code == 0, stderr
    assert "Traceback" not in stderr
    code, _, stderr = called(here, "sync", "own")
    assert code == 0, stderr
    audit(replace(here, storage=server.url()), undisturbed(alone, tmp_path), own=own)

"""Ten drivers at once on one PostgreSQL and one Ray cluster: each completes its own study and sees nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy

from tests.support.clusters import RayHead
from tests.support.servers import PostgresServer
from tests.support.sweeping import PATIENCE_S, WITHOUT_MLFLOW, ended, kill_family, own_task, until
from tests.support.warm import WarmServer
from tune_jobs.settings import Settings
from tune_jobs.study.storage import study_names
from tune_jobs.study.study import Study

STUDIES, TRIALS = 10, 4
CONNECTIONS = 2  # that a driver may hold: its own, and none for long beside it


@pytest.fixture
def servers() -> Iterator[tuple[RayHead, PostgresServer]]:
    head, postgres = RayHead(cpus=STUDIES), PostgresServer()
    try:
        with ThreadPoolExecutor() as at_once:
            list(at_once.map(lambda server: server.start(), (head, postgres)))
        yield head, postgres
    finally:
        head.stop()
        postgres.remove()


def test_ten_studies_side_by_side(tmp_path: Path, servers: tuple[RayHead, PostgresServer], warm: WarmServer) -> None:
    head, postgres = servers
    settings = Settings.read(home=tmp_path / "home")
    settings = Settings(settings.home, settings.data_dir, postgres.url(), settings.tracking_uri)
    names = [f"study-{number}" for number in range(STUDIES)]
    tasks = {name: own_task(tmp_path / name, "doze", width="Choice(*range(1, 100))", name=name) for name in names}
    words = ("--search", "random", "--trials", str(TRIALS), "--max-concurrent", "1", "--address", head.address)
    for own in tasks.values():
        own.make_room(1)  # then it waits in the midst of its second trial
    drivers = {}
    try:
        for seed, (name, own) in enumerate(tasks.items()):
            line = ("launch", own.reference, *words, "--seed", str(seed))
            drivers[name] = warm.command_line(settings, *line, before=WITHOUT_MLFLOW, **head.client)
        all_run = "all ten to be in their second trial"
        until(lambda: all(len(own.trained) == 2 for own in tasks.values()), all_run, patience_s=2 * PATIENCE_S)
        n_connections = _connections(postgres)
        for own in tasks.values():
            own.make_room(None)
        answers = {name: ended(driver) for name, driver in drivers.items()}
    finally:
        for driver in drivers.values():
            kill_family(driver)
    assert [code for code, _, _ in answers.values()] == [0] * STUDIES, answers

    assert STUDIES <= n_connections <= CONNECTIONS * STUDIES
    assert study_names(settings) == tuple(names)
    for name, own in tasks.items():
        record = Study.open(name, settings).record()
        assert record.count("complete") == len(record.trials) == TRIALS
        mine = [(trial.params["width"], trial.seed) for trial in record.trials]
        assert sorted(mine) == sorted(own.trained)  # its own trials, each once


def _connections(postgres: PostgresServer) -> int:
    """What the drivers have of the server's hundred."""
    engine = sqlalchemy.create_engine(postgres.url(), poolclass=sqlalchemy.pool.NullPool)
    count = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    with engine.connect() as connection:
        return int(connection.execute(sqlalchemy.text(count)).scalar_one())

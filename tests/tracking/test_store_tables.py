"""MLflow's tables in PostgreSQL are made once, whoever opens an empty database at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy

from tune_jobs.settings import Settings
from tune_jobs.tracking import store

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # of MLflow's own tables
]


def test_tables_are_made_by_one_at_a_time(settings: Settings, empty_database: str) -> None:
    engine = sqlalchemy.create_engine(empty_database, poolclass=sqlalchemy.pool.NullPool)
    with ThreadPoolExecutor() as pool, engine.connect() as another:
        with store._turn_to_make_tables(empty_database):
            client = pool.submit(store.client, replace(settings, tracking_uri=empty_database))
            waits = sqlalchemy.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            while not another.execute(waits).scalar():
                assert not client.done(), "it did not wait for its turn"
            assert not sqlalchemy.inspect(another).get_table_names()
        assert client.result(timeout=60).search_experiments()
    assert "runs" in sqlalchemy.inspect(engine).get_table_names()

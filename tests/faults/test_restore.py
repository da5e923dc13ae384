"""PostgreSQL is lost in the middle of a sweep and restored from backups that were taken at different moments: nothing
that finished before is lost, run again or counted twice, and MLflow has each trial once."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.auditing import audit, undisturbed
from tests.support.servers import PostgresServer, private_postgres
from tests.support.sweeping import Own, SharedRay, called, kill_family, logged, own_task, until
from tests.support.warm import WarmServer
from tune_jobs.records.studies import StudyRecord
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.tracking import delivery, store

pytestmark = [
    pytest.mark.faults,
    pytest.mark.postgres,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # of MLflow's own tables
]
DATABASES = ("studies", "mlflow")


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """A server with two empty databases."""
    with private_postgres() as server:
        for name in DATABASES:
            client(server, "createdb", name)
        yield server


def client(server: PostgresServer, program: str, *words: str) -> None:
    """One of PostgreSQL's own programs, at a server."""
    where = ["-h", "127.0.0.1", "-p", str(server.port), "-U", "tune_jobs"]
    subprocess.run([str(server._programs / program), *where, *words], check=True, capture_output=True)


def settings_at(server: PostgresServer, home: Path) -> Settings:
    studies, mlflow = (server.url().replace("/postgres", f"/{name}") for name in DATABASES)
    settings = Settings(home, home / "data", studies, mlflow)
    settings.prepare()
    return settings


def record(settings: Settings) -> StudyRecord:
    return Study.open("own", settings).record()


def delivered(settings: Settings) -> int:
    """How many trials have ended in MLflow."""
    mlflow = store.client(settings)
    experiment = mlflow.get_experiment_by_name("own")
    if experiment is None:
        return 0
    filter_ = "attributes.status = 'FINISHED'"
    return len(mlflow.search_runs([experiment.experiment_id], filter_))


def test_a_sweep_goes_on_from_backups(tmp_path: Path, ray: SharedRay, warm: WarmServer) -> None:
    own, alone = (own_task(tmp_path / name, width="Choice(*range(1, 13))") for name in ("task", "alone"))
    words = ("launch", own.reference, "--search", "grid", "--max-concurrent", "2")
    studies, mlflow = (tmp_path / f"{name}.dump" for name in DATABASES)
    with postgres() as first:
        before = settings_at(first, tmp_path / "home")
        own.make_room(4)
        process = warm.command_line(before, *words, *ray.words, **ray.client)
        try:
            until(lambda: has_ended(own, 4), "four trials to end", process)
            client(first, "pg_dump", "-Fc", "-f", str(studies), "studies")
            own.make_room(7)
            until(lambda: has_ended(own, 7) and delivered(before) >= 6, "three more, and MLflow to know", process)
            client(first, "pg_dump", "-Fc", "-f", str(mlflow), "mlflow")
            own.make_room(9)
            until(lambda: has_ended(own, 9), "two more", process)
        finally:
            first.stop()  # with all that it had
            kill_family(process)
    with postgres() as second:
        after = replace(settings_at(second, tmp_path / "home"))
        for name, dump in zip(DATABASES, (studies, mlflow), strict=True):
            client(second, "pg_restore", "--no-owner", "-d", name, str(dump))
        kept = [trial for trial in record(after).trials if trial.is_finished]
        assert len(kept) >= 2  # the two on workers had ended, but perhaps not yet in the study
        assert delivered(after) > len(kept)
        own.make_room(None)
        code, stdout, stderr = called(after, *words)
        assert code == 0, stderr
        delivery.deliver_once("own", after)
        assert "12 trials: 12 complete" in stdout
        assert [record(after).trials[trial.number] for trial in kept] == kept
        widths = [width for width, _ in own.trained]
        assert {widths.count(trial.params["width"]) for trial in kept} == {1}
        assert sum(widths.count(width) for width in set(widths)) >= 12 + 3  # what ended after the backup ran again
        audit(after, undisturbed(alone, tmp_path), own=own)
        runs, study = logged(after, record(after)), record(after)
        ends = [int((trial.finished or 0) * 1000) for trial in study.trials]
        assert [runs.run(number).info.end_time for number in range(12)] == ends  # none of what is forgotten
        make_mlflow_anew(after)


def has_ended(own: Own, n: int) -> bool:
    return len(own.noted("end")) >= n


def make_mlflow_anew(settings: Settings) -> None:
    """MLflow may as well be lost altogether: it is made again from the study."""
    empty = replace(settings, tracking_uri=f"sqlite:///{settings.home / 'mlflow.db'}")
    code, _, stderr = called(empty, "sync", "own")
    assert code == 0, stderr
    assert delivered(empty) == 12 + 1  # and their parent

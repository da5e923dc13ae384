"""The user in whose name studies are delivered to the server's MLflow, at a real one that can write nothing but its
volume and its temporary folder, as in compose.yaml."""

from __future__ import annotations

import os
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mlflow_tables import Tables
from tests.support.servers import MlflowServer
from tests.support.sweeping import Own, finished_study, logged, own_task
from tune_jobs.settings import Settings
from tune_jobs.tracking import delivery
from tune_jobs.tracking.tracker import Tracker

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:starlette.middleware.wsgi is deprecated"),  # MLflow's own import
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # of MLflow's own tables
]
PROGRAM = Path(__file__).parents[2] / "docker" / "mlflow_user.py"
ADMIN, USER = ("admin", "the-admins-own-secret"), ("tune-jobs", "a-secret-for-deliveries")
READ_ONLY = """
mount --make-rprivate / && mount --bind /tmp /tmp && mount -o remount,bind,ro / || exit
! touch /etc/new 2>/dev/null && exec "$@"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mlflow_tables: Tables) -> Iterator[MlflowServer]:
    is_root = os.geteuid() == 0 and str(tmp_path_factory.getbasetemp()).startswith("/tmp/")
    inside = ("unshare", "--mount", "sh", "-c", READ_ONLY, "sh") if is_root else ()
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"), login=ADMIN, tables=mlflow_tables, inside=inside)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def log_in(patch: pytest.MonkeyPatch, login: tuple[str, str]) -> None:
    for name, value in zip(("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"), login, strict=True):
        patch.setenv(name, value)


def make_user(patch: pytest.MonkeyPatch, server: MlflowServer, name: str, password: str) -> None:
    """Run the program, in this process, which has imported MLflow."""
    log_in(patch, ADMIN)
    patch.setenv("MLFLOW_TRACKING_URI", server.url)
    patch.setenv("MLFLOW_DELIVERY_NAME", name)
    patch.setenv("MLFLOW_DELIVERY_PASSWORD", password)
    runpy.run_path(str(PROGRAM), run_name="__main__")


def settings_at(server: MlflowServer, home: Path) -> Settings:
    return Settings(home, home / "data", None, server.url)


def study(settings: Settings, folder: Path, name: str) -> Own:
    own = own_task(folder, width="Choice(1, 2)", name=name)
    finished_study(own, settings, name)
    return own


def test_studies_are_delivered_by_a_user_who_is_no_admin(
    server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.server import get_app_client

    settings = settings_at(server, tmp_path / "home")
    study(settings, tmp_path / "old", "old")
    log_in(monkeypatch, ADMIN)
    delivery.deliver_once("old", settings)  # as an earlier version did
    client = MlflowClient(server.url)
    others = client.create_experiment("others")
    for password in ("another-secret-before", USER[1]):
        make_user(monkeypatch, server, USER[0], password)

    log_in(monkeypatch, USER)
    study(settings, tmp_path / "new", "new")
    for name in ("new", "old"):
        record, _ = delivery.deliver_once(name, settings)
        found = logged(settings, record)
        assert (len(found.trials), [run.info.status for run in found.parents]) == (2, ["FINISHED"])
    client.delete_run(found.trials[0].info.run_id)
    client.delete_experiment(found.parents[0].info.experiment_id)
    delivery.deliver_once("old", settings)  # out of the trash again
    assert len(logged(settings, record).trials) == 2
    assert Tracker(settings).forget(record) == 3
    for refused in (
        lambda: client.delete_experiment(others),
        lambda: client.create_run(others),
        lambda: get_app_client("basic-auth", server.url).create_user("another", "one-who-may-do-all"),
        lambda: get_app_client("basic-auth", server.url).update_user_admin(USER[0], True),
    ):
        with pytest.raises(MlflowException, match=r"403|PERMISSION_DENIED|Permission denied"):
            refused()
    with pytest.raises(SystemExit, match="deliveries need one that is no admin"):
        make_user(monkeypatch, server, *ADMIN)

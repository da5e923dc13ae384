"""What many tests need: a home of their own, a data set and tasks small enough to train in a moment, a server."""

from __future__ import annotations

import gc
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import hypothesis
import numpy as np
import pytest
import sqlalchemy

from tune_jobs.environment import prepare_tensorflow
from tune_jobs.execution.ray_variables import prepare_ray
from tune_jobs.settings import Settings

gc.disable()  # until all test files are imported
os.environ["TUNE_JOBS_REPORT"] = "no"  # seconds of CPU for each sweep
prepare_tensorflow()  # before any test imports Keras
prepare_ray(is_own_cluster=True)  # or Ray: it reads them once, and its processes again

from tune_jobs.datasets import TrainingData  # noqa: E402
from tune_jobs.datasets.dataset import Split  # noqa: E402
from tune_jobs.models.label_encodings import Classes, Head  # noqa: E402
from tune_jobs.search_spaces import Choice, Fixed, Float, Objective, Protocol, Space, Task  # noqa: E402

if TYPE_CHECKING:
    import keras

    from tests.support.mlflow_tables import Tables
    from tests.support.servers import MlflowServer
    from tests.support.sweeping import SharedRay
    from tests.support.warm import WarmServer

hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)  # the same cases in every run
hypothesis.settings.load_profile("steady")


_MANY_MODULES = 100
SLOW = {"warm", "shared_ray", "mlflow_server"}  # fixtures that take seconds


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests that take a slow fixture. Where several processes run the tests, begin with files that have slow ones:
    those left for the end are short, and no process waits long for another."""
    for item in items:
        if not SLOW.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Look for garbage from now on, but not among what the test files imported, which stays."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def mlflow_tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """MLflow's tables, for a file that has none yet."""
    from tests.support.mlflow_tables import Tables

    return Tables(tmp_path_factory.mktemp("tables") / "mlflow.db")


@pytest.fixture(scope="session", autouse=True)
def _mlflow_copies_tables(mlflow_tables: Tables) -> Iterator[None]:
    """Where a test file imports MLflow, this process makes its tables once."""
    with pytest.MonkeyPatch.context() as patch:
        if "mlflow" in sys.modules:
            mlflow_tables.use(patch)
        yield


@pytest.fixture(scope="module", autouse=True)
def _imports_are_no_garbage() -> Iterator[None]:
    """What a file imports stays: trials, each of which looks for garbage, need not look through TensorFlow."""
    before = len(sys.modules)
    yield
    if len(sys.modules) > before + _MANY_MODULES:
        gc.collect()
        gc.freeze()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home of the test's own, whatever the environment says."""
    home = tmp_path / "home"
    return Settings(home, home / "data", storage=None, tracking_uri=f"sqlite:///{home / 'mlflow.db'}")


@pytest.fixture(scope="session")
def tiny_data() -> TrainingData:
    """Noisy images `(N, 4, 4, 1)` of three classes, each with a bright row of its own: 90 to train on, 30 to judge."""
    return TrainingData("tiny", _images(90, seed=1), _images(30, seed=2), digest="tiny-data")


@pytest.fixture
def tiny_task() -> Callable[..., Task]:
    """Makes a task over `tiny_data` that an untrained dense network solves in a few epochs; takes Task's fields."""

    def make(**changes: Any) -> Task:
        return replace(_TINY, **changes)

    return make


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmServer]:
    """Starts commands as children of a process that has imported what they need."""
    from tests.support.warm import WarmServer

    server = WarmServer(tmp_path_factory.mktemp("warm"))
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def shared_ray(warm: WarmServer) -> Iterator[SharedRay]:
    """Ray, started once for all tests of this process."""
    from tests.support import sweeping

    with sweeping.shared_ray(warm) as shared:
        yield shared


@pytest.fixture(scope="module")
def ray(shared_ray: SharedRay) -> Iterator[SharedRay]:
    """The shared Ray, on which also runs what the tests of a file launch in this process, without MLflow."""
    from tests.support import sweeping

    with sweeping.sweeps_here():
        yield shared_ray


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory, mlflow_tables: Tables) -> Iterator[MlflowServer]:
    """An MLflow server, started once for all tests of this process that do not stop it."""
    from tests.support.servers import MlflowServer

    server = MlflowServer(tmp_path_factory.mktemp("mlflow"), tables=mlflow_tables)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Callable[..., Any]:
    """Launches a `Request` up to the point where Ray would start; what would be run."""
    from tune_jobs.actions import launch as launch_action

    swept: list[Any] = []
    said: list[str] = []

    def run(held: Any, inputs: Any, plan: Any, resources: Any) -> None:
        launch = held.study.record().launch
        assert launch is not None
        swept.append(
            SimpleNamespace(**vars(inputs), search=launch.search, trials=launch.trials, plan=plan, said=[*said])
        )

    monkeypatch.setattr(launch_action.session.Session, "run", run)

    def launch(request: Any) -> Any:
        said.clear()
        launch_action.launch(request, settings, said.append)
        return swept.pop()

    return launch


@pytest.fixture
def postgres_url(_postgres_schema: tuple[str, sqlalchemy.Engine]) -> str:
    """A storage URL on the server that TUNE_JOBS_TEST_POSTGRES names, without a study in it."""
    url, engine = _postgres_schema
    with engine.connect() as connection:
        if connection.execute(sqlalchemy.text("SELECT to_regclass('studies')")).scalar():
            connection.execute(sqlalchemy.text("TRUNCATE studies CASCADE"))
    return url


@pytest.fixture(scope="session")
def _postgres_schema() -> Iterator[tuple[str, sqlalchemy.Engine]]:
    """A schema for this run of the tests, removed after it; where several processes run them, in a database for each,
    for a study's lock is its database's."""
    server = os.environ.get("TUNE_JOBS_TEST_POSTGRES")
    if not server:
        pytest.skip("TUNE_JOBS_TEST_POSTGRES names no server")
    if "PYTEST_XDIST_WORKER" in os.environ:
        server = _new_database(server)
    schema = f"test_{uuid.uuid4().hex}"
    url = f"{server}{'&' if '?' in server else '?'}options=-csearch_path%3D{schema}"
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.pool.NullPool)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"CREATE SCHEMA {schema}"))
    yield url, engine
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"DROP SCHEMA {schema} CASCADE"))


@pytest.fixture
def empty_database() -> str:
    """The URL of an empty database on the server that TUNE_JOBS_TEST_POSTGRES names."""
    server = os.environ.get("TUNE_JOBS_TEST_POSTGRES")
    if not server:
        pytest.skip("TUNE_JOBS_TEST_POSTGRES names no server")
    return _new_database(server)


def _new_database(server: str) -> str:
    """Left to the server, which ends with the run."""
    name = f"test_{uuid.uuid4().hex}"
    engine = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.pool.NullPool)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"CREATE DATABASE {name} TEMPLATE template0"))
    return sqlalchemy.make_url(server).set(database=name).render_as_string(hide_password=False)


def _images(n: int, seed: int) -> Split:
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    x = generator.integers(0, 120, (n, 4, 4, 1))  # (N, H, W, C)
    x[np.arange(n), labels] += 100
    return Split(x.astype(np.uint8), labels)


def _build(*, input_shape: tuple[int, int, int], head: Head, units: int) -> keras.Model:
    """One dense layer; images `(B, H, W, C)`, uint8, to the head's outputs."""
    import keras  # here, because pytest looks into every name of this module, and a lazy one would import TensorFlow

    inputs = keras.Input(input_shape, dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, head(keras.layers.Dense(units, activation="relu")(x)))


def _no_data() -> Any:
    raise AssertionError("tests hand data over themselves")


_TINY = Task(
    name="tiny",
    summary="Three classes of bright rows",
    dataset=_no_data,
    space=Space(units=Choice(4, 8), learning_rate=Float(1e-4, 1e30, log=True), batch_size=Fixed(16, Choice(16, 32))),
    objective=Objective("val_accuracy", "maximize"),
    protocol=Protocol(epochs=3, batch_size=16),
    baseline={"units": 8, "learning_rate": 0.01, "batch_size": 16},
    build=_build,
    encoding=Classes(3),
)

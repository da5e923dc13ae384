"""No process of ours imports from the working folder or from that of a script."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.support.house import ROOT
from tune_jobs.datasets.clocks import faces
from tune_jobs.environment import end_safe_path, prepare_mlflow_ui, safe_path
from tune_jobs.execution.task_source import TaskSource
from tune_jobs.settings import Settings
from tune_jobs.tracking import delivery


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("PYTHONSAFEPATH", "MLFLOW_UVICORN_OPTS", "MLFLOW_BACKEND_STORE_URI", "MLFLOW_ARTIFACTS_DESTINATION")
    for name in names:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_a_process_of_a_safe_path_has_no_working_folder(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("print('imported')", encoding="utf-8")
    command = [sys.executable, "-c", "import beside"]
    with safe_path():
        assert b"imported" not in subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).stdout
    assert b"imported" in subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).stdout


def test_what_the_users_code_starts_on_a_worker_imports_as_ever() -> None:
    with safe_path():
        assert os.environ["PYTHONSAFEPATH"]
        TaskSource.of("digits-mlp").load()
        assert "PYTHONSAFEPATH" not in os.environ


def test_a_safe_path_of_the_users_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    with safe_path():
        end_safe_path()
        assert os.environ["PYTHONSAFEPATH"] == "1"
    assert os.environ["PYTHONSAFEPATH"] == "1"


def test_workers_get_no_folder_of_the_driver() -> None:
    from tune_jobs.execution.cluster import _JobConfig

    config = _JobConfig()
    config._py_driver_sys_path.extend([str(Path.cwd())])
    assert str(Path.cwd()).encode() not in config._serialize()


def test_the_delivery_starts_with_a_safe_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands: list[list[str]] = []

    class Started:
        stdin = open(os.devnull, "wb")  # noqa: SIM115, PTH123
        pid = os.getpid()

        def __init__(self, command: list[str], **options: Any) -> None:
            commands.append(command)

    monkeypatch.setattr(subprocess, "Popen", Started)
    with delivery.alongside("first", Settings.read(home=tmp_path)):
        pass
    assert commands[0][:4] == [sys.executable, "-P", "-m", "tune_jobs"]


def test_processes_that_draw_clocks_start_with_a_safe_path(monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[bool] = []

    class Pool(AbstractContextManager[Any]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            states.append("PYTHONSAFEPATH" in os.environ)

        def __exit__(self, *error: Any) -> None: ...

        def map(self, *arguments: Any) -> list[Any]:
            return []

    monkeypatch.setattr(faces, "ProcessPoolExecutor", Pool)
    list(faces._in_parallel(faces.ClockFaces(), range(1), 2))
    assert states == [True]


def test_mlflows_server_keeps_the_users_options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_UVICORN_OPTS", "--timeout-keep-alive 7")
    prepare_mlflow_ui("sqlite:///mlflow.db", tmp_path.as_uri())
    first, folder, *rest = os.environ["MLFLOW_UVICORN_OPTS"].split()
    assert (first, rest) == ("--app-dir", ["--timeout-keep-alive", "7"])
    assert folder in sys.path


def test_python_m_tune_jobs_takes_the_working_folder_off_its_path(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("print('imported')", encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tune_jobs", "tasks"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "imported" not in done.stdout
    assert "digits-mlp" in done.stdout

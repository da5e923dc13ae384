"""While `ui` is open, other users of the machine get nothing through it: it asks for a password that is made for it."""

from __future__ import annotations

import base64
import importlib.util
import socket
import stat
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.security.conftest import Intruder
from tests.support.servers import free_port
from tests.support.sweeping import command_line, kill_family, refusal, until
from tune_jobs.cli import run
from tune_jobs.settings import Settings

PATHS = (
    "/",
    "/api/2.0/mlflow/experiments/search?max_results=1",
    "/ajax-api/2.0/mlflow/experiments/search?max_results=1",
    "/api/2.0/mlflow-artifacts/artifacts",
    "/ajax-api/2.0/mlflow-artifacts/artifacts",
    "/get-artifact?run_uuid=x&path=y",
    "/graphql",
)


def answered(browser: urllib.request.OpenerDirector, url: str) -> int:
    """The status of an answer to a browser, which keeps cookies."""
    try:
        with browser.open(url, timeout=20) as opened:
            return int(opened.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def answer(url: str, user: str | None = None, password: str = "") -> int:
    request = urllib.request.Request(url)
    if user is not None:
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=20) as opened:
            return int(opened.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


@pytest.mark.slow
def test_nobody_comes_in_without_the_password_of_the_session(
    open_home: Settings, reachable: Path, intruder: Intruder
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = command_line(open_home, "ui", "--port", str(port))
    try:
        until(lambda: answer(f"{url}/health") == 200, "the UI", process)
        assert {path: answer(url + path) for path in PATHS} == dict.fromkeys(PATHS, 401)
        assert {path: answer(url + path, "tune-jobs", "wrong") for path in PATHS[:2]} == dict.fromkeys(PATHS[:2], 401)
        file = open_home.home / "ui" / str(port) / "address"
        address = file.read_text().strip()
        assert address.startswith(f"{url}/?password=")
        password = address.partition("=")[2]
        assert {path: answer(url + path, "tune-jobs", password) for path in PATHS[:2]} == dict.fromkeys(PATHS[:2], 200)
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        assert {path: answered(browser, url + path) for path in PATHS[:2]} == dict.fromkeys(PATHS[:2], 401)
        assert answered(browser, address.replace("password=", "password=wrong")) == 401
        assert [answered(browser, each) for each in (address, url + PATHS[1], url + PATHS[2])] == [200, 200, 200]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert not [path for path in open_home.home.rglob("*") if path.is_file() and intruder.can_read(path)]
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        listening = [at.laddr.ip for one in family for at in one.net_connections() if at.status == psutil.CONN_LISTEN]
        assert set(listening) == {"127.0.0.1"}
        assert not [one for one in family if "mlflow.db" in " ".join(one.cmdline())]
        assert len(family) == 1  # no runner of MLflow's jobs
        lines = intruder.does("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null").stdout
        assert password not in lines
    finally:
        kill_family(process)
    assert [path.name for path in reachable.iterdir()] == ["home"]


def test_it_says_what_to_install_for_a_password(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "flask_wtf" else found(name))
    assert run(["ui", "--home", str(settings.home)]) == 2
    assert "`pip install 'mlflow[auth]'`" in refusal(capsys.readouterr().err)


def test_without_a_password_it_says_what_that_means(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[Any] = []
    monkeypatch.setattr("tune_jobs.tracking.serve_ui", commands.append)
    monkeypatch.setattr("os.umask", lambda mask: None)  # this process goes on
    monkeypatch.setattr("tune_jobs.tracking.prepare_file", lambda settings, say: None)
    monkeypatch.setattr("tune_jobs.cli.local_pages.announce", lambda *words, **_: None)  # nothing will answer
    for name in ("MLFLOW_BACKEND_STORE_URI", "MLFLOW_ARTIFACTS_DESTINATION", "MLFLOW_UVICORN_OPTS"):
        monkeypatch.setenv(name, "")  # to be as before afterwards
    monkeypatch.chdir(settings.home.parent)
    assert run(["ui", "--no-auth", "--home", str(settings.home)]) == 0
    assert "every user of this machine can read and write your files through it" in capsys.readouterr().err
    assert "basic-auth" not in commands[0]


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_port_at_which_somebody_listens_is_refused_before_a_password_is_made(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever opened the address would give it the password."""
    home = tmp_path / "home"
    with socket.create_server((address, 0)) as squatter:
        port = squatter.getsockname()[1]
        assert run(["ui", "--port", str(port), "--home", str(home)]) == 2
    said = capsys.readouterr().err
    assert f"port {port} of 127.0.0.1 cannot be used (Address already in use): choose another with --port" in said
    assert "http://" not in said
    assert not list((home / "ui").iterdir())

"""`--address` on a running cluster with token authentication: whoever is wrong there is told so at once, in one line;
and what a driver says whose Ray ends."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.clusters import RayHead
from tests.support.sweeping import WITHOUT_MLFLOW, ended, kill_family, own_task, until
from tests.support.warm import WarmServer
from tune_jobs.errors import SettingsError
from tune_jobs.execution import reachability
from tune_jobs.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables


@pytest.fixture(scope="module")
def head() -> Iterator[RayHead]:
    head = RayHead()
    try:
        head.start()
        yield head
    finally:
        head.stop()


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("http://127.0.0.1:8265", "is the address of a dashboard: send the sweep there with `tune-jobs submit"),
        ("ray://127.0.0.1:10001", "a sweep does not run through Ray's client"),
        ("somewhere", "--address needs HOST:PORT of a Ray cluster's head, or auto; got 'somewhere'"),
        ("127.0.0.1:99999", "no Ray cluster answers at 127.0.0.1:99999"),
        ("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1: Connection refused"),
    ],
)
def test_an_address_that_is_none_is_refused(address: str, what: str) -> None:
    with pytest.raises(SettingsError) as refused:
        reachability.check_reachable(address)
    assert what in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_listens_and_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachability, "_ANSWER_TIMEOUT_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(SettingsError, match=f"at 127.0.0.1:{silent.getsockname()[1]} did not answer within 1 s"):
            reachability.check_reachable(f"127.0.0.1:{silent.getsockname()[1]}")
    assert time.monotonic() - began < 10


def test_another_version_than_the_clusters_is_said() -> None:
    metadata = json.dumps({"ray_version": "2.59.0", "python_version": "3.12.1"}).encode()
    with pytest.raises(SettingsError, match=r"runs Ray 2\.59\.0 on Python 3\.12\.1, this process Ray \d"):
        reachability._check_versions("head:6379", metadata)


@pytest.mark.slow
def test_a_machine_that_is_no_node_is_told_what_to_do(head: RayHead, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in head.client.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(reachability.services, "find_node_ids", set)
    with pytest.raises(SettingsError, match="this machine is not a node of the Ray cluster at"):
        reachability._check_node(head.address, [])


def test_whoever_has_no_token_or_another_is_refused(tmp_path: Path, head: RayHead, warm: WarmServer) -> None:
    own, settings = own_task(tmp_path / "task"), Settings.read(home=tmp_path / "home")
    wrong = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "another"}
    none = {"HOME": str(tmp_path)}
    without = {"HOME": str(tmp_path), "RAY_AUTH_MODE": "token"}
    words = ("launch", own.reference, "--address", head.address)
    for variables, what in (
        (wrong, "refused the one of this process"),
        (none, "needs a token"),
        (without, "this process has none"),
    ):
        code, out, said = ended(warm.command_line(settings, *words, **variables))
        assert (code, out) == (2, "")
        first, line = said.splitlines()
        assert first.startswith("starting Ray")
        assert what in line
        assert "another" not in line
    assert not own.events


def test_a_sweep_runs_there_and_a_raylet_that_dies_ends_its_driver_with_a_line(
    tmp_path: Path, head: RayHead, warm: WarmServer
) -> None:
    """Last, for the head is of no use afterwards. The token is in the file where Ray puts it."""
    own, settings = own_task(tmp_path / "task", "doze"), Settings.read(home=tmp_path / "home")
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text(head.client["RAY_AUTH_TOKEN"])
    words = ("launch", own.reference, "--search", "grid", "--address", head.address)
    own.make_room(1)
    process = warm.command_line(settings, *words, before=WITHOUT_MLFLOW, HOME=str(tmp_path))
    try:
        until(lambda: len(own.noted("begin", "width")) > 1, "the sweep to run", process)
        (raylet,) = (one for one in psutil.process_iter(["name", "cmdline"]) if _is_raylet_of(one, head))
        raylet.kill()
        began = time.monotonic()
        code, _, said = ended(process)
    finally:
        kill_family(process)
    assert code == 2
    assert time.monotonic() - began < 5
    assert said.splitlines()[-1].startswith(
        "tune-jobs: Ray on this machine ended (its raylet died): finished trials are kept"
    )
    assert head.client["RAY_AUTH_TOKEN"] not in said


def _is_raylet_of(process: psutil.Process, head: RayHead) -> bool:
    return process.info["name"] == "raylet" and str(head.folder) in " ".join(process.info["cmdline"] or ())

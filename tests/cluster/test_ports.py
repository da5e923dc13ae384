"""Nobody comes in without the token: not at any port of a real head, nor at one of the cluster that a sweep starts."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.cluster import ports
from tests.cluster.ports import Head, Row
from tests.support.sweeping import PROGRAMS, kill_family, until
from tune_jobs.errors import SettingsError
from tune_jobs.execution import tokens

REFUSED = {"UNAUTHENTICATED", "401", "403"}


@pytest.fixture(scope="module")
def real() -> Iterator[Head]:
    with ports.head() as real:
        yield real


@pytest.fixture(scope="module")
def rows(real: Head) -> list[Row]:
    commands = [line for process in real.processes for line in command_lines(process.pid)]
    assert len(commands) > 10
    assert not any(real.token in line for line in commands)
    return ports.seen(real)


def command_lines(pid: int) -> list[str]:
    """What `ps` shows of a process and its children."""
    found = []
    for one in (root := psutil.Process(pid), *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            found.append(" ".join(one.cmdline()))
    return found


def sockets(pid: int) -> list[Path]:
    """The Unix sockets that have a place among the files."""
    found = []
    for one in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            found += [Path(at.laddr) for at in one.net_connections("unix") if str(at.laddr).startswith("/")]
    return found


def holding(folder: Path, token: str) -> list[Path]:
    """The files of a folder that have the token in them."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if token.encode() in path.read_bytes()]


@pytest.mark.slow
def test_the_page_says_what_every_port_answers(rows: list[Row]) -> None:
    assert ports.written() == ports.table(rows), "python -m tests.cluster.ports writes it again"


@pytest.mark.slow
def test_a_head_on_loopback_listens_nowhere_else(rows: list[Row]) -> None:
    assert {address for row in rows for address in row.addresses} == {"127.0.0.1"}


@pytest.mark.slow
def test_every_port_but_metrics_refuses_who_has_no_token_or_a_wrong_one(rows: list[Row]) -> None:
    closed = [row for row in rows if row.kind not in ports.METRICS.values()]
    assert len(closed) == len(ports.GRPC) + len(ports.HTTP)
    assert {answer for row in closed for answer in (row.without, row.wrong)} == REFUSED
    assert {row.right for row in closed} == {"OK", "200", "404", "not asked"}


@pytest.mark.slow
def test_ray_writes_its_token_nowhere(rows: list[Row], real: Head) -> None:
    assert holding(real.folder, real.token) == [real.token_file]


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A socket's path has room for 107 bytes."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="p-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture
def own_cluster(short_folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has a Ray of its own, of a user who says nothing of tokens."""
    ours = ("RAY_", "HOME")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {"RAY_TMPDIR": str(short_folder), "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    command, pipe = [sys.executable, str(PROGRAMS / "own_cluster.py")], subprocess.PIPE
    process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True, process_group=0)
    try:
        yield process
    finally:
        kill_family(process)


def wake_agent(folder: Path) -> None:
    """Connect to the agent of runtime environments, which starts then, and wait until it answers."""
    (noted,) = folder.glob("ray/session_2*/runtime_env_agent_port_*")
    port = int(noted.read_text())
    socket.create_connection(("127.0.0.1", port)).close()

    def answers() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
        return False

    until(answers, "the agent of runtime environments")


@pytest.mark.slow
def test_a_cluster_of_our_own_is_its_users_alone(own_cluster: subprocess.Popen[str], short_folder: Path) -> None:
    assert own_cluster.stdout is not None
    folder = Path(own_cluster.stdout.readline().rstrip("\n"))
    assert [folder] == list(short_folder.glob("tj-*"))  # and no variable that says so
    token = (folder / "token").read_text()
    wake_agent(folder)
    rows = ports.rows_of(ports.listening([own_cluster]), token)
    assert {row.kind.name for row in rows} >= {kind.name for kind in ports.GRPC[:4]}
    assert {address for row in rows for address in row.addresses} == {"127.0.0.1"}
    assert {answer for row in rows for answer in (row.without, row.wrong)} <= REFUSED
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "token")] == [0o700, 0o600]
    assert any(path.name == "plasma_store" for path in sockets(own_cluster.pid))
    assert all(folder in path.parents for path in sockets(own_cluster.pid))
    assert not any(token in line for line in command_lines(own_cluster.pid))
    assert holding(folder, token) == [folder / "token"]
    assert len(token) == 64


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Those of this process. Afterwards Ray reads them again: other tests share one in this process."""
    yield monkeypatch
    monkeypatch.undo()
    with tokens.private_ray():
        pass


def test_what_the_user_said_of_tokens_stays(variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("t" * 64)
    variables.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "theirs"))
    with tokens.private_ray():
        assert os.environ["RAY_AUTH_TOKEN_PATH"] == str(tmp_path / "theirs")
        assert os.environ["RAY_AUTH_MODE"] == "token"
    variables.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "nothing"))
    with pytest.raises(SettingsError, match=f"it has no token .*{tmp_path}/nothing") as refused, tokens.private_ray():
        pytest.fail("there is no token")
    assert "\n" not in str(refused.value)
    variables.setenv("RAY_AUTH_MODE", "disabled")
    with tokens.private_ray():
        assert os.environ["RAY_AUTH_MODE"] == "disabled"

"""A second user attacks a sweep that runs, with a Ray of its own: its files, sockets, processes, memory and ports."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.security.conftest import Intruder
from tests.support.sweeping import WITHOUT_MLFLOW, Own, ended, kill_family, own_task, until
from tests.support.warm import Command, WarmServer
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Sweep:
    """A sweep whose trials wait, in a folder that the second user may enter."""

    process: Command
    settings: Settings
    own: Own

    @property
    def family(self) -> list[psutil.Process]:
        return [root := psutil.Process(self.process.pid), *root.children(recursive=True)]

    def each(self, of: Callable[[psutil.Process], list[Any]]) -> list[Any]:
        """Return what all its processes have of something."""
        found: list[Any] = []
        for process in self.family:
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                found += of(process)
        return found

    @property
    def folder(self) -> Path:
        """The private folder, with Ray's and that of the process that forks workers."""
        (found,) = {Path("/", *path.parts[1:3]) for path in self.sockets if path.parts[2].startswith("tj-")}
        return found

    @property
    def sockets(self) -> list[Path]:
        return [Path(at.laddr) for at in self.each(lambda one: one.net_connections("unix")) if at.laddr]


@pytest.fixture(scope="module")
def sweep(intruder: Intruder, tmp_path_factory: pytest.TempPathFactory, warm: WarmServer) -> Iterator[Sweep]:
    folder = tmp_path_factory.mktemp("attacked")
    for one in (folder, *folder.parents[:-2]):
        one.chmod(0o755)  # the home alone protects what is in it
    settings = Settings(folder / "home", folder / "home" / "data", None, f"sqlite:///{folder / 'home' / 'mlflow.db'}")
    own = own_task(folder / "task", "wait", width="Choice(1, 2)")
    before = f"import os\nos.umask(0)\n{WITHOUT_MLFLOW}"
    process = warm.command_line(settings, "launch", own.reference, "--search", "grid", before=before)
    sweep = Sweep(process, settings, own)
    try:
        until(lambda: own.trained, "a trial", process)
        yield sweep
        own.go()
        code, _, stderr = ended(process)
        assert code == 0, stderr  # whatever the second user tried, it trained as it would have
        record = Study.open("own", settings).record()
        assert [(trial.state, trial.attempts) for trial in record.trials] == [("complete", 1)] * 2
    finally:
        kill_family(process)


def test_none_of_its_folders_and_files_is_open(sweep: Sweep, intruder: Intruder) -> None:
    for folder in (sweep.settings.home, sweep.folder):
        assert folder.stat().st_mode & 0o077 == 0
        assert list(folder.iterdir())
        assert intruder.does('find "$1" -mindepth 1 2>/dev/null', folder).stdout == ""
        assert intruder.does('touch "$1/planted"', folder).returncode != 0
        assert intruder.does('ln -s /etc "$1/studies/x.lock"', folder).returncode != 0


def test_none_of_its_sockets_takes_a_connection(sweep: Sweep, intruder: Intruder) -> None:
    paths = {path for path in sweep.sockets if path.exists()}
    names = {path.name for path in paths}
    assert {"plasma_store", "raylet"} <= names
    assert any(name.startswith("workers") for name in names)  # of the process that forks them
    assert all(sweep.folder in path.parents for path in paths)
    assert not [at.laddr for at in sweep.each(lambda one: one.net_connections("unix")) if "\0" in at.laddr]

    def connected(path: Path) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(path)) == 0

    assert {path.name: intruder.calls(connected, path) for path in paths} == dict.fromkeys(names, False)
    assert connected(next(path for path in paths if path.name == "raylet"))  # as its owner may


def test_none_of_its_processes_is_read_or_ended(sweep: Sweep, intruder: Intruder) -> None:
    token = (sweep.folder / "token").read_text()
    for process in sweep.family:
        place = Path("/proc") / str(process.pid)
        lines = intruder.does('cat "$1/cmdline" "$1/environ" "$1/maps" "$1/mem"; ls "$1/fd"', place).stdout
        assert token not in lines
        assert "PATH=" not in lines  # of its environment
        assert intruder.does('kill -9 "$1"', str(process.pid)).returncode != 0
        with suppress(psutil.NoSuchProcess):
            os.kill(process.pid, signal.SIG_DFL)  # it is there
    assert sweep.process.poll() is None


def test_what_it_shares_in_memory_is_not_read(sweep: Sweep, intruder: Intruder) -> None:
    shared = {Path(at.path) for at in sweep.each(lambda one: one.memory_maps(grouped=True)) if "/dev/shm/" in at.path}
    assert shared  # the object store
    assert not [path for path in shared if intruder.can_read(path)]
    assert not [path for path in Path("/dev/shm").iterdir() if path.is_file() and intruder.can_read(path)]


def test_its_ports_are_on_this_machine_and_answer_nobody_without_the_token(sweep: Sweep, intruder: Intruder) -> None:
    """What each method answers is in tests/cluster/test_ports.py; here, what HTTP and nonsense get."""
    listening = {at.laddr for at in sweep.each(lambda one: one.net_connections("tcp")) if at.status == "LISTEN"}
    assert len(listening) > 3
    assert {at.ip.removeprefix("::ffff:") for at in listening} == {"127.0.0.1"}

    def answer(port: int) -> str:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" + b"\x00" * 64)
            return client.recv(200).decode("latin-1")
        return ""

    answers = {at.port: intruder.calls(answer, at.port) for at in listening}
    assert not {port: text for port, text in answers.items() if " 200 " in text}

"""Workers that start in a moment: Ray's own worker processes, forked from one that has imported what they need.

Importing Ray and TensorFlow takes 6 s of CPU; a fork takes some milliseconds. It is done on a Ray of our own alone,
which has one node. Ray starts `worker_launcher.py` in place of a worker; that asks a process of ours for a fork
(`worker_server.py`), and starts the worker as Ray would where none answers.

TensorFlow is imported and not used before the fork: its threads and devices are each worker's own. On a machine with an
NVIDIA GPU each worker imports TensorFlow itself, because a fork of CUDA's libraries has not been tried.
"""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ray._private import parameter

from tune_jobs.environment import safe_path, threads_of_numpy, with_variables
from tune_jobs.execution import tokens, worker_launcher

_GPU_DRIVERS = ("/dev/nvidiactl", "/dev/dxg")


@dataclass(frozen=True)
class WorkerKind:
    """What a worker has imported when it starts."""

    has_tensorflow: bool = False
    threads: int = 1  # of the libraries of NumPy, which read it at their import

    @classmethod
    def training(cls, cpus: float, *, has_own_loop: bool = False) -> WorkerKind:
        """Return the kind that trains a task with `cpus` threads."""
        has_gpu = any(Path(driver).exists() for driver in _GPU_DRIVERS)
        return cls(not (has_own_loop or has_gpu), max(1, int(cpus)))


PLAIN = WorkerKind()


@dataclass
class _Server:
    """A process that forks workers. It ends when the pipe to it is closed, as when this process ends."""

    socket_file: Path
    process: subprocess.Popen[bytes]
    lifeline: int

    @classmethod
    def start(cls, kind: WorkerKind, socket_file: Path) -> _Server:
        """Start it. Whoever connects to its socket waits until its imports are done."""
        read_end, lifeline = os.pipe()
        words = ["-P", "-m", "tune_jobs.execution.worker_server", str(read_end), str(int(kind.has_tensorflow))]
        with socket.socket(socket.AF_UNIX) as listener, threads_of_numpy(kind.threads), safe_path():
            listener.bind(str(socket_file))
            listener.listen(64)
            process = subprocess.Popen(
                [sys.executable, *words],
                stdin=listener.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(read_end,),
                cwd="/",
                start_new_session=True,  # Ctrl-C in a terminal is not for it
            )
        os.close(read_end)
        return cls(socket_file, process, lifeline)

    def end(self) -> None:
        os.close(self.lifeline)
        self.process.kill()
        self.process.wait()
        self.socket_file.unlink(missing_ok=True)


@dataclass
class _Forks:
    """The servers of this process's own Ray, one for each kind of worker. A link names the one that is asked."""

    link: Path
    servers: dict[WorkerKind, _Server] = field(default_factory=dict)

    def expect(self, kind: WorkerKind) -> None:
        server = self.servers.get(kind)
        if server is None or server.process.poll() is not None:
            file = self.link.with_name(f"{self.link.name}-{len(self.servers)}")
            file.unlink(missing_ok=True)
            server = self.servers[kind] = _Server.start(kind, file)
        new = self.link.with_name(f"{self.link.name}-new")
        new.unlink(missing_ok=True)
        new.symlink_to(server.socket_file)
        new.replace(self.link)


_forks: _Forks | None = None  # of the Ray that this process has started


def prepare(kind: WorkerKind) -> None:
    """Begin to import what workers of this kind need, before Ray is started.

    Raises:
        SettingsError: if no private folder can be made.
    """
    global _forks
    _forks = _Forks(tokens.private_folder() / "workers")
    _forks.expect(kind)


def expect(kind: WorkerKind) -> None:
    """Let the workers that start from now on be of this kind, if this process has a Ray of its own."""
    if _forks is not None:
        _forks.expect(kind)


def is_own_ray() -> bool:
    """Return True if the Ray that this process is connected to is its own."""
    return _forks is not None


def end() -> None:
    """End the servers. Workers end with Ray."""
    global _forks
    if _forks is not None:
        for server in _forks.servers.values():
            server.end()
        _forks.link.unlink(missing_ok=True)
        _forks = None


@contextmanager
def used() -> Iterator[None]:
    """Have a Ray that is started in the block start its workers so."""
    params = parameter.RayParams
    assert _forks is not None  # prepared
    parameter.RayParams = functools.partial(params, setup_worker_path=worker_launcher.__file__)
    try:
        with with_variables({worker_launcher.SOCKET: str(_forks.link)}):
            yield
    finally:
        parameter.RayParams = params

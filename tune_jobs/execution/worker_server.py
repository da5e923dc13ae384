"""The process that forks workers, as a program: it imports what they need and uses none of it (`worker_forks`).

Its standard input is the socket at which `worker_launcher.py` asks. It ends when the pipe that it is given is closed.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tune_jobs import later_imports

_REQUEST_S = 10.0  # to send a request
_CLUSTER = ("RAY_JOB_ID", "RAY_RAYLET_PID")  # variables that Ray reads at its import alone


@dataclass(frozen=True)
class Request:
    """A worker to be: its program's words, and what it has from the process that asks."""

    words: list[str]
    environment: dict[str, str]
    folder: str
    niceness: int
    oom_score: str
    output: tuple[int, ...]  # descriptors of its standard input, output and error

    @classmethod
    def receive(cls, connection: socket.socket) -> Request:
        connection.settimeout(_REQUEST_S)
        head, descriptors, *_ = socket.recv_fds(connection, 8, 3)
        with connection.makefile("rb") as stream:
            message = stream.read(int.from_bytes(head, "big"))
        return cls(**json.loads(message), output=tuple(descriptors))

    @property
    def cluster(self) -> list[str | None]:
        return [self.environment.get(name) for name in _CLUSTER]

    def take_place(self) -> None:
        """Give this process what the worker has to have."""
        with suppress(OSError):
            os.setpgid(0, 0)  # Ray ends a worker's processes by their group
            os.nice(self.niceness - os.nice(0))
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(self.oom_score, encoding="ascii")
        for number, descriptor in enumerate(self.output):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.chdir(self.folder)
        _set_environment(self.environment)


def serve(lifeline: int, *, has_tensorflow: bool) -> Request | None:
    """Fork a worker for each request until the lifeline is closed. Returns the request in the worker, else None."""
    import numpy as np  # noqa: F401 (it reads the number of its threads, which a worker's environment has not yet)

    listener = socket.socket(fileno=os.dup(0))
    if has_tensorflow:
        from tune_jobs.training import tensorflow_start

        tensorflow_start.preload()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # workers that ended are gone
    cluster: list[str | None] = []
    while lifeline not in select.select([listener.fileno(), lifeline], [], [])[0]:
        connection, _ = listener.accept()
        with connection, suppress(OSError, ValueError, TypeError):
            request = Request.receive(connection)
            if not cluster:
                cluster = request.cluster
                _set_environment(request.environment)
                import_ray()
            if request.cluster != cluster:
                continue
            if os.fork() == 0:
                listener.close()
                os.close(lifeline)
                connection.sendall(b"+")
                return request
            for descriptor in request.output:
                os.close(descriptor)
    return None


def import_ray() -> None:
    """Import what a worker of Ray's imports, once the variables are set that Ray reads then."""
    with later_imports.without_collections():
        import ray._private.workers.default_worker  # noqa: F401

        import tune_jobs.execution.worker  # noqa: F401

    gc.collect()
    gc.freeze()  # so that workers share it


def _set_environment(variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


def run(worker: Request) -> None:
    """Be the worker until it ends."""
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    worker.take_place()
    _seed_anew()
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")  # it read the environment when it was imported
    AuthenticationTokenLoader.instance().reset_cache()
    sys.argv = worker.words
    runpy.run_path(worker.words[0], run_name="__main__")


def _seed_anew() -> None:
    """Give this worker random numbers of its own. Python's module `random` does so itself."""
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


if __name__ == "__main__":
    forked = serve(int(sys.argv[1]), has_tensorflow=sys.argv[2] == "1")
    if forked is not None:
        run(forked)

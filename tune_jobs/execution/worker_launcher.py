"""Starts a worker of Ray's as a program, in place of Ray's own: by a fork where it can, else as Ray does.

Ray runs it with the path of its worker's program and that program's arguments. It imports little, to start in a moment.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Sequence

SOCKET = "TUNE_JOBS_WORKER_SOCKET"  # the variable that names where to ask for a fork
PATIENCE_S = 40.0  # Ray waits for a worker for 60
_OURS = ("--language=", "--serialized-runtime-env-context=")  # arguments for the program that starts a worker
_PLAIN = ("--language=PYTHON", "--serialized-runtime-env-context={}")  # those that ask for nothing


def main(words: Sequence[str]) -> None:
    """Have the worker forked; become the program that starts it where that cannot be."""
    try:
        is_forked = _is_plain(words) and _fork(words)
    except (OSError, KeyError):
        is_forked = False
    if not is_forked:
        program = os.path.join(os.path.dirname(_program(words)), "setup_worker.py")  # noqa: PTH118, PTH120
        os.execv(sys.executable, [sys.executable, program, *words])


def _is_plain(words: Sequence[str]) -> bool:
    """Return True if the worker needs Python alone, with no environment of its own and no options of Python's."""
    return words[0] == _program(words) and all(word in _PLAIN for word in words if word.startswith(_OURS))


def _program(words: Sequence[str]) -> str:
    return next(word for word in words if not word.startswith("-"))


def _fork(words: Sequence[str]) -> bool:
    """Ask for a worker with this process's place, environment and output; return True if there is one."""
    request = {
        "words": [word for word in words if not word.startswith(_OURS)],
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109
        "niceness": os.nice(0),
        "oom_score": _oom_score(),
    }
    message = json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as server:
        server.settimeout(PATIENCE_S)
        server.connect(os.environ[SOCKET])
        socket.send_fds(server, [len(message).to_bytes(8, "big")], [0, 1, 2])
        server.sendall(message)
        return server.recv(1) == b"+"


def _oom_score() -> str:
    """Return how readily the kernel ends this process when memory is short: Ray sets it for workers."""
    try:
        with open("/proc/self/oom_score_adj", encoding="ascii") as file:  # noqa: PTH123 - pathlib costs 10 ms
            return file.read()
    except OSError:
        return "0"


if __name__ == "__main__":
    main(sys.argv[1:])

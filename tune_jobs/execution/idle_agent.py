"""Stands in for the two agents of Ray on a node, as a program: they are Python processes that import Ray.

A sweep uses neither. Ray's raylet waits until each has noted its ports, and ends when one of them ends. Metrics have no
port here. The agent of runtime environments starts once somebody connects to its port; Ray asks it again then.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from collections.abc import Mapping, Sequence

_NO_PORT = -1
_POLL_S = 1.0  # between two looks at whether the raylet is there


def main(command: Sequence[str]) -> None:
    """Wait in place of `command`, the path of Ray's program and its arguments."""
    arguments = dict(word[2:].split("=", 1) for word in command if word.startswith("--") and "=" in word)
    if "runtime-env-agent-port" not in arguments:
        for name in ("metrics_agent_port", "dashboard_agent_listen_port", "metrics_export_port"):
            _note_port(arguments, name, _NO_PORT)
        _wait(arguments)
    else:
        _wait_for_caller(command, arguments)


def _wait_for_caller(command: Sequence[str], arguments: Mapping[str, str]) -> None:
    """Become Ray's own agent, on the same port, once somebody connects."""
    host, port = arguments["node-ip-address"], int(arguments["runtime-env-agent-port"])
    family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
        port = listener.getsockname()[1]
        _note_port(arguments, "runtime_env_agent_port", port)
        if not _wait(arguments, listener):
            return
    words = [f"--runtime-env-agent-port={port}" if "-env-agent-port=" in word else word for word in command]
    os.execv(sys.executable, [sys.executable, "-u", *words])


def _wait(arguments: Mapping[str, str], listener: socket.socket | None = None) -> bool:
    """Wait until somebody connects; return False if the raylet ended before, or its folder is gone."""
    raylet = os.getppid()
    while os.getppid() == raylet != 1 and os.path.isdir(arguments["session-dir"]):  # noqa: PTH112
        if select.select([listener] if listener else [], [], [], _POLL_S)[0]:
            return True
    return False


def _note_port(arguments: Mapping[str, str], name: str, port: int) -> None:
    """Write a port where Ray looks for it, at once as a whole."""
    file = os.path.join(arguments["session-dir"], f"{name}_{arguments['node-id']}")  # noqa: PTH118 - pathlib costs 10 ms
    with open(f"{file}.new", "w", encoding="ascii") as new:  # noqa: PTH123
        new.write(str(port))
    os.replace(f"{file}.new", file)  # noqa: PTH105


if __name__ == "__main__":
    main(sys.argv[1:])

"""Ends the driver when Ray on its machine ends, with a line that says so.

Ray itself would end the process some 13 s later, from below Python, with exit code 1 and words of its own.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray

_SHOW_CURSOR = "\x1b[?25h"  # a live view on a terminal has hidden it


@contextmanager
def watched() -> Iterator[None]:
    """Watches this machine's raylet until the block ends. All that is finished is durable at every moment."""
    raylet = _raylet()
    if raylet is None:
        yield
        return
    over, told = os.pipe()
    thread = threading.Thread(target=_watch, args=(raylet, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.write(told, b".")
        thread.join()
        for descriptor in (over, told, raylet):
            os.close(descriptor)


def _raylet() -> int | None:
    """A descriptor of the process that answers on the raylet's socket; None where it cannot be seen from here."""
    mine = ray.get_runtime_context().get_node_id()
    paths = [node["RayletSocketName"] for node in ray.nodes() if node["NodeID"] == mine]
    try:
        with socket.socket(socket.AF_UNIX) as asked:
            asked.connect(paths[0])
            pid, _, _ = struct.unpack("3i", asked.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return os.pidfd_open(pid)
    except (IndexError, OSError, ValueError):
        return None


def _watch(raylet: int, over: int) -> None:
    waiting = select.poll()
    waiting.register(raylet, select.POLLIN)
    waiting.register(over, select.POLLIN)
    if any(descriptor == over for descriptor, _ in waiting.poll()):
        return
    shown = _SHOW_CURSOR if sys.stderr.isatty() else ""
    line = "tune-jobs: Ray on this machine ended (its raylet died): what is finished is kept, the same command goes on"
    os.write(2, f"{shown}{line}\n".encode())
    os._exit(2)

"""Ends the driver with a clear line when Ray on its machine ends.

Ray itself would end the process some 13 s later, from below Python, with exit code 1 and a message of its own.
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

_SHOW_CURSOR = "\x1b[?25h"  # the live view of a terminal has hidden it


@contextmanager
def ends_with_raylet() -> Iterator[None]:
    """End this process, with exit code 2, when the raylet of this machine ends within the block.

    Nothing is lost by that: what is finished is durable at every moment.
    """
    raylet = _raylet()
    if raylet is None:
        yield
        return
    block_ended, write_end = os.pipe()
    thread = threading.Thread(target=_watch, args=(raylet, block_ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.write(write_end, b".")
        thread.join()
        for descriptor in (block_ended, write_end, raylet):
            os.close(descriptor)


def _raylet() -> int | None:
    """Return a descriptor of the raylet's process; None if that cannot be seen from here.

    Ray does not publish the raylet's process id. The kernel tells it for the socket on which the raylet answers.
    """
    own_id = ray.get_runtime_context().get_node_id()
    paths = [node["RayletSocketName"] for node in ray.nodes() if node["NodeID"] == own_id]
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(paths[0])
            pid, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return os.pidfd_open(pid)
    except (IndexError, OSError, ValueError):
        return None


def _watch(raylet: int, block_ended: int) -> None:
    poll = select.poll()
    poll.register(raylet, select.POLLIN)
    poll.register(block_ended, select.POLLIN)
    if any(descriptor == block_ended for descriptor, _ in poll.poll()):
        return
    prefix = _SHOW_CURSOR if sys.stderr.isatty() else ""
    line = (
        "tune-jobs: Ray on this machine ended (its raylet died): finished trials are kept; run the same command again "
        "to continue"
    )
    os.write(2, f"{prefix}{line}\n".encode())
    os._exit(2)

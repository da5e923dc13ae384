"""Ends the driver with a clear line when Ray ends: the raylet on its machine, or the GCS of its cluster.

Ray itself would end the process later, from below Python, with exit code 1 and messages of its own: some 13 s after the
raylet, and 70 s after the GCS.
"""

from __future__ import annotations

import os
import resource
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import ray

_SHOW_CURSOR = "\x1b[?25h"  # the live view of a terminal has hidden it
_LOOK_S = 1.0  # between two looks at the GCS, and for its answer
_PATIENCE_S = 8.0  # with a GCS that does not answer: one that is restarted is back by then, and drivers go on


@contextmanager
def ends_with_ray() -> Iterator[None]:
    """End this process, with exit code 2, when the raylet of this machine or the cluster's GCS ends within the block.

    Nothing is lost by that: what is finished is durable at every moment.
    """
    raylet = _raylet()
    gcs = ray.get_runtime_context().gcs_address
    block_ended, write_end = os.pipe()
    thread = threading.Thread(target=_watch, args=(raylet, gcs, block_ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.write(write_end, b".")
        thread.join()
        for descriptor in (block_ended, write_end, raylet):
            if descriptor is not None:
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


def _watch(raylet: int | None, gcs: str, block_ended: int) -> None:
    poll = select.poll()
    for descriptor in (block_ended, raylet):
        if descriptor is not None:
            poll.register(descriptor, select.POLLIN)
    last_answer = time.monotonic()
    while time.monotonic() - last_answer < _PATIENCE_S:
        events = [descriptor for descriptor, _ in poll.poll(_LOOK_S * 1000)]
        if block_ended in events:
            return
        if events:
            _end(f"Ray on this machine ended (its raylet died{_limit()})")
        if _answers(gcs):
            last_answer = time.monotonic()
    _end(f"Ray ended (its GCS at {gcs} does not answer)")


def _limit() -> str:
    """Return in words what limits the addresses of a process here, of which the raylet reserves more than it uses."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return "" if soft == resource.RLIM_INFINITY else f"; `ulimit -v` is {soft // 1024}, and Ray needs it unlimited"


def _answers(address: str) -> bool:
    """Return True if something listens at `host:port`."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_LOOK_S):
            return True
    except (OSError, ValueError):
        return False


def _end(what: str) -> NoReturn:
    prefix = _SHOW_CURSOR if sys.stderr.isatty() else ""
    line = f"tune-jobs: {what}: finished trials are kept; run the same command again to continue"
    os.write(2, f"{prefix}{line}\n".encode())
    os._exit(2)

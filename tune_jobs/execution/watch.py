"""Ends the driver with a clear line when Ray ends: the raylet on its machine, or the GCS of its cluster.

Ray itself would end the process later, from below Python, with exit code 1 and messages of its own: some 13 s after the
raylet, and 70 s after the GCS. While it starts it would wait for either for up to 40 s.
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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import ray

from tune_jobs import process

_SHOW_CURSOR = "\x1b[?25h"  # the live view of a terminal has hidden it
_LOOK_S = 1.0  # between two looks at the GCS, and for its answer
_PATIENCE_S = 8.0  # with a GCS that does not answer: one that is restarted is back by then, and drivers go on
_START_LOOK_S = 0.2  # between two looks for the processes of a Ray that starts
_PARTS = {"gcs_server": "GCS", "raylet": "raylet"}  # of it, by the names of their processes


@contextmanager
def ends_with_ray() -> Iterator[None]:
    """End this process, with exit code 2, when the raylet of this machine or the cluster's GCS ends within the block.

    Nothing is lost by that: what is finished is durable at every moment.
    """
    raylet = _raylet()
    gcs = ray.get_runtime_context().gcs_address
    try:
        with _beside(lambda block_ended: _watch(raylet, gcs, block_ended)):
            yield
    finally:
        if raylet is not None:
            os.close(raylet)


@contextmanager
def ends_with_starting_ray() -> Iterator[None]:
    """End this process, with exit code 2, when the GCS or the raylet that it starts within the block ends there.

    A process that runs no command, such as a notebook's, waits until Ray gives up.
    """
    if not process.is_command():
        yield
        return
    before = _parts()
    with _beside(lambda block_ended: _watch_start(before, block_ended)):
        yield


@contextmanager
def _beside(watch: Callable[[int], None]) -> Iterator[None]:
    """Watch in a thread until the block ends, which a descriptor tells."""
    block_ended, write_end = os.pipe()
    thread = threading.Thread(target=watch, args=(block_ended,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.write(write_end, b".")
        thread.join()
        os.close(block_ended)
        os.close(write_end)


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


def _watch_start(before: Mapping[int, str], block_ended: int) -> None:
    poll, watched = select.poll(), dict[int, int]()  # descriptors of processes, by their numbers
    poll.register(block_ended, select.POLLIN)
    names: dict[int, str] = {}  # of the parts, by their descriptors
    try:
        while True:
            for pid, name in _parts().items():
                if pid in before or pid in watched:
                    continue
                with suppress(ProcessLookupError):  # Ray has seen its end, and says so itself
                    watched[pid] = descriptor = os.pidfd_open(pid)
                    names[descriptor] = name
                    poll.register(descriptor, select.POLLIN)
            events = [descriptor for descriptor, _ in poll.poll(_START_LOOK_S * 1000)]
            if block_ended in events:
                return
            if events:
                name = names[events[0]]
                _end_start(f"its {name} died{_limit() if name == 'raylet' else ''}")
    finally:
        for descriptor in names:
            os.close(descriptor)


def _parts() -> dict[int, str]:
    """Return the parts of Ray that this process has started, by the numbers of their processes."""
    parts = {}
    for children in Path("/proc/self/task").glob("*/children"):  # which some kernels do not have
        with suppress(OSError):  # a thread has ended
            for pid in children.read_text(encoding="ascii").split():
                name = Path("/proc", pid, "comm").read_text(encoding="utf-8", errors="replace").strip()
                if name in _PARTS:
                    parts[int(pid)] = _PARTS[name]
    return parts


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
    _exit(f"{what}: finished trials are kept; run the same command again to continue")


def _end_start(what: str) -> NoReturn:
    _exit(f"Ray did not start on this machine ({what}): run the same command again")


def _exit(line: str) -> NoReturn:
    prefix = _SHOW_CURSOR if sys.stderr.isatty() else ""
    os.write(2, f"{prefix}tune-jobs: {line}\n".encode())
    os._exit(2)

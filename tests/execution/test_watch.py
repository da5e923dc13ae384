"""A driver whose Ray has ended says so in one line, before Ray itself does."""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tune_jobs.execution import watch


class _EndedError(Exception):
    pass


@pytest.fixture
def gcs() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def block_ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    def end(what: str) -> None:
        raise _EndedError(what)

    monkeypatch.setattr(watch, "_end", end)
    monkeypatch.setattr(watch, "_LOOK_S", 0.02)
    monkeypatch.setattr(watch, "_PATIENCE_S", 0.1)
    ends = os.pipe()
    yield ends
    for descriptor in ends:
        os.close(descriptor)


def test_a_gcs_that_is_gone_ends_the_driver(gcs: socket.socket, block_ended: tuple[int, int]) -> None:
    address = f"127.0.0.1:{gcs.getsockname()[1]}"
    threading.Timer(0.2, gcs.close).start()
    began = time.monotonic()
    with pytest.raises(_EndedError, match=f"its GCS at {address} does not answer"):
        watch._watch(None, address, block_ended[0])
    assert time.monotonic() - began > 0.2


def test_a_block_that_ends_ends_the_watch(gcs: socket.socket, block_ended: tuple[int, int]) -> None:
    threading.Timer(0.2, os.write, args=(block_ended[1], b".")).start()
    watch._watch(None, f"127.0.0.1:{gcs.getsockname()[1]}", block_ended[0])


@pytest.mark.parametrize(
    ("limit", "says"),
    [(resource.RLIM_INFINITY, r"\(its raylet died\)"), (2**30, "`ulimit -v` is 1048576, and Ray needs it unlimited")],
)
def test_a_limit_that_ends_a_raylet_is_named(
    limit: int, says: str, block_ended: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limit, limit))
    read_end, write_end = os.pipe()
    os.close(write_end)  # what is read of it has ended, as a process has
    with os.fdopen(read_end) as ended, pytest.raises(_EndedError, match=says):
        watch._watch(ended.fileno(), "127.0.0.1:1", block_ended[0])


def test_ray_itself_would_say_so_later() -> None:
    """Ray waits 60 s for a GCS, and a person who reads this 15."""
    assert watch._PATIENCE_S + 2 * watch._LOOK_S < 15

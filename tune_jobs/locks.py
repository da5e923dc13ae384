"""Who may write a study: one driver at a time, and a dead one holds nothing.

A study in a file is held by an advisory lock of the operating system, one in PostgreSQL by an advisory lock of the
server: both end with the process that took them, however it ended, so there is no lease to wait out after `kill -9`.
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tune_jobs.errors import StudyError

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class Holder:
    """The process that writes a study; `since` is in unix seconds."""

    pid: int
    host: str
    user: str
    since: float

    @classmethod
    def me(cls) -> Holder:
        return cls(os.getpid(), socket.gethostname(), _user(), time.time())

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"process {self.pid} of {self.user} on {self.host}, since {since}"


class StudyLock:
    """The right to write one study, named by the file `path` and, for a study in PostgreSQL, by the server at `url`."""

    def __init__(self, name: str, path: Path, url: str | None = None) -> None:
        self._name = name
        self._path = path
        self._url = url if url is not None and url.startswith("postgresql") else None

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Holds the study until the block ends.

        Raises:
            StudyError: if another process holds it; the message says which.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+") as file:
            if not _take_flock(file.fileno()):
                raise self._refusal(_read_holder(self._path))
            with self._hold_on_server():
                os.truncate(file.fileno(), 0)
                with suppress(OSError):  # it is for messages alone; on a full disk the study itself says so
                    os.write(file.fileno(), json.dumps(asdict(Holder.me())).encode())
                yield
                os.truncate(file.fileno(), 0)

    def holder(self) -> Holder | None:
        """The process that holds the study on this machine, if one does."""
        try:
            with self._path.open("r") as file:
                if _try_flock(file.fileno(), shared=True):
                    return None
        except OSError:
            return None
        return _read_holder(self._path)

    @contextmanager
    def _hold_on_server(self) -> Iterator[None]:
        if self._url is None:
            yield
            return
        from sqlalchemy import create_engine, text
        from sqlalchemy.pool import NullPool

        key = int.from_bytes(hashlib.sha256(f"tune-jobs/{self._name}".encode()).digest()[:8], "big", signed=True)
        engine = create_engine(self._url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar():
                raise self._refusal(_server_holder(connection, key))
            connection.execute(text("SELECT set_config('application_name', :me, false)"), {"me": _label(Holder.me())})
            yield

    def _refusal(self, holder: Holder | str | None) -> StudyError:
        who = holder or "another process"
        return StudyError(f"study {self._name!r} is being run by {who}; wait for it or stop it, then run this again")


@contextmanager
def taking_turns(path: Path) -> Iterator[None]:
    """Waits for whoever is inside the same block on the same file, then goes in alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        yield


def _take_flock(descriptor: int) -> bool:
    """Tried a few times, because whoever looks for a holder has the lock for an instant too."""
    for _ in range(10):
        if _try_flock(descriptor):
            return True
        time.sleep(0.01)
    return False


def _try_flock(descriptor: int, *, shared: bool = False) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_holder(path: Path) -> Holder | None:
    try:
        return Holder(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _server_holder(connection: Connection, key: int) -> str | None:
    """The name that the holder gave its connection; PostgreSQL splits a lock's 64-bit key in two halves."""
    from sqlalchemy import text

    unsigned = key % 2**64
    return connection.execute(
        text(
            "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE l.locktype = 'advisory' AND l.classid::bigint = :high AND l.objid::bigint = :low AND l.granted"
        ),
        {"high": unsigned >> 32, "low": unsigned & 0xFFFFFFFF},
    ).scalar()


def _label(holder: Holder) -> str:
    """At most 63 characters, as long as an application name may be."""
    return f"process {holder.pid} of {holder.user} on {holder.host}"[:63]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without an entry in passwd
        return str(os.getuid())

"""The right to write a study: one driver has it at a time, and a dead one has none.

A study in a file is held by an advisory lock of the operating system, one in PostgreSQL by an advisory lock of the
server. Both end with the process that took them, however it ended, so there is no lease to wait out after `kill -9`.
The server's lock belongs to the one connection that also writes the study. A driver that loses the connection, to a
restart for instance, cannot write before it has taken the lock again.
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
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from tune_jobs import files
from tune_jobs.decoding import ContentError, decode_json
from tune_jobs.errors import StudyError
from tune_jobs.settings import Settings, user_variable
from tune_jobs.study.retries import SessionLostError

if TYPE_CHECKING:
    from sqlalchemy import Engine


@dataclass(frozen=True)
class Holder:
    """The process that writes a study; `since` is in unix seconds."""

    pid: int
    host: str
    user: str
    since: float

    @classmethod
    def me(cls) -> Holder:
        return cls(os.getpid(), socket.gethostname(), user_name(), time.time())

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"process {self.pid} of {self.user} on {self.host}, since {since}"


class StudyLock:
    """The right to write one study, named by the file `path` and, for a study in PostgreSQL, on the server of `engine`,
    through whose only connection the study is written."""

    def __init__(self, name: str, path: Path, engine: Engine | None = None) -> None:
        self._name = name
        self._path = path
        self._engine = engine if engine is not None and engine.dialect.name == "postgresql" else None
        self._key = int.from_bytes(hashlib.sha256(f"tune-jobs/{name}".encode()).digest()[:8], "big", signed=True)
        self._may_connect = False
        self._session: Any = None  # ours on the server: its process there and its start

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the study until the block ends.

        Raises:
            StudyError: another process holds it; the message says which.
        """
        files.make_folder(self._path.parent)
        with files.opened(self._path) as file:
            if not _take_flock(file.fileno()):
                raise self._refusal(_read_holder(file))
            with self._hold_on_server():
                os.truncate(file.fileno(), 0)
                with suppress(OSError):  # only messages need it; on a full disk the study itself says so
                    os.write(file.fileno(), json.dumps(asdict(Holder.me())).encode())
                yield
                os.truncate(file.fileno(), 0)

    def holder(self) -> Holder | None:
        """Return the process that holds the study on this machine, if there is one."""
        try:
            with files.reading(self._path) as file:
                return None if _try_flock(file.fileno(), shared=True) else _read_holder(file)
        except OSError:
            return None

    def take_again(self) -> None:
        """Connect to the server again if the connection was lost, and take the lock with it.

        Raises:
            StudyError: another process has the study now.
            SessionLostError: the server still had our lost connection; it has been told to end it.
        """
        if self._engine is None:
            return
        from sqlalchemy import text

        self._may_connect = True
        try:
            with self._engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        finally:
            self._may_connect = False

    @contextmanager
    def _hold_on_server(self) -> Iterator[None]:
        if self._engine is None:
            yield
            return
        from sqlalchemy import event

        self._engine.dispose()
        event.listen(self._engine, "connect", self._connected)
        try:
            self.take_again()
            yield
        finally:
            event.remove(self._engine, "connect", self._connected)
            self._engine.dispose()

    def _connected(self, connection: Any, record: object) -> None:
        """Take the lock as a new connection begins, or refuse it. A connection that SQLAlchemy makes unasked is refused
        too: it may stand between two parts of a call, of which the first was lost."""
        if not self._may_connect:
            raise SessionLostError("the connection to the server was lost")
        cursor = connection.cursor()
        try:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", (self._key,))
            if not cursor.fetchone()[0]:
                self._refuse(cursor)
            cursor.execute("SELECT set_config('application_name', %s, false)", (_label(Holder.me()),))
            cursor.execute("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()")
            self._session = cursor.fetchone()
        finally:
            cursor.close()
        connection.commit()

    def _refuse(self, cursor: Any) -> NoReturn:
        """Say who has the lock. PostgreSQL splits its 64-bit key into two halves, and lists those of all databases."""
        unsigned = self._key % 2**64
        cursor.execute(
            "SELECT a.application_name, a.pid, a.backend_start FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()"
            " WHERE l.locktype = 'advisory' AND l.classid::bigint = %s AND l.objid::bigint = %s AND l.granted",
            (unsigned >> 32, unsigned & 0xFFFFFFFF),
        )
        holder, *session = cursor.fetchone() or (None,)
        if session and tuple(session) == self._session:
            cursor.execute("SELECT pg_terminate_backend(%s)", (session[0],))
            raise SessionLostError("the server has not noticed yet that the connection was lost")
        raise self._refusal(holder)

    def _refusal(self, holder: Holder | str | None) -> StudyError:
        holder_name = holder or "another process"
        return StudyError(
            f"study {self._name!r} is being run by {holder_name}; wait for it or stop it, then run this again"
        )


def lock_of(name: str, settings: Settings, engine: Engine | None = None) -> StudyLock:
    """Return a study's lock. Its file is in the home folder, or beside the SQLite file that several homes may share."""
    if settings.storage is not None and settings.storage.startswith("sqlite:///"):
        file = Path(settings.storage.removeprefix("sqlite:///"))
        return StudyLock(name, file.with_name(f"{file.name}.{name}.lock"))
    return StudyLock(name, settings.studies_dir / f"{name}.lock", engine)


@contextmanager
def taking_turns(path: Path) -> Iterator[None]:
    """Run the block while no other process runs one on the same file; wait for it."""
    files.make_folder(path.parent)
    with files.opened(path) as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        yield


@contextmanager
def unless_held(path: Path) -> Iterator[bool]:
    """Hold a file until the block ends and yield True; yield False if another process holds it."""
    with files.opened(path) as file:
        yield _try_flock(file.fileno())


def _take_flock(descriptor: int) -> bool:
    """Try a few times, because a process that looks for the holder has the lock for an instant too."""
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


def _read_holder(file: BinaryIO) -> Holder | None:
    try:
        file.seek(0)
        return decode_json(Holder, file.read(), "the holder")
    except (OSError, ContentError):
        return None


def _label(holder: Holder) -> str:
    """Return a holder in at most 63 characters, the limit of an application's name."""
    return f"process {holder.pid} of {holder.user} on {holder.host}"[:63]


def user_name() -> str:
    """Return who runs this process, or who sent the job that it runs."""
    try:
        return user_variable() or getpass.getuser()
    except (KeyError, OSError):  # a container's user without an entry in passwd
        return str(os.getuid())

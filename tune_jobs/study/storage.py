"""Where studies are stored: a journal file each, or a database."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from tune_jobs.errors import StudyError
from tune_jobs.masking import redact, without_password
from tune_jobs.settings import Settings
from tune_jobs.study import contents, journal
from tune_jobs.study.locks import StudyLock, lock_of
from tune_jobs.study.retries import RetryingStorage, first_line, insist

_MADE_BY_ANOTHER = (
    "23505",
    "42P07",
    "42710",
)  # PostgreSQL's words: unique violation, duplicate table, duplicate object


_TRIES, _TURN_S = 10, 0.3  # to make the tables of a database


_BUSY_S = 1.0  # that SQLite itself waits for a lock; then we do


def study_names(settings: Settings) -> tuple[str, ...]:
    """The studies there are, in alphabetical order; in a database, those that were begun here, of all it holds. Others
    may write there too: a name becomes those of files, and has to be one."""
    if settings.storage is not None:
        studies = database(settings.storage).get_all_studies()
        begun = (study.study_name for study in studies if "terms" in study.user_attrs)
        return tuple(sorted(name for name in begun if contents.is_name(name)))
    return tuple(sorted(path.stem for path in settings.studies_dir.glob("*.journal") if journal.is_written(path)))


class _Alone(JournalFileOpenLock):
    """No lock of its own: whoever appends holds the whole study already. Optuna's own is a file that a killed process
    leaves behind, and the next one then waits 30 s for it."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


class _Journal(JournalFileBackend):
    """A study's file; what cannot be appended leaves it as it was."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), lock_obj=_Alone(str(path)))
        self._path = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        with journal.whole_or_nothing(self._path):
            super().append_logs(logs)


def journal_file(name: str, settings: Settings) -> Path:
    return settings.studies_dir / f"{name}.journal"


def open_storage(name: str, settings: Settings) -> BaseStorage:
    if settings.storage is not None:
        return database(settings.storage)
    path = journal_file(name, settings)
    try:
        storage = JournalStorage(_Journal(path))
    except OSError as error:
        raise StudyError(f"the study file {path} cannot be read: {error.strerror}") from error
    except Exception as error:  # whatever Optuna trips over in a line that is not as it wrote it
        why = f"{type(error).__name__}: {error}"
        raise StudyError(
            f"the study file {path} is damaged ({why}): restore it from a backup, or move it away"
        ) from error
    for other in storage.get_all_studies():
        if other.study_name != name:  # a copy or a file renamed: another study must not be begun inside it
            raise StudyError(f"the study file {path} is that of study {other.study_name!r}: give it that name again")
    return storage


@functools.cache
def database(url: str) -> BaseStorage:
    """Connected to once in a process: each connection takes a tenth of a second, and one that is dropped stays open."""
    return cast("BaseStorage", RetryingStorage(_connected(url), url))


def _connected(url: str) -> RDBStorage:
    """Waits for a SQLite file that is locked; a server that is not there now is more likely misspelt."""
    try:
        if url.startswith("sqlite"):
            file = partial(RDBStorage, url, {"connect_args": {"timeout": _BUSY_S}})
            return cast("RDBStorage", insist(file, url))
        return _with_tables(url)
    except StudyError:
        raise
    except ImportError as error:
        raise StudyError(
            f"the storage {without_password(url)} needs a driver that is not installed: {error}"
        ) from error
    except Exception as error:  # whatever its driver raises: refused, unknown host, wrong password, no such database
        why = redact(first_line(error), url)
        raise StudyError(f"the storage {without_password(url)} does not answer: {why}") from error


def _with_tables(url: str) -> RDBStorage:
    """Of several who come to a new database at once, each makes its tables, and fails over what another has made: then
    they are there."""
    from sqlalchemy.exc import IntegrityError, ProgrammingError

    for _ in range(_TRIES):
        try:
            return RDBStorage(url)
        except (IntegrityError, ProgrammingError) as error:
            if getattr(error.orig, "sqlstate", None) not in _MADE_BY_ANOTHER:
                raise
            time.sleep(_TURN_S)
    return RDBStorage(url)


@contextmanager
def writing(name: str, settings: Settings) -> Iterator[tuple[BaseStorage | None, StudyLock]]:
    """What a study is held by; where it is in a database also the storage, connected to before the lock is taken. Its
    one connection has the lock, so that nothing is written without it."""
    if settings.storage is None:
        yield None, lock_of(name, settings)
        return
    server = _connected(settings.storage)
    lock = lock_of(name, settings, server.engine)
    try:
        yield cast("BaseStorage", RetryingStorage(server, settings.storage, lock.take_again)), lock
    finally:
        server.engine.dispose()


def study_id(storage: BaseStorage, name: str) -> int | None:
    try:
        return int(storage.get_study_id_from_name(name))
    except KeyError:
        return None

"""Where studies are stored: each in a journal file, or all in a database."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

from optuna.distributions import json_to_distribution
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import _storage as optuna_journal

from tune_jobs import later_imports
from tune_jobs.errors import StudyError
from tune_jobs.masking import redact, without_password
from tune_jobs.settings import Settings
from tune_jobs.study import contents, journal
from tune_jobs.study.locks import StudyLock, lock_of
from tune_jobs.study.retries import RetryingStorage, first_line, retry

# PostgreSQL's codes for what another process has just made: unique violation, duplicate table, duplicate object
_ALREADY_MADE = ("23505", "42P07", "42710")
_TABLE_TRIES, _TABLE_PAUSE_S = 10, 0.3
_POOL = {"pool_size": 1, "max_overflow": 20}  # connections to a server that a process keeps, and opens for a moment
_SQLITE_TIMEOUT_S = 1.0  # SQLite's own wait for a lock; after it we retry

_distribution = functools.lru_cache(maxsize=10_000)(json_to_distribution)


def study_names(settings: Settings) -> tuple[str, ...]:
    """Return the names of all studies, in alphabetical order. Of a database's they are those that were begun by this
    program under a name that files can have."""
    if settings.storage is not None:
        studies = database(settings.storage).get_all_studies()
        begun = (study.study_name for study in studies if "terms" in study.user_attrs)
        return tuple(sorted(name for name in begun if contents.is_name(name)))
    return tuple(sorted(path.stem for path in settings.studies_dir.glob("*.journal") if journal.is_written(path)))


def journal_file(name: str, settings: Settings) -> Path:
    """Return the file of a study that is not in a database."""
    return settings.studies_dir / f"{name}.journal"


def open_storage(name: str, settings: Settings) -> BaseStorage:
    """Return the storage that has the study `name`, or is to have it.

    Raises:
        StudyError: the file is damaged, cannot be read or is that of another study; the database does not answer.
    """
    if settings.storage is not None:
        return database(settings.storage)
    path = journal_file(name, settings)
    with later_imports.without_collections():
        storage = _journal_storage(path)
    for other in storage.get_all_studies():
        if other.study_name != name:  # a copy, or a renamed file: another study must not be begun inside it
            raise StudyError(f"the study file {path} is that of study {other.study_name!r}: give it that name again")
    return storage


def study_id(storage: BaseStorage, name: str) -> int | None:
    """Return Optuna's id of a study; None if there is none of that name."""
    try:
        return int(storage.get_study_id_from_name(name))
    except KeyError:
        return None


@functools.cache
def database(url: str) -> BaseStorage:
    """Return the storage at `url`. It is connected to once in a process: each connection takes a tenth of a second."""
    return cast("BaseStorage", RetryingStorage(_connected(url), url))


@contextmanager
def writing(name: str, settings: Settings) -> Iterator[tuple[BaseStorage | None, StudyLock]]:
    """Give the lock of a study and, of one in a database, the storage that may write it.

    The database is connected to before the lock is taken. Its one connection has the lock, so that nothing is written
    without it.
    """
    if settings.storage is None:
        yield None, lock_of(name, settings)
        return
    server = _connected(settings.storage)
    lock = lock_of(name, settings, server.engine)
    try:
        yield cast("BaseStorage", RetryingStorage(server, settings.storage, lock.take_again)), lock
    finally:
        server.engine.dispose()


def _journal_storage(path: Path) -> JournalStorage:
    """Return the storage in a file. If it cannot be read as a whole, take record by record, to name the one that is
    wrong."""
    for is_literal in (False, True):
        try:
            backend = journal.Journal(path, is_literal=is_literal)
            with _distributions_shared():
                return JournalStorage(backend)
        except StudyError:
            raise
        except OSError as error:
            raise _unreadable(path, error) from error
        except Exception as error:  # whatever Optuna raises for a record that is not as it wrote it
            why, number = error, backend.end.number - 1
    raise journal.damaged(path, number, f"{type(why).__name__}: {why}") from why


@contextmanager
def _distributions_shared() -> Iterator[None]:
    """Have Optuna give equal distributions of a journal's trials as one object, which nothing changes.

    It reads the JSON of each anew, for every parameter of every trial. Private to Optuna: a journal is not asked.
    """
    module: Any = optuna_journal
    read = module.json_to_distribution
    module.json_to_distribution = _distribution
    try:
        yield
    finally:
        module.json_to_distribution = read


def _unreadable(path: Path, error: OSError) -> StudyError:
    return StudyError(f"the study file {path} cannot be read: {error.strerror}")


def _connected(url: str) -> RDBStorage:
    """Connect to a database. A SQLite file that is locked is waited for; a server that is away is more likely
    misspelt."""
    try:
        if url.startswith("sqlite"):
            connect = partial(RDBStorage, url, {"connect_args": {"timeout": _SQLITE_TIMEOUT_S}})
            return cast("RDBStorage", retry(connect, url))
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
    """Connect to a database, which may be new. Of several processes that make its tables at once, each fails at a table
    that another has just made, and then finds it there."""
    from sqlalchemy.exc import IntegrityError, ProgrammingError

    for _ in range(_TABLE_TRIES):
        try:
            return RDBStorage(url, _POOL)
        except (IntegrityError, ProgrammingError) as error:
            if getattr(error.orig, "sqlstate", None) not in _ALREADY_MADE:
                raise
            time.sleep(_TABLE_PAUSE_S)
    return RDBStorage(url, _POOL)

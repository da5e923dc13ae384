"""Calls to a database that is locked, restarts or is cut off: retried until they succeed or the time is up.

A call that failed may have taken effect, if only its answer was lost. Most calls may simply be made again; before
others the database is asked whether they took effect. Only the holder of a study writes it, so what is there is what
the call left.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from tune_jobs.errors import StudyError
from tune_jobs.masking import redact, without_password
from tune_jobs.words import printable

LIMIT_S = 60.0  # a restart of PostgreSQL takes seconds, a failover half a minute
_PAUSE_S = 0.5


class SessionLostError(Exception):
    """The connection that held a study is gone, and with it what was not committed."""


class RetryingStorage:
    """An Optuna storage in the database at `url`.

    A storage that writes a study calls `reconnect` before a call is retried. Once its time was up it tries nothing any
    more; one that only reads may be asked again.
    """

    def __init__(self, storage: Any, url: str, reconnect: Callable[[], None] | None = None) -> None:
        self._storage, self._url, self._reconnect = storage, url, reconnect
        self._n_trials: dict[int, int] = {}  # of each study that is written here
        self._gave_up: StudyError | None = None

    def __getattr__(self, name: str) -> Any:
        return partial(self._retry, getattr(self._storage, name))

    def create_new_study(self, directions: Any, study_name: str) -> int:
        def existing() -> int | None:
            try:
                return int(self._storage.get_study_id_from_name(study_name))
            except KeyError:
                return None

        return int(self._retry(self._storage.create_new_study, directions, study_name, find_answer=existing))

    def create_new_trial(self, study_id: int, template_trial: Any = None) -> int:
        if study_id not in self._n_trials:
            self._n_trials[study_id] = self.get_n_trials(study_id)
        number = self._n_trials[study_id]

        def existing() -> int | None:
            if self._storage.get_n_trials(study_id) == number:
                return None
            return int(self._storage.get_trial_id_from_study_id_trial_number(study_id, number))

        trial_id = self._retry(self._storage.create_new_trial, study_id, template_trial, find_answer=existing)
        self._n_trials[study_id] += 1
        return int(trial_id)

    def set_trial_state_values(self, trial_id: int, state: Any, values: Any = None) -> bool:
        def is_set() -> bool | None:
            return True if self._storage.get_trial(trial_id).state == state else None

        return bool(self._retry(self._storage.set_trial_state_values, trial_id, state, values, find_answer=is_set))

    def delete_study(self, study_id: int) -> None:
        def is_deleted() -> bool | None:
            return None if any(study._study_id == study_id for study in self._storage.get_all_studies()) else True

        self._retry(self._storage.delete_study, study_id, find_answer=is_deleted)

    def _retry(
        self, call: Callable[..., Any], *args: Any, find_answer: Callable[[], Any] | None = None, **more: Any
    ) -> Any:
        if self._gave_up is not None:  # a clean-up after that need not wait as long again
            raise self._gave_up
        try:
            return retry(partial(call, *args, **more), self._url, find_answer, self._reconnect)
        except StudyError as error:
            self._gave_up = None if self._reconnect is None else error
            raise


def retry(
    call: Callable[[], Any],
    url: str,
    find_answer: Callable[[], Any] | None = None,
    reconnect: Callable[[], None] | None = None,
) -> Any:
    """Return the answer of `call`, which is made until it succeeds.

    `find_answer` is asked before a call is made again: it returns the answer of one that failed and yet took effect,
    else None.

    Raises:
        StudyError: the database does not answer in time, or is damaged.
    """
    deadline: float | None = None
    while True:
        try:
            if deadline is not None:
                if reconnect is not None:
                    reconnect()
                answer = None if find_answer is None else find_answer()
                if answer is not None:
                    return answer
            return call()
        except Exception as error:
            cause = _database_error(error)
            if cause is None:
                raise
            if not _may_pass(cause):
                raise _failure(cause, url) from error
            if deadline is None:
                deadline = _announce(cause, url)
            elif time.monotonic() >= deadline:
                raise StudyError(
                    f"{_storage_at(url)} was away for {LIMIT_S:.0f} s ({first_line(cause)}): what is finished is kept, "
                    "run the same command again when it is back"
                ) from error
            time.sleep(_PAUSE_S)


def first_line(error: BaseException) -> str:
    """Return the first line of a database's message, without the statement that it is about."""
    text = redact(str(getattr(error, "orig", None) or error)).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _announce(cause: Exception, url: str) -> float:
    """Tell the user that the database is away; return the time at which we give up."""
    line = f"{_storage_at(url)} is away ({first_line(cause)}): trying for {LIMIT_S:.0f} s"
    print(printable(line), file=sys.stderr)
    return time.monotonic() + LIMIT_S


def _storage_at(url: str) -> str:
    return f"the storage {without_password(url)}"


def _database_error(error: Exception) -> Exception | None:
    """Return the database's error, whatever it is wrapped in; None if there is none."""
    from sqlalchemy.exc import SQLAlchemyError

    kinds = (SQLAlchemyError, SessionLostError)
    return next((each for each in (error, error.__cause__) if isinstance(each, kinds)), None)


def _may_pass(cause: Exception) -> bool:
    """Return True if the same call may succeed later."""
    from sqlalchemy import exc

    if not isinstance(cause, exc.DBAPIError):
        return isinstance(cause, SessionLostError | exc.TimeoutError)
    if type(cause.orig).__module__.startswith("sqlite3"):
        return "locked" in str(cause.orig)
    return cause.connection_invalidated or isinstance(cause, exc.OperationalError | exc.InterfaceError)


def _failure(cause: Exception, url: str) -> StudyError:
    what = first_line(cause)
    if "malformed" in what or "not a database" in what:
        return StudyError(f"{_storage_at(url)} is damaged ({what}): restore it from a backup, or move it away")
    if "unable to open" in what:
        return StudyError(f"{_storage_at(url)} does not answer: {what}")
    return StudyError(f"{_storage_at(url)} failed ({what}): mend that, then run the same command again")

"""Calls to a database that is locked, restarts or is cut off: made again until they are through or the time is up.

A call that failed may have been heard all the same, when only its answer was lost. Most may simply be said again; those
that may not are asked about first. Only the holder of a study writes it, so what is there is what was heard.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from tune_jobs.errors import StudyError
from tune_jobs.masking import redact, without_password

LIMIT_S = 60.0  # a restart of PostgreSQL takes seconds, a failover half a minute
_PAUSE_S = 0.5


class SessionLostError(Exception):
    """The connection that held a study is gone, and with it what was not committed."""


class RetryingStorage:
    """An Optuna storage in the database at `url`. Of one that writes a study, `reconnect` is called before a call is
    made again, and once the time was up nothing is tried any more; whoever reads may ask again."""

    def __init__(self, storage: Any, url: str, reconnect: Callable[[], None] | None = None) -> None:
        self._storage, self._url, self._reconnect = storage, url, reconnect
        self._n_trials: dict[int, int] = {}  # of each study that is written here
        self._given_up: StudyError | None = None

    def __getattr__(self, name: str) -> Any:
        return partial(self._insist, getattr(self._storage, name))

    def create_new_study(self, directions: Any, study_name: str) -> int:
        def heard() -> int | None:
            try:
                return int(self._storage.get_study_id_from_name(study_name))
            except KeyError:
                return None

        return int(self._insist(self._storage.create_new_study, directions, study_name, heard=heard))

    def create_new_trial(self, study_id: int, template_trial: Any = None) -> int:
        if study_id not in self._n_trials:
            self._n_trials[study_id] = self.get_n_trials(study_id)
        number = self._n_trials[study_id]

        def heard() -> int | None:
            if self._storage.get_n_trials(study_id) == number:
                return None
            return int(self._storage.get_trial_id_from_study_id_trial_number(study_id, number))

        made = int(self._insist(self._storage.create_new_trial, study_id, template_trial, heard=heard))
        self._n_trials[study_id] += 1
        return made

    def set_trial_state_values(self, trial_id: int, state: Any, values: Any = None) -> bool:
        def heard() -> bool | None:
            return True if self._storage.get_trial(trial_id).state == state else None

        return bool(self._insist(self._storage.set_trial_state_values, trial_id, state, values, heard=heard))

    def delete_study(self, study_id: int) -> None:
        def heard() -> bool | None:
            return None if any(study._study_id == study_id for study in self._storage.get_all_studies()) else True

        self._insist(self._storage.delete_study, study_id, heard=heard)

    def _insist(self, call: Callable[..., Any], *args: Any, heard: Callable[[], Any] | None = None, **more: Any) -> Any:
        if self._given_up is not None:  # whoever cleans up after that need not wait as long again
            raise self._given_up
        try:
            return insist(partial(call, *args, **more), self._url, heard, self._reconnect)
        except StudyError as error:
            self._given_up = None if self._reconnect is None else error
            raise


def insist(
    call: Callable[[], Any],
    url: str,
    heard: Callable[[], Any] | None = None,
    reconnect: Callable[[], None] | None = None,
) -> Any:
    """What the call answers, made as often as need be; `heard` answers instead where a failed one was heard, else None.

    Raises:
        StudyError: the database does not answer in time, or is damaged.
    """
    until: float | None = None
    while True:
        try:
            if until is not None:
                if reconnect is not None:
                    reconnect()
                answer = None if heard is None else heard()
                if answer is not None:
                    return answer
            return call()
        except Exception as error:
            cause = _of_database(error)
            if cause is None:
                raise
            if not _may_pass(cause):
                raise _failure(cause, url) from error
            now = time.monotonic()
            if until is None:
                until = now + LIMIT_S
                print(f"{_where(url)} is away ({first_line(cause)}): trying for {LIMIT_S:.0f} s", file=sys.stderr)
            elif now >= until:
                raise StudyError(
                    f"{_where(url)} was away for {LIMIT_S:.0f} s ({first_line(cause)}): what is finished is kept, run "
                    "the same command again when it is back"
                ) from error
            time.sleep(_PAUSE_S)


def first_line(error: BaseException) -> str:
    """The first line of what a database said, without the statement that it was said to."""
    text = redact(str(getattr(error, "orig", None) or error)).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _where(url: str) -> str:
    return f"the storage {without_password(url)}"


def _of_database(error: Exception) -> Exception | None:
    """What the database said, in whatever it is wrapped; None for any other mistake."""
    from sqlalchemy.exc import SQLAlchemyError

    return next((one for one in (error, error.__cause__) if isinstance(one, SQLAlchemyError | SessionLostError)), None)


def _may_pass(cause: Exception) -> bool:
    from sqlalchemy import exc

    if not isinstance(cause, exc.DBAPIError):
        return isinstance(cause, SessionLostError | exc.TimeoutError)
    if type(cause.orig).__module__.startswith("sqlite3"):
        return "locked" in str(cause.orig)
    return cause.connection_invalidated or isinstance(cause, exc.OperationalError | exc.InterfaceError)


def _failure(cause: Exception, url: str) -> StudyError:
    what = first_line(cause)
    if "malformed" in what or "not a database" in what:
        return StudyError(f"{_where(url)} is damaged ({what}): restore it from a backup, or move it away")
    if "unable to open" in what:
        return StudyError(f"{_where(url)} does not answer: {what}")
    return StudyError(f"{_where(url)} failed ({what}): mend that, then run the same command again")

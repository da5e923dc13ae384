"""Calls to a database that fails in between: made again, never twice, and given up in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError

from tune_jobs.errors import StudyError
from tune_jobs.study import retries
from tune_jobs.study.retries import RetryingStorage

URL = "postgresql://ada:secret@db/studies"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_PAUSE_S", 0.0)


def lost() -> Exception:
    return OperationalError("INSERT", {}, Exception("server closed the connection\nwhile saying more"))


class _Storage:
    """Trials by their numbers; the first `n_lost` calls that write fail, after they were heard where `is_heard`."""

    def __init__(self, n_lost: int, *, is_heard: bool, error: Callable[[], Exception] = lost) -> None:
        self.trials: list[Any] = []
        self.n_lost, self.is_heard, self.error, self.n_calls = n_lost, is_heard, error, 0

    def get_n_trials(self, study_id: int) -> int:
        return len(self.trials)

    def get_trial_id_from_study_id_trial_number(self, study_id: int, number: int) -> int:
        return 100 + number

    def create_new_trial(self, study_id: int, template: Any) -> int:
        self.n_calls += 1
        self.n_lost -= 1
        if self.n_lost < 0 or self.is_heard:
            self.trials.append(template)
        if self.n_lost >= 0:
            raise self.error()
        return 100 + len(self.trials) - 1


@pytest.mark.parametrize("is_heard", [True, False])
def test_a_trial_whose_making_was_not_answered_is_there_once(is_heard: bool) -> None:
    storage, reconnected = _Storage(1, is_heard=is_heard), []
    patient = RetryingStorage(storage, URL, lambda: reconnected.append(1))
    assert [patient.create_new_trial(7, name) for name in "ab"] == [100, 101]
    assert storage.trials == ["a", "b"]
    assert storage.n_calls == (2 if is_heard else 3)
    assert reconnected == [1]


def test_a_database_that_stays_away_is_given_up_in_one_line_without_its_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(retries, "LIMIT_S", 0.0)
    storage = _Storage(10**6, is_heard=False)
    patient = RetryingStorage(storage, URL, lambda: None)
    for _ in range(2):
        with pytest.raises(StudyError, match=r"ada:\*\*\*@db/studies was away for 0 s \(server closed") as refused:
            patient.create_new_trial(7, "a")
        assert "\n" not in str(refused.value)
        assert storage.n_calls == 2  # whoever cleans up afterwards does not wait again
    assert "secret" not in capsys.readouterr().err


def test_what_no_waiting_mends_is_not_waited_for() -> None:
    def wrong() -> Exception:
        return ProgrammingError("SELECT", {}, Exception("relation does not exist"))

    storage = _Storage(1, is_heard=False, error=wrong)
    with pytest.raises(StudyError, match=r"failed \(relation does not exist\): mend that"):
        RetryingStorage(storage, URL).create_new_trial(7, "a")
    with pytest.raises(KeyError):  # a mistake of another kind stays what it is
        RetryingStorage(_Storage(1, is_heard=False, error=KeyError), URL).create_new_trial(7, "a")

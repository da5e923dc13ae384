"""The two kinds of failure: a mistake that stops the program, and a configuration that failed.

`UserError` and its kinds are shown as one line and end the command; `TrialError` is recorded with the trial and
the study goes on.
"""

from __future__ import annotations

from enum import StrEnum


class UserError(Exception):
    """A mistake that the user has to mend before the program can go on: one line, exit code 2."""


class SettingsError(UserError):
    """A folder, address or variable of the set-up that cannot be used."""


class DataError(UserError):
    """Data that is missing, damaged or of another kind than its name promises."""


class StudyError(UserError):
    """A study that cannot be opened, continued or changed as requested."""


class Reason(StrEnum):
    """Why a trial failed, in the words that the leaderboard, MLflow and the exports show."""

    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out-of-memory"
    CRASHED = "crashed"
    TIMED_OUT = "timed-out"
    INVALID = "invalid"
    COLLAPSED = "collapsed"
    INFEASIBLE = "infeasible"


class TrialError(Exception):
    """A configuration that failed, with the reason; the study goes on without it.

    Both values are the exception's arguments, so that it survives the pickling between worker and driver.

    Raises:
        ValueError: `reason` is not one of `Reason`.
    """

    def __init__(self, reason: Reason | str, message: str) -> None:
        self.reason = Reason(reason)
        self.message = message
        super().__init__(self.reason, message)

    def __str__(self) -> str:
        return self.message

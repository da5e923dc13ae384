"""What is done about a trial that did not end well: whether it runs again, how, and when the sweep itself is to blame.

| what happened | rule |
| --- | --- |
| diverged, invalid | failed at once: it would end so again |
| out of memory | once more, on a fresh worker and with no other trial beside it; then failed |
| its worker died, or its node | again on another worker, `max_retries` times; then failed as crashed |
| longer than `trial_limit_s` | failed as timed out; a worker that does not come back is ended |
| its code raised | failed as crashed; the same error three times in a row ends the sweep |
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tune_jobs.errors import Reason
from tune_jobs.records.trials import TrialResult

_SAME_ERROR = 3  # in a row: the task is at fault, not its params
WORN_OUT = "this worker has run its share of trials"


@dataclass(frozen=True)
class Limits:
    """How far a trial may go wrong: so many seconds on a worker, so many times with its worker lost."""

    trial_s: float | None = None
    max_retries: int = 3


@dataclass(frozen=True)
class CodeError:
    """An error that a trial's code raised: where, for comparing it with another, and all of it, to be shown."""

    where: str  # the kind of error, with the file and line that raised it
    traceback: str


@dataclass(frozen=True)
class TaskFailure:
    """Why a sweep was ended for the task's sake: one line, and the traceback."""

    message: str
    traceback: str


class Rules:
    """Remembers, for as long as a sweep lasts, what its trials ran into."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._lost: Counter[int] = Counter()
        self._alone: set[int] = set()
        self._errors: list[CodeError] = []

    def is_alone(self, number: int) -> bool:
        """Whether a trial is to have the machine to itself."""
        return number in self._alone

    def runs_again(self, number: int, result: TrialResult) -> bool:
        """Whether a trial that came back with this result is to run once more."""
        if result.reason != Reason.OUT_OF_MEMORY or number in self._alone:
            return False
        self._alone.add(number)
        return True

    def lost(self, number: int, error: str) -> TrialResult | None:
        """What becomes of a trial whose worker died with this error: its result, or None where it runs again."""
        if WORN_OUT in error:
            return None
        if "low on memory" in error:  # in the words of Ray's memory monitor, which ends the largest worker
            out = TrialResult("failed", reason=Reason.OUT_OF_MEMORY, message="the machine's memory was used up")
            return None if self.runs_again(number, out) else out
        self._lost[number] += 1
        if self._lost[number] <= self.limits.max_retries:
            return None
        times = "once" if self._lost[number] == 1 else f"{self._lost[number]} times"
        message = f"its worker died {times}: killed, or out of the machine's memory"
        return TrialResult("failed", reason=Reason.CRASHED, message=message)

    def timed_out(self, seconds: float) -> TrialResult:
        message = f"it ran for {seconds:.0f} s, and --trial-time-limit allows {self.limits.trial_s:g} s"
        return TrialResult("failed", reason=Reason.TIMED_OUT, message=message, train_seconds=seconds)

    def trouble(self, result: TrialResult, error: CodeError | None) -> TaskFailure | None:
        """What ends the sweep, once the same error came from one trial after the other."""
        if result.reason != Reason.CRASHED or error is None:
            self._errors.clear()
            return None
        if self._errors and self._errors[-1].where != error.where:
            self._errors.clear()
        self._errors.append(error)
        if len(self._errors) < _SAME_ERROR:
            return None
        message = f"the same error ended {_SAME_ERROR} trials in a row, and with them the sweep ({result.message})"
        return TaskFailure(message, error.traceback)

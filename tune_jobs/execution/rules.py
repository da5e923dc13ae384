"""What happens to a trial that did not end well: whether it runs again, how, and when the sweep itself stops.

| what happened | rule |
| --- | --- |
| diverged, invalid | failed at once: it would end the same way again |
| out of memory | runs once more, on a fresh worker with no other trial beside it; then failed |
| its worker or its node died | runs again on another worker, `max_retries` times; then failed as crashed |
| workers die while they start | three in a row stop the sweep, with what the last one said |
| longer than `time_limit_s` | failed as timed out; a worker that does not come back is killed |
| its code raised | failed as crashed; the same error three times in a row stops the sweep |
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tune_jobs.errors import Reason
from tune_jobs.records.trials import TrialResult

WORN_OUT = "this worker has run its share of trials"  # the error by which a worker makes room for a fresh one

_SAME_ERROR_LIMIT = 3  # in a row: the task is at fault, not its params
_DEAD_AT_START_LIMIT = 3  # workers in a row
_RAY_NODE_DIED = "node has died"  # in the error of a worker whose machine is gone
_RAY_LOW_MEMORY = "low on memory"  # in the error of Ray's memory monitor, which kills the largest worker


@dataclass(frozen=True)
class TrialLimits:
    """How long one trial may run, in seconds on its worker, and how often it may lose its worker."""

    time_limit_s: float | None = None
    max_retries: int = 3


@dataclass(frozen=True)
class CodeError:
    """An error that a trial's code raised."""

    where: str  # the type of the error, with the file and line that raised it: equal for the same error
    traceback: str


@dataclass(frozen=True)
class TaskFailure:
    """Why a sweep stopped because of its task, or how all its trials failed, or all finalists of an evaluation."""

    message: str  # one line
    traceback: str | None = None
    reason: str = Reason.CRASHED
    is_early: bool = True  # it stopped the sweep
    is_of_evaluation: bool = False


@dataclass(frozen=True)
class Failures:
    """What went wrong with the trials of a sweep. `first` is the error of the first that failed, if its code raised."""

    stopped: TaskFailure | None = None
    first: CodeError | None = None


class FailureRules:
    """Decides about failed trials, and remembers their failures for as long as a sweep lasts."""

    def __init__(self, limits: TrialLimits) -> None:
        self._limits = limits
        self._lost_workers: Counter[int] = Counter()
        self._alone: set[int] = set()
        self._errors: list[CodeError] = []
        self._n_dead_at_start = 0  # since a worker was ready to train

    def runs_alone(self, number: int) -> bool:
        """Return True if no other trial may run beside this one."""
        return number in self._alone

    def runs_again(self, number: int, result: TrialResult) -> bool:
        """Return True if a trial with this result runs once more, alone."""
        if result.reason != Reason.OUT_OF_MEMORY or number in self._alone:
            return False
        self._alone.add(number)
        return True

    def worker_started(self) -> None:
        """Note that a worker is ready to train."""
        self._n_dead_at_start = 0

    def dead_at_start(self, error: str, last_words: str | None) -> str | None:
        """Note that a worker died before it could train. Return why the sweep has to stop, once several in a row did.

        Such a worker cannot import what it needs, most often, and no other could.
        """
        if any(known in error for known in (WORN_OUT, _RAY_LOW_MEMORY, _RAY_NODE_DIED)):
            return None
        self._n_dead_at_start += 1
        if self._n_dead_at_start < _DEAD_AT_START_LIMIT:
            return None
        why = last_words or "no message is left; they were killed, or a package that they import ends its process"
        return f"{self._n_dead_at_start} workers in a row died while they started: {why}"

    def worker_lost(self, number: int, error: str, last_words: str | None = None) -> TrialResult | None:
        """Return the result of a trial whose worker died with this error; None if the trial runs again."""
        if WORN_OUT in error:
            return None
        if _RAY_LOW_MEMORY in error:
            result = TrialResult("failed", reason=Reason.OUT_OF_MEMORY, message="the machine ran out of memory")
            return None if self.runs_again(number, result) else result
        self._lost_workers[number] += 1
        n_lost = self._lost_workers[number]
        if n_lost <= self._limits.max_retries:
            return None
        times = "once" if n_lost == 1 else f"{n_lost} times"
        message = f"its worker died {times}: {last_words or 'it was killed, or the machine ran out of memory'}"
        return TrialResult("failed", reason=Reason.CRASHED, message=message)

    def is_over_time(self, seconds: float) -> bool:
        """Return True if a trial that has run for so long has to end."""
        return self._limits.time_limit_s is not None and seconds > self._limits.time_limit_s

    def timed_out(self, seconds: float) -> TrialResult:
        """Return the result of a trial that ran for too long."""
        message = f"it ran for {seconds:.0f} s; --trial-time-limit allows {self._limits.time_limit_s:g} s"
        return TrialResult("failed", reason=Reason.TIMED_OUT, message=message, train_seconds=seconds)

    def task_failure(self, result: TrialResult, error: CodeError | None) -> TaskFailure | None:
        """Note how a trial ended. Return why the sweep has to stop, once one error ended several trials in a row."""
        if result.reason != Reason.CRASHED or error is None:
            self._errors.clear()
            return None
        if self._errors and self._errors[-1].where != error.where:
            self._errors.clear()
        self._errors.append(error)
        if len(self._errors) < _SAME_ERROR_LIMIT:
            return None
        message = f"the sweep stopped: the same error ended {_SAME_ERROR_LIMIT} trials in a row ({result.message})"
        return TaskFailure(message, error.traceback)

"""The state of a sweep while Tune runs it: which of Tune's trials is which of the study's, and what happens to each.

It knows nothing of Ray, so that it can be read and tested without.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from tune_jobs.errors import Reason, UserError
from tune_jobs.execution.messages import Assignment, StepReport
from tune_jobs.execution.placement import Instruction, Placement
from tune_jobs.execution.rules import CodeError, FailureRules, Failures, TrialLimits
from tune_jobs.execution.trial_ledger import TrialLedger
from tune_jobs.execution.trial_queue import SearchStrategy, TrialQueue
from tune_jobs.live.activity import NO_FREE_SLOT, Activity, Node
from tune_jobs.live.signals import Interruption
from tune_jobs.records.trials import Spent, TrialRecord, TrialResult

_ACTIVITY_S = 1.0  # between two reports of the activity


class Watcher(Protocol):
    """Shows how a sweep goes. The driver's loop calls it, so that each method has to return at once."""

    def trial_started(self, trial: TrialRecord) -> None: ...
    def epoch_ended(self, trial: TrialRecord, epoch: int, metrics: Mapping[str, float]) -> None: ...
    def trial_ended(self, trial: TrialRecord) -> None: ...
    def activity_changed(self, activity: Activity) -> None: ...


@dataclass(frozen=True)
class SweepLimits:
    """How far a sweep goes."""

    trials: int | None = None  # searched trials of the study in all; None: as many as the sampler proposes
    time_limit_s: float | None = None
    per_trial: TrialLimits = field(default_factory=TrialLimits)
    overtime_s: float = 5.0  # past its time limit, before a trial's worker is killed: most return and stay warm


@dataclass
class _ActiveTrial:
    """A trial that Tune holds: pending, or on a worker since `since` on the monotonic clock."""

    trial: TrialRecord
    assignment: Assignment
    since: float | None = None
    scores: list[float] = field(default_factory=list)  # the objective after each epoch
    is_killed_for_time: bool = False
    spent: Spent | None = None  # in this assignment, as its worker said last
    n_rungs: int = 0  # of images, that are behind it

    @property
    def number(self) -> int:
        return self.trial.number

    @property
    def images(self) -> int | None:
        """On how many images a trial in a rung trains; None before it starts, and on all of them."""
        rungs = self.assignment.rungs[self.n_rungs :]
        return None if self.since is None or not rungs else rungs[0]

    @property
    def seconds(self) -> float:
        return 0.0 if self.since is None else time.monotonic() - self.since


class Sweep:
    """A study that is being run. `tune_id` is Tune's id of a trial, which changes when a trial runs again."""

    def __init__(
        self,
        ledger: TrialLedger,
        strategy: SearchStrategy,
        limits: SweepLimits,
        placement: Placement,
        watcher: Watcher,
        interruption: Interruption,
    ) -> None:
        self.failure: BaseException | None = None  # an error in this process, which the driver raises
        self.failures = Failures()
        self._ledger, self._strategy, self.placement = ledger, strategy, placement
        self._watcher, self._interruption = watcher, interruption
        self._queue = TrialQueue(ledger, strategy, limits.trials)
        self._overtime_s = limits.overtime_s
        self._rules = FailureRules(limits.per_trial)
        self._active: dict[str, _ActiveTrial] = {}  # by Tune's ids
        self._spent: dict[int, Spent] = {}  # in assignments that are over, by the numbers of trials
        self._has_failed = False  # a trial
        self._continuing: set[int] = set()  # members that paused under this driver: no new attempt when they go on
        self._time_limit_s = limits.time_limit_s
        self._activity_reported = 0.0
        self.count_from_now()

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune pickles what it is given, for a resumption that this program does not use."""
        return {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Sweep:
        """Return this very sweep: Tune copies what it is given, and this object is the only state."""
        return self

    def count_from_now(self) -> None:
        """Count the time limit from now on."""
        self._deadline = None if self._time_limit_s is None else time.monotonic() + self._time_limit_s

    @property
    def has_work(self) -> bool:
        """True if a trial waits, or the search may propose one."""
        return self._queue.has_more

    @property
    def is_over(self) -> bool:
        """True if Tune has to end now."""
        is_late = self._deadline is not None and time.monotonic() >= self._deadline
        is_broken = self.failure is not None or self.failures.stopped is not None
        is_drained = self._interruption.is_draining and not self._training
        # Tune would wait for parked workers for ever
        is_parked = self.placement.has_parked and not self._active and not self.has_work
        return is_late or self._interruption.is_set or is_broken or is_drained or is_parked

    @property
    def is_exhausted(self) -> bool:
        """True if no trial will follow. A trial that still runs may lose its worker, and would then run again."""
        return self.is_over or not (self._active or self._queue.queued)

    @property
    def pending(self) -> list[str]:
        """Tune's ids of the trials that it holds and that have not started, the oldest first."""
        return [tune_id for tune_id, active in self._active.items() if active.since is None]

    @property
    def _training(self) -> set[str]:
        return {tune_id for tune_id, active in self._active.items() if active.since is not None}

    def next_assignment(self, tune_id: str) -> Assignment | None:
        """Return what Tune is to give a worker next; None if there is nothing now (see `is_exhausted`)."""
        if self.is_over or self._interruption.is_draining or len(self._active) >= self.placement.submitted:
            return None
        if any(self._rules.runs_alone(active.number) for active in self._active.values()):
            return None
        queued = self._queue.queued
        if queued and self._rules.runs_alone(queued[0].number) and self._active:
            return None
        trial = self._queue.pop(is_idle=not self._active)
        if trial is None:
            return None
        assignment = self._assignment(trial)
        self._active[tune_id] = _ActiveTrial(trial, assignment)
        return assignment

    def _assignment(self, trial: TrialRecord) -> Assignment:
        number = trial.number
        if self._strategy.population is not None:
            assignment = self._strategy.population.assignment(number)
        else:
            milestones = self._strategy.milestones(trial)
            start = self._ledger.checkpoint(number)
            rungs = self._strategy.rungs(trial) if start is None else ()  # it was on all images already
            assignment = Assignment(dict(trial.params), trial.seed, number, milestones, start=start, rungs=rungs)
        slots, is_alone = self.placement.slots, self._rules.runs_alone(number)
        return replace(assignment, fresh=is_alone, cpus=slots.cpus, gpus=slots.gpus)

    def worker_ready(self, tune_id: str, report: StepReport) -> Instruction:
        """Instruct a worker that reports where it is. Its trial starts once the worker is ready to train there."""
        if self.placement.is_parked(tune_id):
            return "end" if self.placement.unpark(tune_id) else "train"
        active = self._active.get(tune_id)
        if active is None or report.place is None:
            return "end"
        instruction: Instruction = "end"
        if not self._interruption.is_draining and not self.is_over:
            instruction = self.placement.instruct(tune_id, active.assignment, report.place, is_ready=report.is_ready)
        if instruction != "train":
            self._queue.put_back(self._active.pop(tune_id).trial)
        elif report.is_ready:
            self._rules.worker_started()
            active.since = time.monotonic()
            if active.number not in self._continuing:
                active.trial = self._ledger.start(active.trial, str(report.place))
            self.placement.trial_started(active.number, report.place)
            self._watcher.trial_started(active.trial)
        return instruction

    def take_report(self, tune_id: str, report: StepReport) -> bool:
        """Record what a step reported. Return True if the trial ends on this worker, for good or for now.

        Raises:
            UserError: if the worker cannot prepare the task; another worker would not fare better.
        """
        active = self._active.get(tune_id)
        if active is None:
            return True
        if report.refusal is not None:
            raise UserError(f"a worker could not prepare the task: {report.refusal}")
        self.placement.record_figures(active.number, report.figures)
        active.spent = report.spent or active.spent
        active.n_rungs = active.n_rungs if report.so_far is None else len(report.so_far.rungs)
        self._record_epochs(active, report)
        result = report.result or self._early_result(active, report)
        if result is not None:
            self._release(tune_id)
            self._settle(active, result, report)
            return True
        if report.is_paused and self._strategy.population is not None:
            self._release(tune_id)
            self._continuing.add(active.number)
            self._strategy.population.pause(active.trial)
            return True
        return False

    def _record_epochs(self, active: _ActiveTrial, report: StepReport) -> None:
        for epoch, metrics in report.epochs:
            score = metrics.get(self._ledger.metric, math.nan)  # a loop of the task's own may score some epochs only
            self._watcher.epoch_ended(active.trial, epoch, metrics)
            active.scores.append(score)
            if math.isnan(score):
                continue
            if report.result is None:  # a result brings its epochs with it
                self._ledger.note_epoch(active.number, epoch, score)
            if self._strategy.population is not None:
                self._strategy.population.record_score(active.number, epoch, score)

    def _early_result(self, active: _ActiveTrial, report: StepReport) -> TrialResult | None:
        """Return the result of a trial that its time limit or the scheduler ends here; None if it continues."""
        if self._rules.is_over_time(active.seconds):
            return self._rules.timed_out(active.seconds)
        scheduler = self._strategy.scheduler
        if report.so_far is None or report.so_far.score is None or scheduler is None:
            return None
        rungs = report.so_far.rungs
        if not scheduler.should_stop(active.number, [rung.score for rung in rungs] or active.scores):
            return None
        after = f"on {rungs[-1].images:,} images" if rungs else f"after {self._ledger.step} {len(active.scores)}"
        message = f"behind the others {after}"
        return replace(report.so_far, reason="scheduler", message=message)

    def _settle(self, active: _ActiveTrial, result: TrialResult, report: StepReport) -> None:
        """Finish a trial that has this result, or let it run again."""
        if report.result is not None and result.state != "failed":
            self.placement.packing.record_usage(report.usage)
        if self._runs_again(active, result):
            self._queue.put_back(active.trial)
        else:
            stopped = self._rules.task_failure(result, report.error)
            self.failures = replace(self.failures, stopped=stopped)
            self._finish(active.trial, result, report.error)

    def _runs_again(self, active: _ActiveTrial, result: TrialResult) -> bool:
        """Return True if a trial that ran out of memory runs again: with fewer beside it, or alone."""
        cpus, gpus = active.assignment.cpus, active.assignment.gpus
        if result.reason == Reason.OUT_OF_MEMORY and self.placement.packing.make_room(cpus, gpus):
            return True
        return self._rules.runs_again(active.number, result)

    def _release(self, tune_id: str) -> _ActiveTrial | None:
        active = self._active.pop(tune_id, None)
        if active is not None:
            self.placement.trial_ended(active.number)
            if active.spent is not None:
                before = self._spent.get(active.number)
                self._spent[active.number] = active.spent if before is None else before.plus(active.spent)
        return active

    def worker_lost(self, tune_id: str, error: str, last_words: str | None = None) -> None:
        """Decide about a trial whose worker died with this error, before the trial started or while it ran.

        Tune's own retries do not serve here: Tune gives up a trial whose worker dies between two trials.

        Raises:
            UserError: if one worker after the other dies while it starts; the next would not fare better.
        """
        self.placement.worker_lost(tune_id)
        active = self._release(tune_id)
        if active is None:
            return
        self._continuing.discard(active.number)
        if active.since is None and (why := self._rules.dead_at_start(error, last_words)) is not None:
            raise UserError(why)
        if active.is_killed_for_time:
            result: TrialResult | None = self._rules.timed_out(active.seconds)
        else:
            words = last_words if active.since is None else None  # else those of earlier trials may be among them
            result = self._rules.worker_lost(active.number, error, words)
        if result is None:
            self._queue.put_back(active.trial)
        else:
            self._finish(active.trial, result)

    def overdue(self) -> list[str]:
        """Return Tune's ids of the trials whose workers are to be killed, since they did not return in time."""
        late = [
            tune_id
            for tune_id, active in self._active.items()
            if self._rules.is_over_time(active.seconds - self._overtime_s)
        ]
        for tune_id in late:
            self._active[tune_id].is_killed_for_time = True
        return late

    def _finish(self, trial: TrialRecord, result: TrialResult, error: CodeError | None = None) -> None:
        if result.state == "failed" and not self._has_failed:
            self._has_failed = True
            self.failures = replace(self.failures, first=error)
        trial = self._ledger.finish(trial, result, self._spent.pop(trial.number, Spent(0.0)))
        self._queue.trial_ended(trial)
        if self._strategy.scheduler is not None:
            self._strategy.scheduler.tell(trial)
        self._watcher.trial_ended(trial)

    def report_activity(self, alive_nodes: Callable[[], tuple[Node, ...]]) -> None:
        """Tell the watcher what runs where and why the rest waits, at most once a second."""
        if time.monotonic() - self._activity_reported < _ACTIVITY_S:
            return
        self._activity_reported = time.monotonic()
        nodes = alive_nodes()
        packing, devices = str(self.placement.packing), self.placement.devices(nodes)
        images = {active.number: active.images for active in self._active.values() if active.images is not None}
        self._watcher.activity_changed(Activity(self._waiting_reasons(), packing, nodes, devices, images=images))

    def _waiting_reasons(self) -> dict[int, str]:
        """Return why each trial waits, by its number."""
        count = self.placement.count
        busy = f"{NO_FREE_SLOT}: {count} at once, {self.placement.slots} each"
        if not count:
            gpus = self.placement.slots.gpus
            left = f"no {gpus:g} GPUs are left together" if gpus > 1 else "all devices are drained"
            busy = f"{left}; `tune-jobs undrain` gives back what is drained"
        pending = [self._active[tune_id].number for tune_id in self.pending]
        n_free = max(0, count - len(self._training))
        reasons = dict.fromkeys(pending[:n_free], "its worker is starting") | dict.fromkeys(pending[n_free:], busy)
        reasons |= dict.fromkeys(self._queue.at_boundary, "waiting for the rest of its population")
        for trial in self._queue.queued:
            is_alone = self._rules.runs_alone(trial.number)
            reasons[trial.number] = "it ran out of memory and waits to run again, alone" if is_alone else busy
        return reasons

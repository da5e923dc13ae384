"""What the driver knows while Tune runs: which of Tune's trials is which of the study's, what runs next and what became
of the rest. Knows nothing of Ray, so that it can be read, and tested, without.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from tune_jobs.errors import Reason, UserError
from tune_jobs.execution.messages import Assignment, StepReport
from tune_jobs.execution.placement import Answer, Placement
from tune_jobs.execution.populations import Population
from tune_jobs.execution.rules import Limits, Rules, TaskFailure
from tune_jobs.live.activity import Activity, Node
from tune_jobs.live.signals import Interruption
from tune_jobs.records.trials import TrialRecord, TrialResult
from tune_jobs.search.candidates import Sampler
from tune_jobs.search.schedulers import Scheduler
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.study.study import Study
from tune_jobs.training.checkpoints import CheckpointFolder, key

_MERCY_S = 5.0  # beyond its time limit, before a trial's worker is ended: most come back by themselves and stay warm
_LOOK_S = 1.0  # between two looks at what waits and why


class Watcher(Protocol):
    """Whoever shows how the sweep goes. Called from the driver's loop: it must answer at once."""

    def started(self, trial: TrialRecord) -> None: ...
    def progressed(self, trial: TrialRecord, epoch: int, metrics: Mapping[str, float]) -> None: ...
    def ended(self, trial: TrialRecord) -> None: ...
    def looked(self, activity: Activity) -> None:
        """What runs where, and why the rest does not yet."""


@dataclass(frozen=True)
class SweepLimits:
    """How far a sweep goes: `trials` is the study's total of searched ones, None as many as the search finds."""

    space: AnySpace
    trials: int | None
    time_limit_s: float | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass
class _ActiveTrial:
    """A trial that Tune has: at hand to begin, or on a worker since `since` on the monotonic clock."""

    trial: TrialRecord
    turn: Assignment
    since: float | None = None
    scores: list[float] = field(default_factory=list)  # the objective after each epoch
    is_ended_for_time: bool = False

    @property
    def seconds(self) -> float:
        return 0.0 if self.since is None else time.monotonic() - self.since


class Sweep:
    """A study that is being run."""

    def __init__(
        self,
        study: Study,
        sampler: Sampler,
        scheduler: Scheduler | None,
        extent: SweepLimits,
        placement: Placement,
        cpus: float,
        watcher: Watcher,
        interruption: Interruption,
        checkpoints: CheckpointFolder | None = None,
        breeding: Population | None = None,
    ) -> None:
        self.failure: BaseException | None = None
        self.trouble: TaskFailure | None = None
        self._study, self._sampler, self._scheduler = study, sampler, scheduler
        self._extent, self._placement, self._cpus = extent, placement, cpus
        self._watcher, self._interruption = watcher, interruption
        self._checkpoints = checkpoints
        self._breeding = breeding
        self._rules = Rules(extent.limits)
        self._again: deque[TrialRecord] = deque(study.unfinished())
        self._under_way: set[int] = set()  # members of a population that came to a boundary under this driver
        if breeding is not None:
            for trial in self._again:
                breeding.join(trial)
            self._again = deque(trial for trial in self._again if trial.number not in breeding.waiting)
        self._going: dict[str, _ActiveTrial] = {}  # by Tune's ids
        self._sampler_exhausted = False
        self._begun = len(study.record().searched)
        self._metric = study.terms.objective.metric
        self._deadline = None if extent.time_limit_s is None else time.monotonic() + extent.time_limit_s
        self._looked = 0.0

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles and copies what it is given, for a resumption that is not used here."""
        return {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Sweep:
        return self

    @property
    def placement(self) -> Placement:
        return self._placement

    @property
    def has_work(self) -> bool:
        is_population = self._breeding is not None and bool(self._breeding.waiting)
        is_open = self._extent.trials is None or self._begun < self._extent.trials
        return bool(self._again) or is_population or (is_open and not self._sampler_exhausted)

    @property
    def is_over(self) -> bool:
        is_late = self._deadline is not None and time.monotonic() >= self._deadline
        is_broken = self.failure is not None or self.trouble is not None
        is_all = self._placement.is_holding and not self._going and not self.has_work
        return is_late or self._interruption.is_set or is_broken or is_all or self._is_drained

    @property
    def _is_drained(self) -> bool:
        """Whether a drain was asked for and nothing trains any more."""
        return self._interruption.is_draining and not self._on_workers

    @property
    def at_hand(self) -> list[str]:
        """Tune's ids of the trials that it has and that have not begun, the oldest first."""
        return [tune_id for tune_id, going in self._going.items() if going.since is None]

    @property
    def _on_workers(self) -> set[str]:
        return {tune_id for tune_id, going in self._going.items() if going.since is not None}

    def next(self, tune_id: str) -> Assignment | None:
        """The turn that Tune is to give a worker next; None where there is none now, which is the end if `is_done`: as
        long as a trial runs, it may lose its worker and be the next one."""
        if self.is_over or self._interruption.is_draining or len(self._going) >= self._placement.held:
            return None
        if any(self._rules.is_alone(going.trial.number) for going in self._going.values()):
            return None
        if self._again and self._rules.is_alone(self._again[0].number) and self._going:
            return None
        trial = self._again.popleft() if self._again else self._ask() or self._bred()
        if trial is None:
            return None
        slots, fresh = self._placement.slots, self._rules.is_alone(trial.number)
        turn = replace(self._turn(trial), fresh=fresh, cpus=slots.cpus, gpus=slots.gpus)
        self._going[tune_id] = _ActiveTrial(trial, turn)
        return turn

    def _turn(self, trial: TrialRecord) -> Assignment:
        if self._breeding is not None:
            return self._breeding.turn(trial.number)
        milestones = () if self._scheduler is None else self._scheduler.milestones(trial.number)
        name = key(trial.number)
        start = name if self._checkpoints is not None and self._checkpoints.has(name) else None
        return Assignment(dict(trial.params), trial.seed, trial.number, milestones, start=start)

    def _bred(self) -> TrialRecord | None:
        """A member of the population that may go on, once all have come to a boundary and no other is to begin."""
        if self._breeding is None or self._going:
            return None
        self._again.extend(self._breeding.moved_on())
        return self._again.popleft() if self._again else None

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to be run."""
        return self.is_over or not (self._going or self._again)

    def _ask(self) -> TrialRecord | None:
        if self._sampler_exhausted or (self._extent.trials is not None and self._begun >= self._extent.trials):
            return None
        candidate = self._sampler.ask()
        if candidate is None:
            self._sampler_exhausted = True
            return None
        self._begun += 1
        trial = self._study.add(self._extent.space, candidate.params, candidate.seed)
        if self._breeding is not None:
            self._breeding.join(trial)
        return trial

    def worker_ready(self, tune_id: str, report: StepReport) -> Answer:
        """What a worker is to do that says where it is; its trial begins when it is ready to train there."""
        if self._placement.parks(tune_id):
            return "end" if self._placement.returns(tune_id) else "train"
        going = self._going.get(tune_id)
        if going is None or report.place is None:
            return "end"
        if self._interruption.is_draining or self.is_over:
            answer: Answer = "end"
        else:
            answer = self._placement.answer(tune_id, going.turn, report.place, is_ready=report.is_ready)
        if answer != "train":
            self._again.appendleft(self._going.pop(tune_id).trial)
        elif report.is_ready:
            going.since = time.monotonic()
            if going.trial.number not in self._under_way:
                going.trial = self._study.start(going.trial)
            self._placement.began(going.trial.number, report.place)
            self._watcher.started(going.trial)
        return answer

    def reported(self, tune_id: str, report: StepReport) -> bool:
        """Takes what a step brought; whether its trial is to end here."""
        going = self._going.get(tune_id)
        if going is None:
            return True
        if report.refusal is not None:
            raise UserError(f"a worker could not take up the task: {report.refusal}")
        self._placement.read(going.trial.number, report.figures)
        for epoch, metrics in report.epochs:
            self._watcher.progressed(going.trial, epoch, metrics)
            going.scores.append(metrics[self._metric])
            if report.result is None:
                self._study.note_epoch(going.trial.number, epoch, metrics[self._metric])
            if self._breeding is not None:
                self._breeding.noted(going.trial.number, epoch, metrics[self._metric])
        result = report.result or self._stopped(going, report)
        if report.is_paused and result is None and self._breeding is not None:
            self._left(tune_id)
            self._under_way.add(going.trial.number)
            self._breeding.paused(going.trial)
            return True
        if result is None:
            return False
        self._left(tune_id)
        if report.result is not None and result.state != "failed":
            self._placement.packing.measured(report.usage)
        if self._runs_again(going, result):
            self._again.appendleft(going.trial)
        else:
            self.trouble = self._rules.trouble(result, report.error)
            self._ended(going.trial, result)
        return True

    def _left(self, tune_id: str) -> _ActiveTrial | None:
        going = self._going.pop(tune_id, None)
        if going is not None:
            self._placement.ended(going.trial.number)
        return going

    def _runs_again(self, going: _ActiveTrial, result: TrialResult) -> bool:
        """Whether a trial that ran out of memory runs once more: with fewer beside it, or alone."""
        if result.reason == Reason.OUT_OF_MEMORY and self._placement.packing.ran_out(going.turn.cpus, going.turn.gpus):
            return True
        return self._rules.runs_again(going.trial.number, result)

    def _stopped(self, going: _ActiveTrial, report: StepReport) -> TrialResult | None:
        """The result of a trial that goes on no further though it could."""
        limit = self._extent.limits.trial_s
        if limit is not None and going.seconds > limit:
            return self._rules.timed_out(going.seconds)
        if report.so_far is None or self._scheduler is None:
            return None
        if not self._scheduler.stops(going.trial.number, going.scores):
            return None
        message = f"behind the others after epoch {len(going.scores)}"
        return replace(report.so_far, reason="scheduler", message=message)

    def lost(self, tune_id: str, error: str) -> None:
        """The trial's worker died with this error, before it began or while it ran.

        Tune's own retries are not for this: it gives a trial up whose worker dies between two trials.
        """
        self._placement.gone(tune_id)
        going = self._left(tune_id)
        if going is None:
            return
        self._under_way.discard(going.trial.number)
        if going.is_ended_for_time:
            self._ended(going.trial, self._rules.timed_out(going.seconds))
            return
        result = self._rules.lost(going.trial.number, error)
        if result is None:
            self._again.appendleft(going.trial)
        else:
            self._ended(going.trial, result)

    def overdue(self) -> list[str]:
        """Tune's ids of the trials whose workers are to be ended, since they did not come back in time."""
        limit = self._extent.limits.trial_s
        if limit is None:
            return []
        late = [tune_id for tune_id, going in self._going.items() if going.seconds > limit + _MERCY_S]
        for tune_id in late:
            self._going[tune_id].is_ended_for_time = True
        return late

    def look(self, nodes: Callable[[], tuple[Node, ...]]) -> None:
        """Tells the watcher what runs where and why what waits does, now and then."""
        if time.monotonic() - self._looked >= _LOOK_S:
            self._looked = time.monotonic()
            there = nodes()
            devices = self._placement.devices(there)
            self._watcher.looked(Activity(self._reasons(), str(self._placement.packing), there, devices))

    def _reasons(self) -> dict[int, str]:
        running, count = len(self._on_workers), self._placement.count
        busy = f"no room: {count} at once, of {self._placement.slots} each"
        if not count:
            busy = "all devices are drained: `tune-jobs undrain` gives them back"
        at_hand = [self._going[tune_id].trial.number for tune_id in self.at_hand]
        room = max(0, count - running)
        reasons = dict.fromkeys(at_hand[:room], "its worker is starting") | dict.fromkeys(at_hand[room:], busy)
        waiting = set() if self._breeding is None else self._breeding.waiting
        reasons |= dict.fromkeys(waiting, "it waits for the others of its population")
        for trial in self._again:
            alone = self._rules.is_alone(trial.number)
            reasons[trial.number] = "it ran out of memory: waits to run once more, alone" if alone else busy
        return reasons

    def _ended(self, trial: TrialRecord, result: TrialResult) -> None:
        trial = self._study.finish(trial, result, self._cpus)
        if self._checkpoints is not None:
            self._checkpoints.drop(key(trial.number))
        if self._breeding is not None:
            self._breeding.left(trial.number)
        self._sampler.tell(trial)
        if self._scheduler is not None:
            self._scheduler.tell(trial)
        self._sampler_exhausted = False
        self._watcher.ended(trial)

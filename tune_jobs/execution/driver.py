"""Runs a study on Ray Tune: asks for params, dispatches trials, records what comes back.

The study decides and remembers; Tune places trials on workers, keeps the workers warm, and is forgotten afterwards.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import ray
from ray import tune
from ray.tune.search import Searcher

from search_spaces.one_factor import AnySpace
from tune_jobs.candidates import Sampler
from tune_jobs.errors import Reason, UserError
from tune_jobs.execution.cluster import Slots
from tune_jobs.execution.worker import Job, TrialActor
from tune_jobs.interruption import Interruption
from tune_jobs.records import TrialRecord
from tune_jobs.study import Study
from tune_jobs.trial import TrialResult

_FINISHED: str = Searcher.FINISHED
_RERUNS = 3  # of a trial whose worker is lost, one of them for a worn-out worker; then the trial itself is to blame


class Watcher(Protocol):
    """Whoever shows how the sweep goes. Called from the driver's loop: it must answer at once."""

    def started(self, trial: TrialRecord) -> None: ...
    def progressed(self, trial: TrialRecord, epoch: int, metrics: dict[str, float]) -> None: ...
    def ended(self, trial: TrialRecord) -> None: ...


@dataclass(frozen=True)
class Extent:
    """How far a sweep goes: `trials` is the study's total of searched ones, None as many as the search finds."""

    space: AnySpace
    slots: Slots
    trials: int | None
    time_limit_s: float | None = None


def run_sweep(
    study: Study, sampler: Sampler, extent: Extent, job: Job, watcher: Watcher, interruption: Interruption
) -> None:
    """Runs the study's unfinished trials and new ones until the extent is reached, the time is up or it is interrupted.

    Needs a connection to Ray (`cluster.cluster`). What did not finish stays in the study and runs next time.
    """
    sweep = _Sweep(study, sampler, extent, job, watcher, interruption)
    if not sweep.has_work:
        return
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(extent.slots.count + 1)
    folder = tempfile.mkdtemp(prefix="tune-jobs-ray-")  # Tune insists on one; nothing in it is read again
    try:
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(TrialActor, job=job), extent.slots.resources),
            tune_config=tune.TuneConfig(search_alg=_Searcher(sweep), num_samples=-1, reuse_actors=True),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=folder,
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                callbacks=[_Callback(sweep)],
            ),
        )
        tuner.fit()
    except _Over:
        pass
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if sweep.failure is not None:
        raise sweep.failure


@dataclass
class _Sweep:
    """What the driver knows while Tune runs: which of Tune's trials is which of the study's."""

    study: Study
    sampler: Sampler
    extent: Extent
    job: Job
    watcher: Watcher
    interruption: Interruption
    failure: BaseException | None = None
    _trials: dict[str, TrialRecord] = field(default_factory=dict)
    _again: deque[TrialRecord] = field(default_factory=deque)
    _lost: Counter[int] = field(default_factory=Counter)  # how often each trial lost its worker
    _started: set[str] = field(default_factory=set)  # Tune's trials that train now
    _drained: set[str] | None = None  # of these, those that a drain waits for
    _is_asked_out: bool = False
    _begun: int = 0
    _deadline: float | None = None
    _metric: str = ""

    def __post_init__(self) -> None:
        self._again = deque(self.study.unfinished())
        self._begun = len(self.study.record().searched)
        self._metric = self.study.terms.objective.metric
        if self.extent.time_limit_s is not None:
            self._deadline = time.monotonic() + self.extent.time_limit_s

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles and copies what it is given, for a resumption that is not used here."""
        return {}

    def __deepcopy__(self, memo: dict[int, Any]) -> _Sweep:
        return self

    @property
    def has_work(self) -> bool:
        return bool(self._again) or self.extent.trials is None or self._begun < self.extent.trials

    @property
    def is_over(self) -> bool:
        is_late = self._deadline is not None and time.monotonic() >= self._deadline
        return is_late or self.interruption.is_set or self.failure is not None or self._is_drained

    @property
    def _is_drained(self) -> bool:
        """Whether all has ended that trained when the drain was asked for; what Tune had at hand to begin next, and may
        have begun, is given up."""
        if not self.interruption.is_draining:
            return False
        if self._drained is None:
            self._drained = set(self._started)
        return not self._drained & self._started

    def next(self, tune_id: str) -> TrialRecord | str | None:
        """The trial that Tune is to run next, `_FINISHED` when there is none, None to ask again later: as long as a
        trial runs, it may lose its worker and be the next one."""
        if self.is_over:
            return _FINISHED
        if self.interruption.is_draining:
            return None
        if len(self._trials) >= self.extent.slots.held:
            return None
        trial = self._again.popleft() if self._again else self._ask()
        if trial is None:
            return None if self._trials else _FINISHED
        self._trials[tune_id] = trial
        return trial

    def _ask(self) -> TrialRecord | None:
        if self._is_asked_out or (self.extent.trials is not None and self._begun >= self.extent.trials):
            return None
        candidate = self.sampler.ask()
        if candidate is None:
            self._is_asked_out = True
            return None
        self._begun += 1
        return self.study.add(self.extent.space, candidate.params, candidate.seed)

    def started(self, tune_id: str) -> None:
        self._trials[tune_id] = trial = self.study.start(self._trials[tune_id])
        self._started.add(tune_id)
        self.watcher.started(trial)

    def reported(self, tune_id: str, message: dict[str, Any]) -> None:
        if tune_id not in self._trials:
            return
        if message["refusal"] is not None:
            raise UserError(f"a worker could not take up the task: {message['refusal']}")
        trial, result = self._trials[tune_id], message["result"]
        for epoch, metrics in message["epochs"]:
            self.watcher.progressed(trial, epoch, metrics)
            if result is None:
                self.study.note_epoch(trial.number, epoch, metrics[self._metric])
        if result is not None:
            self._started.discard(tune_id)
            self.ended(self._trials.pop(tune_id), TrialResult(**result))

    def lost(self, tune_id: str) -> None:
        """The trial's worker died, before it began or while it ran.

        Tune's own retries are not for this: it gives a trial up whose worker dies between two trials.
        """
        trial = self._trials.pop(tune_id, None)
        self._started.discard(tune_id)
        if trial is None:
            return
        self._lost[trial.number] += 1
        if self._lost[trial.number] <= _RERUNS:
            self._again.appendleft(trial)
            return
        message = f"its worker died {self._lost[trial.number]} times: killed, or out of the machine's memory"
        self.ended(trial, TrialResult("failed", reason=Reason.CRASHED, message=message))

    def ended(self, trial: TrialRecord, result: TrialResult) -> None:
        trial = self.study.finish(trial, result, self.job.cpus)
        self.sampler.tell(trial)
        self._is_asked_out = False
        self.watcher.ended(trial)


class _Over(BaseException):
    """Ends Tune at once. Not an `Exception`, for which Tune would first wait for every worker to come to a stop; they
    end with the connection to Ray, and what they had not finished is in the study."""


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    """Tune must not swallow or wrap what goes wrong in the study: it ends the sweep and is raised when Tune is gone."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            self._sweep.failure = self._sweep.failure or error
            return None

    return call


class _Searcher(Searcher):  # type: ignore[misc]
    def __init__(self, sweep: _Sweep) -> None:
        super().__init__(metric="training_iteration", mode="max")  # Tune insists on one; the study has the scores
        self._sweep = sweep

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        trial: TrialRecord | str | None = self._next(trial_id)
        if not isinstance(trial, TrialRecord):
            return trial
        return {"params": json.dumps(dict(trial.params)), "seed": trial.seed, "number": trial.number}

    @_guarded
    def _next(self, trial_id: str) -> TrialRecord | str | None:
        return self._sweep.next(trial_id)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Results are taken from the callback, which sees every one of them."""

    def save(self, checkpoint_path: str) -> None:
        """The study is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """The study is the state."""


class _Callback(tune.Callback):  # type: ignore[misc]
    def __init__(self, sweep: _Sweep) -> None:
        self._sweep = sweep

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if self._sweep.is_over:
            raise _Over

    @_guarded
    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._sweep.started(trial.trial_id)

    @_guarded
    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        self._sweep.reported(trial.trial_id, json.loads(result["message"]))

    @_guarded
    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        if not self._sweep.is_over and ray.is_initialized():
            self._sweep.lost(trial.trial_id)

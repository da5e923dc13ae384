"""Runs a study on Ray Tune: dispatches trials and hears what comes back.

The study decides and remembers (`sweep.py`); Tune places trials on workers, keeps the workers warm, and is forgotten
afterwards.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from tune_jobs.execution import nodes
from tune_jobs.execution.messages import Assignment, StepReport
from tune_jobs.execution.rules import TaskFailure
from tune_jobs.execution.sweep import Sweep
from tune_jobs.execution.worker import SweepJob, TrialActor

_FINISHED: str = Searcher.FINISHED


def run_sweep(sweep: Sweep, job: SweepJob) -> TaskFailure | None:
    """Runs the study's unfinished trials and new ones until the extent is reached, the time is up or it is interrupted;
    what ended it early for the task's sake, if anything did.

    Needs a connection to Ray (`cluster.cluster`). What did not finish stays in the study and runs next time.
    """
    if not sweep.has_work:
        return None
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(sweep.placement.packing.most + 1)
    folder = tempfile.mkdtemp(prefix="tune-jobs-ray-")  # Tune insists on one; nothing in it is read again
    try:
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(TrialActor, job=job), _resources),
            tune_config=tune.TuneConfig(
                search_alg=_Searcher(sweep), scheduler=_Judge(sweep), num_samples=-1, reuse_actors=True
            ),
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
    return sweep.trouble


def _resources(config: dict[str, Any]) -> tune.PlacementGroupFactory:
    return tune.PlacementGroupFactory([Assignment.from_config(config).resources])


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
    def __init__(self, sweep: Sweep) -> None:
        super().__init__(metric="training_iteration", mode="max")  # Tune insists on one; the study has the scores
        self._sweep = sweep

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        turn: Assignment | None = self._next(trial_id)
        if turn is not None:
            return turn.to_config()
        return _FINISHED if self._sweep.is_done else None

    @_guarded
    def _next(self, trial_id: str) -> Assignment | None:
        return self._sweep.next(trial_id)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Results are taken from the callback and the scheduler, which see every one of them."""

    def save(self, checkpoint_path: str) -> None:
        """The study is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """The study is the state."""


class _Judge(FIFOScheduler):  # type: ignore[misc]
    """Hands what a step brought to the sweep, which may end the trial there; the last step's goes to the callback,
    since Tune asks no scheduler about it."""

    def __init__(self, sweep: Sweep) -> None:
        super().__init__()
        self._sweep = sweep

    def choose_trial_to_run(self, controller: Any) -> Any:
        """Which trial takes a worker that is free: the oldest whose own is not starting yet. The worker that a trial
        has coming is ended when it takes another, so that, were it the oldest of all, with trials shorter than the
        start of a process a worker that is lost would never be replaced."""
        starting = set(controller._actor_manager.live_actors)
        waiting = {trial.trial_id: trial for trial in controller.get_live_trials() if trial.status == Trial.PENDING}
        at_hand = [waiting[tune_id] for tune_id in self._sweep.at_hand if tune_id in waiting]
        return next((trial for trial in at_hand if controller._trial_to_actor.get(trial) not in starting), None)

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        return str(TrialScheduler.STOP if self._is_to_end(trial, result) else TrialScheduler.CONTINUE)

    @_guarded
    def _is_to_end(self, trial: Any, result: dict[str, Any]) -> bool:
        report, tune_id = StepReport.from_result(result), trial.trial_id
        if report.place is None:
            return self._sweep.reported(tune_id, report)
        answer = self._sweep.worker_ready(tune_id, report)
        if answer == "leave":  # heard before the next step, which is called after it
            trial.temporary_state.ray_actor.leave.remote(parks=self._sweep.placement.parks(tune_id))
        return answer == "end"


class _Callback(tune.Callback):  # type: ignore[misc]
    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if self._sweep.is_over:
            raise _Over
        self._tend(trials)

    @_guarded
    def _tend(self, trials: list[Any]) -> None:
        late = set(self._sweep.overdue())
        for trial in trials if late else ():
            if trial.trial_id in late and trial.temporary_state.ray_actor is not None:
                ray.kill(trial.temporary_state.ray_actor)  # its error comes back as that of any worker that dies
        self._sweep.look(nodes.alive)

    @_guarded
    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        report = StepReport.from_result(result)
        if report.is_last:
            self._sweep.reported(trial.trial_id, report)

    @_guarded
    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        if not self._sweep.is_over and ray.is_initialized():
            self._sweep.lost(trial.trial_id, trial.get_error() or "")

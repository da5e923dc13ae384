"""Runs a sweep on Ray Tune: hands it trials and takes what their workers report.

The study decides and remembers (`sweep.py`). Tune places trials on workers and keeps the workers warm; nothing of its
own state is read again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import ray
from ray import tune
from ray.air._internal import usage
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from tune_jobs import temporary
from tune_jobs.execution import lost_workers, nodes, trainable
from tune_jobs.execution.messages import Assignment, StepReport
from tune_jobs.execution.rules import Failures
from tune_jobs.execution.sweep import Sweep
from tune_jobs.execution.worker import SweepContext

_FINISHED: str = Searcher.FINISHED


def run_sweep(sweep: Sweep, context: SweepContext) -> Failures:
    """Run the study's unfinished trials and new ones, up to the sweep's limits or until it is interrupted.

    Needs a connection to Ray (`cluster.connection`). Trials that did not finish stay in the study and run next time.
    Returns what went wrong with its trials.
    """
    if not sweep.has_work:
        return sweep.failures
    # for a searcher that is not its own, Tune lets one trial at a time wait for resources
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(sweep.placement.packing.max_slots + 1)
    workers = _Workers()
    try:
        with temporary.folder() as folder, trainable.actor_class(context) as actor, _callbacks_uncounted():
            _tuner(sweep, actor, workers, str(folder)).fit()  # Tune needs a folder; nothing in it is read again
    except _SweepOver:
        pass
    finally:
        _end(workers, context)
    if sweep.failure is not None:
        raise sweep.failure
    return sweep.failures


@contextmanager
def _callbacks_uncounted() -> Iterator[None]:
    """Keep Tune from importing MLflow to count callbacks that are MLflow's, for statistics that are turned off."""
    count = usage.tag_callbacks
    usage.tag_callbacks = lambda callbacks: False
    try:
        yield
    finally:
        usage.tag_callbacks = count


def _end(workers: _Workers, context: SweepContext) -> None:
    """End all processes of a sweep: a process that is connected to Ray for longer, as a notebook, would keep them."""
    if ray.is_initialized():
        with suppress(ray.exceptions.RayError, ConnectionError):  # Ray itself has ended
            workers.end()
            context.end_keepers()


def _tuner(sweep: Sweep, actor: type, workers: _Workers, folder: str) -> tune.Tuner:
    return tune.Tuner(
        actor,
        tune_config=tune.TuneConfig(
            search_alg=_SweepSearcher(sweep),
            scheduler=_SweepScheduler(sweep, workers),
            num_samples=-1,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="sweep",
            storage_path=folder,
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            callbacks=[_SweepCallback(sweep)],
        ),
    )


class _SweepOver(BaseException):
    """Ends Tune at once.

    It is not an `Exception`: for those Tune first waits until every worker stops. `_Workers` ends them, and the study
    has the trials that they did not finish.
    """


class _Workers:
    """The workers that Tune has, and the resources that it holds for them, which it keeps after an early end."""

    def __init__(self) -> None:
        self._manager: Any = None

    def __deepcopy__(self, memo: dict[int, Any]) -> _Workers:
        """Return this very object: Tune copies what it is given."""
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune pickles what it is given."""
        return {}

    def note(self, controller: Any) -> None:
        """Keep what holds the workers; it is private to Tune."""
        self._manager = controller._actor_manager

    def end(self) -> None:
        """Kill the workers that are left, and give their resources back."""
        if self._manager is not None:
            self._manager.cleanup()


def _keeps_failure(method: Callable[..., Any]) -> Callable[..., Any]:
    """Keep an error of our own as the sweep's failure, which ends it: Tune would swallow or wrap the error."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            self._sweep.failure = self._sweep.failure or error
            return None

    return call


class _SweepSearcher(Searcher):  # type: ignore[misc]
    """Gives Tune the trials of the sweep."""

    def __init__(self, sweep: Sweep) -> None:
        super().__init__(metric="training_iteration", mode="max")  # Tune needs a metric; the study has the scores
        self._sweep = sweep

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        assignment: Assignment | None = self._next_assignment(trial_id)
        if assignment is not None:
            return assignment.to_config()
        return _FINISHED if self._sweep.is_exhausted else None

    @_keeps_failure
    def _next_assignment(self, trial_id: str) -> Assignment | None:
        return self._sweep.next_assignment(trial_id)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Do nothing: the scheduler and the callback take every result."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the study is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: the study is the state."""


class _SweepScheduler(FIFOScheduler):  # type: ignore[misc]
    """Gives the sweep what a step reported, and ends the trial there if the sweep says so.

    Tune does not show a scheduler the last result of a trial; `_SweepCallback` takes that one.
    """

    def __init__(self, sweep: Sweep, workers: _Workers) -> None:
        super().__init__()
        self._sweep, self._workers = sweep, workers

    def choose_trial_to_run(self, controller: Any) -> Any:
        """Choose the trial that takes a free worker: the oldest one that has no worker of its own starting.

        Tune ends the worker that was starting for a trial when the trial takes another. If the oldest of all were
        chosen, and trials were shorter than the start of a process, a lost worker would never be replaced.
        """
        self._workers.note(controller)
        # private to Tune: no public interface tells which trials have a worker that is starting
        starting = set(controller._actor_manager.live_actors)
        actors = controller._trial_to_actor
        waiting = {trial.trial_id: trial for trial in controller.get_live_trials() if trial.status == Trial.PENDING}
        pending = [waiting[tune_id] for tune_id in self._sweep.pending if tune_id in waiting]
        return next((trial for trial in pending if actors.get(trial) not in starting), None)

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        return str(TrialScheduler.STOP if self._ends_here(trial, result) else TrialScheduler.CONTINUE)

    @_keeps_failure
    def _ends_here(self, trial: Any, result: dict[str, Any]) -> bool:
        report, tune_id = StepReport.from_result(result), trial.trial_id
        if report.place is None:
            return self._sweep.take_report(tune_id, report)
        instruction = self._sweep.worker_ready(tune_id, report)
        if instruction == "leave":
            # The worker hears this before its next step, since an actor's calls run in order. `temporary_state` is
            # private to Tune: no public interface gives the worker of a trial.
            trial.temporary_state.ray_actor.leave.remote(parks=self._sweep.placement.is_parked(tune_id))
        return instruction == "end"


class _SweepCallback(tune.Callback):  # type: ignore[misc]
    """Ends Tune when the sweep is over, kills late workers, and takes last results and lost workers."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if self._sweep.is_over:
            raise _SweepOver
        self._kill_overdue(trials)
        self._report_activity()

    @_keeps_failure
    def _kill_overdue(self, trials: list[Any]) -> None:
        late = set(self._sweep.overdue())
        for trial in trials if late else ():
            if trial.trial_id in late and trial.temporary_state.ray_actor is not None:  # private, as above
                ray.kill(trial.temporary_state.ray_actor)  # `on_trial_error` gets its death, as any worker's

    @_keeps_failure
    def _report_activity(self) -> None:
        self._sweep.report_activity(nodes.alive)

    @_keeps_failure
    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        report = StepReport.from_result(result)
        if report.is_last:
            self._sweep.take_report(trial.trial_id, report)

    @_keeps_failure
    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        if not self._sweep.is_over and ray.is_initialized():
            error = lost_workers.error_of(trial)
            self._sweep.worker_lost(trial.trial_id, error, lost_workers.last_words(error))

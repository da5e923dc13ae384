"""The process that trains trials: it imports TensorFlow once, keeps the data on its device, and runs trial after trial.

Ray Tune calls `step` until its result is marked as done. The first steps of an assignment report where the worker is.
Each later step trains for a while and reports the epochs that ended meanwhile, so that short epochs do not cost a round
trip each; the more workers there are, the longer (`messages.seconds_between_reports`).
"""

from __future__ import annotations

import os
import shutil
import sys
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray

from tune_jobs.datasets import AnyTrainingData
from tune_jobs.environment import prepare_own_training
from tune_jobs.errors import UserError
from tune_jobs.execution import nodes, working_folder
from tune_jobs.execution.keeper import FilesKeeper, WeightsKeeper
from tune_jobs.execution.messages import Assignment, StepReport, seconds_between_reports
from tune_jobs.execution.metering import Meter
from tune_jobs.execution.packing import Gauge
from tune_jobs.execution.rules import WORN_OUT, CodeError
from tune_jobs.execution.save_times import SaveTimes
from tune_jobs.execution.task_source import TaskSource
from tune_jobs.execution.wear import Wear
from tune_jobs.records.constraints import Constraint
from tune_jobs.records.trials import Metrics, Rung
from tune_jobs.search_spaces.protocol import Objective, Protocol, TaskError
from tune_jobs.search_spaces.task import Task
from tune_jobs.training import checkpoints, devices, tensorflow_start
from tune_jobs.training.checkpoints import Checkpoint
from tune_jobs.training.devices import DeviceFigures
from tune_jobs.training.runs import AnyRun, new_run
from tune_jobs.training.trial import Copy
from tune_jobs.words import one_line

_READING_S = 1.0  # between two readings of the devices

_wear = Wear()  # of this process
_is_warm = False  # whether this process has imported and set up all that training needs


@dataclass(frozen=True)
class SweepContext:
    """What all trials of a sweep share."""

    source: TaskSource
    protocol: Protocol
    objectives: tuple[Objective, ...]
    data: AnyTrainingData | None  # None where the task runs a function
    cpus: float  # threads of each trial
    weights_keeper: WeightsKeeper | None = None  # takes the weights of each trial, where they are kept
    files_keeper: FilesKeeper | None = None  # takes the files that each trial reports, where there are any
    constraints: tuple[Constraint, ...] = ()
    checkpoint_keeper: Any = None  # the actor that has the trials' checkpoints, where there are any
    checkpoint_every: int | None = None  # epochs
    keeps_checkpoints: bool = False  # whether a trial saves checkpoints now and then if it is not told how often
    measures_devices: bool = False  # whether workers read the figures of their devices
    has_own_loop: bool = False  # whether the task trains itself: TensorFlow is left to it then
    report_every_s: float = seconds_between_reports(1)

    def end_keepers(self) -> None:
        """End the actors that keep files: a process that stays connected to Ray would have them for ever."""
        keepers = (self.weights_keeper, self.files_keeper)
        for actor in (*(keeper and keeper.actor for keeper in keepers), self.checkpoint_keeper):
            if actor is not None:
                ray.kill(actor)


class TrialWorker:
    """A worker with the methods that Ray Tune calls on its actors.

    It is no subclass of Tune's `Trainable`: importing Ray Tune, and pandas with it, would take two seconds of each
    worker. `trainable.py` has the class that Tune sees. `config` is an `Assignment` in plain values.
    """

    context: ray.ObjectRef  # of a `SweepContext`; `class_for` sets it

    def __init__(self, config: dict[str, Any], storage: None = None) -> None:
        self._context: SweepContext = ray.get(self.context)
        tensorflow_start.hush()  # the output of a worker may be shown where the user has connected to Ray
        self._run: AnyRun | None = None
        self._unreported: list[tuple[int, Metrics]] = []  # epochs of a checkpoint, which the driver has not seen
        self._refusal: str | None = None
        self._task: Task | None = None  # imported once the devices are set: its file may use TensorFlow
        self._place = nodes.own_place()
        self._folder: Path | None = None
        try:
            self._reader = devices.device_reader(cpus=self._context.cpus) if self._context.measures_devices else None
        except Exception as error:
            self._refuse(error)
        self._accept(Assignment.from_config(config))

    def train(self) -> dict[str, Any]:
        """Run one step. Returns a `StepReport` in plain values, with what Tune needs of a result."""
        self._n_steps += 1
        return {"done": False, **self.step(), "training_iteration": self._n_steps, "pid": os.getpid()}

    def get_auto_filled_metrics(self, **options: Any) -> dict[str, Any]:
        """Return what Tune takes for the result of a trial that has none yet."""
        return {"pid": os.getpid()}

    def reset(self, new_config: dict[str, Any], storage: None = None) -> bool:
        """Take the next assignment in the same process.

        Raises:
            RuntimeError: if this worker is worn out, or has run a trial and the assignment needs a fresh one. Tune then
                ends this worker, and the driver assigns the trial again.
        """
        assignment = Assignment.from_config(new_config)
        if self._run is not None:
            self._keep_files()  # of a trial that the driver ended
            self._run.release()
            self._run = None
            _wear.trial_ended()
        if (assignment.fresh and _is_warm) or _wear.is_worn_out:
            raise RuntimeError(WORN_OUT)
        self._accept(assignment)
        return True

    def stop(self) -> None:
        """Leave nothing behind; Tune ends the process then."""
        self._keep_files()
        self._change_folder(None)

    def leave(self, parks: bool) -> None:
        """Do not train on this device: end at the next step or, with `parks`, stay with nothing on the device."""
        self._is_leaving, self._is_parked = not parks, parks

    def step(self) -> dict[str, Any]:
        """Report where this worker is; once it is ready, train for `report_every_s`, to a milestone or to the end.

        Returns a `StepReport` in plain values.

        Raises:
            RuntimeError: if the worker was told to leave.
        """
        if self._refusal is None and self._run is None:
            if self._is_leaving:
                raise RuntimeError(WORN_OUT)
            if not self._is_ready:
                return self._report_place().to_result()
            self._start_trial(self._assignment)
        if self._refusal is not None:
            return StepReport(refusal=self._refusal).to_result()
        return self._train_epochs().to_result()

    def _accept(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._run = None
        self._n_steps = 0
        self._change_folder(assignment.number)
        self._has_reported = self._is_ready = self._is_leaving = self._is_parked = False

    def _change_folder(self, number: int | None) -> None:
        """Give a trial an empty working folder in Ray's own, for what its code writes; None takes it away.

        It is removed once the worker takes another trial.
        """
        before, self._folder = self._folder, None
        if number is None:
            working_folder.leave()
        else:
            self._folder = working_folder.enter_new(str(number))
        if before is not None:
            shutil.rmtree(before, ignore_errors=True)

    def _report_place(self) -> StepReport:
        """Report where this worker is: first with nothing on its devices, then once it is ready to train there."""
        global _is_warm
        if self._is_parked:
            time.sleep(self._context.report_every_s)
        elif self._has_reported:
            try:
                if self._context.has_own_loop:
                    prepare_own_training()
                else:
                    share = self._assignment.gpus or None
                    tensorflow_start.start(self._context.cpus, share, portable=self._context.protocol.portable)
                    tensorflow_start.check_room(self._context.data, share)
                self._task = self._task or self._load_task()
                _is_warm = True
            except Exception as error:
                self._refuse(error)
                return StepReport(refusal=self._refusal)
        self._has_reported, self._is_ready = True, _is_warm
        return StepReport(place=self._place, is_ready=self._is_ready, is_parked=self._is_parked)

    def _load_task(self) -> Task:
        context = self._context
        return replace(context.source.load(), protocol=context.protocol, objective=context.objectives[0])

    def _refuse(self, error: Exception) -> None:
        """Note why this worker can train no trial of the task. Another worker would not fare better."""
        self._refusal = str(error) if isinstance(error, TaskError | UserError) else one_line(error)

    def _start_trial(self, assignment: Assignment) -> None:
        self._gauge, self._read_at, self._keeps_files = Gauge(), 0.0, True
        self._meter = Meter(assignment.cpus, assignment.gpus)
        self._read_devices()
        self._save_times = SaveTimes(self._context.checkpoint_every, at_all=self._context.keeps_checkpoints)
        checkpoint = self._load_checkpoint(assignment)
        history = () if checkpoint is None or assignment.copies else checkpoint.history
        self._unreported = list(enumerate(history, start=1))
        assert self._task is not None  # this worker is ready
        run = new_run(
            self._task,
            assignment.params,
            self._context.data,
            seed=assignment.seed,
            further_objectives=self._context.objectives[1:],
            constraints=self._context.constraints,
            start=Copy(checkpoint) if assignment.copies else checkpoint,
            rungs=assignment.rungs,
        )
        self._run, self._pulses = run, run.pulses

    def _train_epochs(self) -> StepReport:
        try:
            report = self._train_until()
            return replace(report, spent=self._meter.spent)
        except TaskError as error:  # of what no trial of the task could do
            self._refuse(error)
            return StepReport(refusal=self._refusal)

    def _train_until(self) -> StepReport:
        """Train to a milestone, to the end, or for `report_every_s`."""
        assert self._run is not None
        epochs, self._unreported = list(self._unreported), []
        until = time.monotonic() + self._context.report_every_s
        for pulse in self._pulses:
            if isinstance(pulse, Rung):
                return StepReport(so_far=self._run.partial_result)
            if pulse is not None:
                epochs.append(pulse)
                if (report := self._after(pulse[0], epochs)) is not None:
                    return report
            if time.monotonic() >= until:
                return StepReport(tuple(epochs), figures=self._read_devices())
        self._keep_weights()
        self._keep_files()
        figures, error = self._read_devices(is_last=True), _code_error(self._run.error)
        return StepReport(tuple(epochs), self._run.result, error=error, figures=figures, usage=self._gauge.usage)

    def _after(self, epoch: int, epochs: list[tuple[int, Metrics]]) -> StepReport | None:
        """Save what is due after an epoch, or a fold; return a report if the trial is judged or ends there."""
        assert self._run is not None
        if epoch == self._assignment.until:
            self._save_checkpoint(checkpoints.key(self._assignment.number, epoch))
            return StepReport(tuple(epochs), is_paused=True)
        if epoch != self._context.protocol.steps and self._save_times.is_due(epoch):
            with self._save_times.saving():
                self._save_checkpoint(checkpoints.key(self._assignment.number))
        if epoch in self._assignment.milestones:
            return StepReport(tuple(epochs), so_far=self._run.partial_result)
        if self._context.protocol.folds is not None:  # the next one may take its time to begin
            return StepReport(tuple(epochs), figures=self._read_devices())
        return None

    def _keep_weights(self) -> None:
        keeper, run = self._context.weights_keeper, self._run
        if keeper is not None and run is not None and run.model is not None and run.result.state != "failed":
            keeper.save(run.model, self._assignment.number, run.result.state)

    def _keep_files(self) -> None:
        """Keep what the trial reports, once."""
        keeper, run = self._context.files_keeper, self._run
        if keeper is not None and run is not None and run.artifacts is not None and self._keeps_files:
            self._keeps_files = False
            keeper.save(run.artifacts, self._assignment.number)

    def _read_devices(self, *, is_last: bool = False) -> tuple[DeviceFigures, ...]:
        """Return the figures of this worker's devices, at most once a second and when the trial ends; else nothing."""
        if self._reader is None or not (is_last or time.monotonic() - self._read_at >= _READING_S):
            return ()
        self._read_at = time.monotonic()
        on_gpus = bool(self._place.gpus)  # the machine's own figures say nothing of a GPU that cannot be read
        figures = tuple(reading for reading in self._reader.read() if (reading.index != devices.HOST) == on_gpus)
        self._meter.record(figures)
        if self._run is not None:
            self._gauge.record(figures, self._trial_memory_mb())
        return figures

    def _trial_memory_mb(self) -> float | None:
        """Return the most that this trial took of a GPU; None if unknown, as for a task with its own training loop."""
        if self._context.has_own_loop or not self._place.gpus:
            return None
        from tune_jobs.training import tensorflow_process

        peak = tensorflow_process.device_peak_mb()
        return None if peak is None else peak + tensorflow_process.CONTEXT_MB

    def _load_checkpoint(self, assignment: Assignment) -> Checkpoint | None:
        if assignment.start is None:
            return None
        content = ray.get(self._context.checkpoint_keeper.load.remote(assignment.start))
        return None if content is None else Checkpoint.from_bytes(content)

    def _save_checkpoint(self, name: str) -> None:
        """Save the trial as it is now. The checkpoint is durable when this returns."""
        checkpoint = None if self._run is None else self._run.checkpoint()
        if checkpoint is not None:
            ray.get(self._context.checkpoint_keeper.save.remote(name, checkpoint.to_bytes()))


def class_for(context: ray.ObjectRef) -> type:
    """Return the class of the workers of a sweep: in its driver the one that Tune sees, elsewhere `TrialWorker`."""
    driver = sys.modules.get(f"{__package__}.trainable")
    if driver is not None:
        return driver.TrialActor  # type: ignore[no-any-return]
    return as_actor_class(type("TrialWorker", (TrialWorker,), {"context": context}))


def as_actor_class(plain: type) -> type:
    """Return a subclass with the methods that every actor has, as Ray makes it."""
    return ray.actor._modify_class(plain)  # type: ignore[no-any-return]


def nothing(_: Any) -> None:
    """Stand in for a value that a worker does not need."""


class PickledAsWorker(type):
    """The metaclass of the class that Tune sees. It is here, so that workers do not import Tune to read it."""


def _code_error(error: BaseException | None) -> CodeError | None:
    """Return the error of a trial's code with the line that raised it; None if there was none."""
    if error is None:
        return None
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "nowhere"
    return CodeError(f"{type(error).__name__} at {place}", "".join(traceback.format_exception(error)))

"""The process that trains trials: imports TensorFlow once, keeps the data on its device, takes trial after trial.

Ray Tune calls `step` until it says done. The first step of a turn tells where the worker is, the next trains for a
while and brings back the epochs that ended meanwhile, so that short epochs do not pay a round trip each.
"""

from __future__ import annotations

import os
import tempfile
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray import tune

from tune_jobs.datasets import TrainingData
from tune_jobs.errors import UserError
from tune_jobs.execution import nodes
from tune_jobs.execution.keeper import KeptWeights
from tune_jobs.execution.messages import Assignment, StepReport
from tune_jobs.execution.packing import Gauge
from tune_jobs.execution.rules import WORN_OUT, CodeError
from tune_jobs.execution.wear import Wear
from tune_jobs.records.trials import Metrics
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.protocol import Objective, Protocol, TaskError
from tune_jobs.search_spaces.task import Task
from tune_jobs.settings import prepare_own_training
from tune_jobs.training import checkpoints, devices
from tune_jobs.training.checkpoints import Checkpoint
from tune_jobs.training.devices import DeviceFigures
from tune_jobs.training.trial import TrialRun
from tune_jobs.words import one_line

_STEP_S = 0.5  # how long a step may wait for more epochs before it reports
_READ_S = 1.0  # between two readings of the devices

_wear = Wear()  # of this process
_is_warm = False  # this process has what it needs to train


@dataclass(frozen=True)
class TaskSource:
    """What a worker needs to find a task where the user's file does not exist: a catalogue name, or a file's text."""

    reference: str
    file_name: str | None = None
    attribute: str | None = None
    text: str | None = None

    @classmethod
    def of(cls, reference: str) -> TaskSource:
        """The source of a task that was found on this machine."""
        file, attribute = catalog.split(reference)
        if file is None:
            return cls(reference)
        return cls(reference, file.name, attribute, file.read_text(encoding="utf-8"))

    def load(self) -> Task:
        if self.text is None or self.file_name is None:
            return catalog.find(self.reference)
        folder = Path(tempfile.gettempdir()) / f"tune-jobs-tasks-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        return catalog.load_text(self.text, self.file_name, self.attribute, folder)


@dataclass(frozen=True)
class SweepJob:
    """What all trials of a sweep share."""

    source: TaskSource
    protocol: Protocol
    objectives: tuple[Objective, ...]
    data: TrainingData
    cpus: float
    keep: KeptWeights | None = None  # who takes the weights of each trial
    keeper: Any = None  # the actor that has the trials' checkpoints, where there are any
    checkpoint_every: int | None = None  # epochs
    is_measured: bool = False  # whether workers read what their devices do


class TrialActor(tune.Trainable):  # type: ignore[misc]
    """A worker in Ray Tune's terms. `config` is a `Assignment` in plain values."""

    def setup(self, config: dict[str, Any], job: SweepJob | None = None) -> None:
        assert job is not None
        self._job = job
        self._run: TrialRun | None = None
        self._earlier: list[tuple[int, Metrics]] = []  # epochs of a checkpoint, which the driver has not seen
        self._refusal: str | None = None
        self._place = nodes.here()
        try:
            self._reader = devices.reader(cpus=job.cpus) if job.is_measured else None
            self._task = replace(job.source.load(), protocol=job.protocol, objective=job.objectives[0])
        except Exception as error:
            self._refuse(error)
        self._take(Assignment.from_config(config))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """The next trial, in the same process.

        Raises:
            RuntimeError: if this worker is worn out, or not what the trial needs. Tune ends it then, and the driver
                hands the trial in again.
        """
        turn = Assignment.from_config(new_config)
        if self._run is not None:
            self._run.drop()
            self._run = None
            _wear.trial_ended()
        if (turn.fresh and _is_warm) or _wear.is_worn_out:
            raise RuntimeError(WORN_OUT)
        self._take(turn)
        return True

    def leave(self, parks: bool) -> None:
        """Do not train here: end, or stay `parks` as you are, with nothing on the device."""
        self._is_leaving, self._is_parked = not parks, parks

    def step(self) -> dict[str, Any]:
        """Tells where it is, or trains for `_STEP_S`, to a milestone or to the end; what came of it, as a `StepReport`
        in plain values.

        Raises:
            RuntimeError: if it was told to leave.
        """
        if self._refusal is None and self._run is None:
            if self._is_leaving:
                raise RuntimeError(WORN_OUT)
            if not self._is_ready:
                return self._announce().to_result()
            self._begin(self._turn)
        if self._refusal is not None:
            return StepReport(refusal=self._refusal).to_result()
        return self._trained().to_result()

    def _take(self, turn: Assignment) -> None:
        self._turn = turn
        self._run = None
        self._has_announced = self._is_ready = self._is_leaving = self._is_parked = False

    def _announce(self) -> StepReport:
        """Where this worker is: once before it has anything on its devices, once when it is ready to train there."""
        global _is_warm
        if self._is_parked:
            time.sleep(_STEP_S)
        elif self._has_announced:
            try:
                if self._task.train is None:
                    warm_up(self._job.cpus, self._turn.gpus or None)
                else:
                    prepare_own_training()
                _is_warm = True
            except Exception as error:
                self._refuse(error)
                return StepReport(refusal=self._refusal)
        self._has_announced, self._is_ready = True, _is_warm
        return StepReport(place=self._place, is_ready=self._is_ready, is_parked=self._is_parked)

    def _refuse(self, error: Exception) -> None:
        """This worker can train nothing of the task. It is no trial's fault: another worker would not fare better."""
        self._refusal = str(error) if isinstance(error, TaskError | UserError) else one_line(error)

    def _trained(self) -> StepReport:
        assert self._run is not None
        epochs, self._earlier = list(self._earlier), []
        until = time.monotonic() + _STEP_S
        for epoch, metrics in self._epochs:
            epochs.append((epoch, metrics))
            if epoch == self._turn.until:
                self._save(checkpoints.key(self._turn.number, epoch))
                return StepReport(tuple(epochs), is_paused=True)
            every = self._job.checkpoint_every
            if every is not None and epoch % every == 0 and epoch < self._job.protocol.epochs:
                self._save(checkpoints.key(self._turn.number))
            if epoch in self._turn.milestones:
                return StepReport(tuple(epochs), so_far=self._run.so_far)
            if time.monotonic() >= until:
                return StepReport(tuple(epochs), figures=self._read())
        if self._job.keep is not None and self._run.model is not None and self._run.result.state != "failed":
            self._job.keep.save(self._run.model, self._turn.number)
        figures, error = self._read(is_last=True), _code_error(self._run.error)
        return StepReport(tuple(epochs), self._run.result, error=error, figures=figures, usage=self._gauge.usage)

    def _begin(self, turn: Assignment) -> None:
        self._gauge, self._read_at = Gauge(), time.monotonic()
        start = self._checkpoint(turn)
        self._earlier = [] if start is None or turn.copies else list(enumerate(start.history, start=1))
        run = TrialRun(
            self._task,
            turn.params,
            self._job.data,
            seed=turn.seed,
            further=self._job.objectives[1:],
            start=start,
            copies=turn.copies,
        )
        self._run, self._epochs = run, iter(run)

    def _read(self, *, is_last: bool = False) -> tuple[DeviceFigures, ...]:
        """The devices as they are, now and then, and once more when the trial ends."""
        if self._reader is None or not (is_last or time.monotonic() - self._read_at >= _READ_S):
            return ()
        self._read_at = time.monotonic()
        of_gpus = bool(self._place.gpus)  # what the machine says is no word on a GPU that cannot be read
        figures = tuple(one for one in self._reader.read() if (one.index != devices.HOST) == of_gpus)
        self._gauge.take(figures, self._taken_mb())
        return figures

    def _taken_mb(self) -> float | None:
        """The most that this trial took of a GPU, where that is known: of a task's own loop it is not."""
        if self._task.train is not None or not self._place.gpus:
            return None
        from tune_jobs.training import compiled

        peak = compiled.device_peak_mb()
        return None if peak is None else peak + compiled.CONTEXT_MB

    def _checkpoint(self, turn: Assignment) -> Checkpoint | None:
        if turn.start is None:
            return None
        content = ray.get(self._job.keeper.load.remote(turn.start))
        return None if content is None else Checkpoint.from_bytes(content)

    def _save(self, name: str) -> None:
        """The trial as it is now; durable when this returns."""
        checkpoint = None if self._run is None else self._run.checkpoint()
        if checkpoint is not None:
            ray.get(self._job.keeper.save.remote(name, checkpoint.to_bytes()))


def _code_error(error: BaseException | None) -> CodeError | None:
    """The error of a trial's code, with the line that raised it."""
    if error is None:
        return None
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "nowhere"
    return CodeError(f"{type(error).__name__} at {place}", "".join(traceback.format_exception(error)))


def warm_up(cpus: float, gpu_share: float | None = None) -> None:
    """Imports TensorFlow, held to so many threads and to its share of a GPU."""
    from tune_jobs.settings import prepare_tensorflow

    prepare_tensorflow()
    from tune_jobs.training import compiled

    compiled.prepare_devices(cpus, gpu_share)

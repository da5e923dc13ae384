"""The process that trains trials: imports TensorFlow once, keeps the data on its device, takes trial after trial.

Ray Tune calls `step` until it says done. A step trains for a while and brings back the epochs that ended meanwhile,
so that short epochs do not pay a round trip each.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray import tune

from search_spaces import catalog
from search_spaces.domains import Params
from search_spaces.task import Objective, Protocol, Task, TaskError
from tune_jobs import checkpoints, weights
from tune_jobs.checkpoints import Checkpoint
from tune_jobs.datasets import TrainingData
from tune_jobs.epochs import Metrics
from tune_jobs.errors import UserError, one_line
from tune_jobs.execution.rules import WORN_OUT, CodeError
from tune_jobs.execution.wear import Wear
from tune_jobs.settings import prepare_own_training
from tune_jobs.trial import TrialResult, TrialRun

_STEP_S = 0.5  # how long a step may wait for more epochs before it reports

_wear = Wear()  # of this process


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
class Turn:
    """A trial's turn on a worker: after each of `milestones`, epochs counted from one, the worker asks whether to go
    on; `fresh` is a turn for a worker that has run no trial yet.

    A turn begins from the checkpoint `start`, where there is one; from that of another trial it `copies` weights and
    history and has its best epoch still before it. It ends after epoch `until` with a checkpoint.
    """

    params: Params
    seed: int
    number: int
    milestones: tuple[int, ...] = ()
    fresh: bool = False
    start: str | None = None
    copies: bool = False
    until: int | None = None

    def to_config(self) -> dict[str, Any]:
        """As Tune hands it on: it looks into whatever is no plain value."""
        return {"turn": json.dumps(asdict(self))}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Turn:
        said = json.loads(config["turn"])
        return cls(**{**said, "milestones": tuple(said["milestones"])})


@dataclass(frozen=True)
class Job:
    """What all trials of a sweep share."""

    source: TaskSource
    protocol: Protocol
    objectives: tuple[Objective, ...]
    data: TrainingData
    cpus: float
    keep: Path | None = None  # a folder for the weights of each trial, on the worker's own disk
    keeper: Any = None  # the actor that has the trials' checkpoints, where there are any
    checkpoint_every: int | None = None  # epochs


class TrialActor(tune.Trainable):  # type: ignore[misc]
    """A worker in Ray Tune's terms. `config` is a `Turn` in plain values."""

    def setup(self, config: dict[str, Any], job: Job | None = None) -> None:
        assert job is not None
        self._job = job
        self._earlier: list[tuple[int, Metrics]] = []  # epochs of a checkpoint, which the driver has not seen
        self._refusal: str | None = None
        try:
            self._task = replace(job.source.load(), protocol=job.protocol, objective=job.objectives[0])
            if self._task.train is None:
                warm_up(job.cpus)
            else:
                prepare_own_training()
        except Exception as error:  # no trial's fault: another worker would not fare better
            self._refusal = str(error) if isinstance(error, TaskError | UserError) else one_line(error)
            return
        self._begin(Turn.from_config(config))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """The next trial, in the same process.

        Raises:
            RuntimeError: if this worker is worn out, or not what the trial needs. Tune ends it then, and the driver
                hands the trial in again.
        """
        turn = Turn.from_config(new_config)
        self._run.drop()
        _wear.trial_ended()
        if turn.fresh or _wear.is_worn_out:
            raise RuntimeError(WORN_OUT)
        self._begin(turn)
        return True

    def step(self) -> dict[str, Any]:
        """Trains for `_STEP_S`, to a milestone or to the end; what came of it, as a `Report` in plain values."""
        if self._refusal is not None:
            return Report(refusal=self._refusal).to_result()
        epochs, self._earlier = list(self._earlier), []
        until = time.monotonic() + _STEP_S
        for epoch, metrics in self._epochs:
            epochs.append((epoch, metrics))
            if epoch == self._turn.until:
                self._save(checkpoints.key(self._turn.number, epoch))
                return Report(tuple(epochs), is_paused=True).to_result()
            every = self._job.checkpoint_every
            if every is not None and epoch % every == 0 and epoch < self._job.protocol.epochs:
                self._save(checkpoints.key(self._turn.number))
            if epoch in self._turn.milestones:
                return Report(tuple(epochs), so_far=self._run.so_far).to_result()
            if time.monotonic() >= until:
                return Report(tuple(epochs)).to_result()
        if self._job.keep is not None and self._run.model is not None and self._run.result.state != "failed":
            weights.save(self._run.model, self._job.keep, self._turn.number)
        return Report(tuple(epochs), self._run.result, error=_code_error(self._run.error)).to_result()

    def _begin(self, turn: Turn) -> None:
        self._turn = turn
        start = self._checkpoint(turn)
        self._earlier = [] if start is None or turn.copies else list(enumerate(start.history, start=1))
        self._run = TrialRun(
            self._task,
            turn.params,
            self._job.data,
            seed=turn.seed,
            further=self._job.objectives[1:],
            start=start,
            copies=turn.copies,
        )
        self._epochs: Iterator[tuple[int, Metrics]] = iter(self._run)

    def _checkpoint(self, turn: Turn) -> Checkpoint | None:
        if turn.start is None:
            return None
        content = ray.get(self._job.keeper.load.remote(turn.start))
        return None if content is None else Checkpoint.from_bytes(content)

    def _save(self, name: str) -> None:
        """The trial as it is now; durable when this returns."""
        checkpoint = self._run.checkpoint()
        if checkpoint is not None:
            ray.get(self._job.keeper.save.remote(name, checkpoint.to_bytes()))


@dataclass(frozen=True)
class Report:
    """What a step brought: the epochs since the last one, and the trial's result once there is one.

    At a milestone `so_far` is what the trial comes to if it is stopped there. `refusal` is why this worker can train
    no trial of the task at all.
    """

    epochs: tuple[tuple[int, Metrics], ...] = ()
    result: TrialResult | None = None
    so_far: TrialResult | None = None
    error: CodeError | None = None
    refusal: str | None = None
    is_paused: bool = False  # the turn is over, and the trial goes on another time

    def to_result(self) -> dict[str, Any]:
        """One string, because Tune keeps statistics of every number it sees in a result."""
        return {"report": json.dumps(asdict(self)), "done": self.is_last}

    @property
    def is_last(self) -> bool:
        """Whether the worker has nothing more to bring."""
        return self.result is not None or self.refusal is not None or self.is_paused

    @classmethod
    def from_result(cls, result: dict[str, Any]) -> Report:
        said = json.loads(result["report"])
        return cls(
            epochs=tuple((epoch, metrics) for epoch, metrics in said["epochs"]),
            result=_result(said["result"]),
            so_far=_result(said["so_far"]),
            error=None if said["error"] is None else CodeError(**said["error"]),
            refusal=said["refusal"],
            is_paused=said["is_paused"],
        )


def _result(said: dict[str, Any] | None) -> TrialResult | None:
    return None if said is None else TrialResult(**{**said, "history": tuple(said["history"])})


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
    from tune_jobs import training

    training.prepare_devices(cpus, gpu_share)

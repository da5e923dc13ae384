"""The process that trains trials: imports TensorFlow once, keeps the data on its device, takes trial after trial.

Ray Tune calls `step` until it says done. A step trains for a while and brings back the epochs that ended meanwhile,
so that short epochs do not pay a round trip each.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ray import tune

from search_spaces import catalog
from search_spaces.task import Objective, Protocol, Task, TaskError
from tune_jobs import weights
from tune_jobs.datasets import TrainingData
from tune_jobs.trial import Metrics, TrialRun, one_line

_STEP_S = 0.5  # how long a step may wait for more epochs before it reports
_TRIALS = 200  # after so many a worker makes room for a fresh one: Keras keeps a little of each model it traced
_GROWTH_MB = 4096  # as it does when it has grown by so much since its first trial

_first_peak_mb: float | None = None
_trials_begun = 0


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
class Job:
    """What all trials of a sweep share."""

    source: TaskSource
    protocol: Protocol
    objectives: tuple[Objective, ...]
    data: TrainingData
    cpus: float
    keep: Path | None = None  # a folder for the weights of each trial, on the worker's own disk


class TrialActor(tune.Trainable):  # type: ignore[misc]
    """A worker in Ray Tune's terms. `config` holds a trial's `params` (JSON), `seed` and `number`."""

    def setup(self, config: dict[str, Any], job: Job | None = None) -> None:
        assert job is not None
        self._job = job
        self._refusal: str | None = None
        try:
            self._task = replace(job.source.load(), protocol=job.protocol, objective=job.objectives[0])
            if self._task.train is None:
                warm_up(job.cpus)
        except Exception as error:  # no trial's fault: another worker would not fare better
            self._refusal = str(error) if isinstance(error, TaskError) else one_line(error)
            return
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """The next trial, in the same process.

        Raises:
            RuntimeError: if this worker is worn out. Tune ends it then, and the driver hands the trial in again.
        """
        if _is_worn_out():
            raise RuntimeError("worn out")
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Trains for `_STEP_S` or to the end; the epochs since the last step, and the result once there is one."""
        if self._refusal is not None:
            return _message([], None, self._refusal)
        epochs: list[tuple[int, Metrics]] = []
        until = time.monotonic() + _STEP_S
        for epoch, metrics in self._epochs:
            epochs.append((epoch, metrics))
            if time.monotonic() >= until:
                return _message(epochs, None)
        if self._job.keep is not None and self._run.model is not None and self._run.result.state != "failed":
            weights.save(self._run.model, self._job.keep, self._number)
        return _message(epochs, asdict(self._run.result))

    def _begin(self, config: dict[str, Any]) -> None:
        global _trials_begun
        _trials_begun += 1
        params, self._number = json.loads(config["params"]), config["number"]
        further = self._job.objectives[1:]
        self._run = TrialRun(self._task, params, self._job.data, seed=config["seed"], further=further)
        self._epochs: Iterator[tuple[int, Metrics]] = iter(self._run)


def _message(
    epochs: list[tuple[int, Metrics]], result: dict[str, Any] | None, refusal: str | None = None
) -> dict[str, Any]:
    """One string, because Tune keeps statistics of every number it sees in a result."""
    message = {"epochs": epochs, "result": result, "refusal": refusal}
    return {"message": json.dumps(message), "done": result is not None or refusal is not None}


def warm_up(cpus: float) -> None:
    """Imports TensorFlow, held to so many threads, where that was not done in this process."""
    from tune_jobs.settings import prepare_tensorflow

    if "tensorflow" in sys.modules:
        return
    prepare_tensorflow()
    from tune_jobs import training

    training.prepare_devices(cpus)


def _is_worn_out() -> bool:
    global _first_peak_mb
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if _first_peak_mb is None:
        _first_peak_mb = peak_mb
    return _trials_begun >= _TRIALS or peak_mb - _first_peak_mb > _GROWTH_MB

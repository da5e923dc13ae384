"""Trainings that a task brings itself: a loop over epochs, or any function of params. Only their metrics are seen."""

from __future__ import annotations

import weakref
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from tune_jobs import temporary
from tune_jobs.datasets import TrainingData
from tune_jobs.errors import Reason, TrialError
from tune_jobs.models.plain_values import plain
from tune_jobs.records.trials import Metrics
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.search_spaces.task import Task
from tune_jobs.training import folders
from tune_jobs.training.checkpoints import Checkpoint
from tune_jobs.training.numbers import as_numbers
from tune_jobs.training.seeding import seed_generators


class _OwnCode:
    """What is the same for all code of a task's own: no model is known, and an epoch need not be scored."""

    model = None
    n_weights = None
    known_objectives = ()
    must_be_finite = ()
    scores_each_epoch = False

    def save_best(self) -> None:
        """Do nothing: the weights are not visible."""

    def restore_best(self) -> None:
        """Do nothing: no weights were saved."""

    def release(self) -> None:
        """Do nothing: there is no model to use again."""

    def validation_errors(self) -> None:
        """Return None: only metrics are known."""

    def pictures(self, epoch: int | None = None) -> None:
        """Return None: there is no model to make pictures of."""

    def measure_latency(self) -> float:
        raise NotImplementedError("there is no model to measure")


class OwnTraining(_OwnCode):
    """A task's own training loop."""

    artifacts = None

    def __init__(self, task: Task, params: Params, data: TrainingData, seed: int) -> None:
        assert task.train is not None
        assert task.protocol.epochs is not None
        self._seed = seed
        self._epochs = task.train(dict(params), data, seed=seed, epochs=task.protocol.epochs)

    def epochs(self) -> Iterator[Metrics]:
        seed_generators(self._seed)
        for metrics in self._epochs:
            yield _checked_metrics(metrics)

    def checkpoint(self, best_epoch: int | None, history: Sequence[Metrics], seconds: float) -> None:
        """Return None: the loop's state is not visible."""

    def resume(self, start: Checkpoint) -> bool:
        return False


def _checked_metrics(metrics: object) -> Metrics:
    """Return what a task's own loop yielded as floats.

    Raises:
        TrialError: it is no mapping, or one of its values is no number.
    """
    if not isinstance(metrics, Mapping):
        raise TrialError(Reason.INVALID, f"each epoch needs a mapping of metrics; the task's training gave {metrics!r}")
    return as_numbers(metrics)


class FunctionRun(_OwnCode):
    """Any function of params; what it returns is one epoch, and what it yields are several.

    It has folders for its files, which are there while the run is held. A later run begins with what lies in them after
    a step.
    """

    def __init__(self, task: Task, params: Params, seed: int) -> None:
        assert task.run is not None
        self._run, self._params, self._seed = task.run, params, seed
        self._metric = task.objective.metric
        self._taken = task.run_takes
        held = ExitStack()
        weakref.finalize(self, held.close)
        self._folder = held.enter_context(temporary.folder())
        self._folders = {name: self._folder / name for name in self._taken if name != "seed"}
        for folder in self._folders.values():
            folder.mkdir()

    @property
    def artifacts(self) -> Path | None:
        """The folder of the files that the function reports; None if it reports none."""
        return self._folders.get("artifacts")

    def epochs(self) -> Iterator[Metrics]:
        seed_generators(self._seed)
        given = {"seed": self._seed, **self._folders}
        returned = self._run(dict(self._params), **{name: given[name] for name in self._taken})
        if isinstance(returned, Iterator):
            yield from map(self._metrics, returned)
        else:
            yield self._metrics(returned)

    def _metrics(self, value: object) -> Metrics:
        """Return what the function gave as floats by name; a single number is the objective.

        Raises:
            TrialError: it is neither a number nor a mapping of numbers.
        """
        if isinstance(value, Mapping):
            return as_numbers(value)
        number = plain(value)
        if not isinstance(number, bool | int | float):
            raise TrialError(
                Reason.INVALID,
                f"the function needs to return or yield a number, or a mapping of metrics; it gave {value!r:.200}",
            )
        return {self._metric: float(number)}

    def checkpoint(self, best_epoch: int | None, history: Sequence[Metrics], seconds: float) -> Checkpoint | None:
        """Return the files that the function left; None if it takes no checkpoints, or left no state."""
        folder = self._folders.get("checkpoint")
        if folder is None or not any(folder.iterdir()):
            return None
        state = np.frombuffer(folders.packed(self._folder), np.uint8)
        return Checkpoint((state,), (), best_epoch, tuple(history), seconds)

    def resume(self, start: Checkpoint) -> bool:
        if "checkpoint" not in self._folders or len(start.variables) != 1:
            return False
        try:
            folders.unpack(start.variables[0].tobytes(), self._folder)
        except (zipfile.BadZipFile, OSError):
            return False
        return True

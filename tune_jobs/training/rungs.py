"""A trial that first trains on some of the images, on more of them rung after rung, and at last on all of them.

Each rung is a training of its own, from new weights, with the trial's seed and all its epochs: what continues from a
rung has been trained as if there were none, so that its score is that of any other trial of the study. A training that
went on with more images would be another one, which no `train` or `replicate` repeats.
"""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tune_jobs.datasets import TrainingData, some_of
from tune_jobs.records.constraints import Constraint
from tune_jobs.records.trials import Metrics, Rung, TrialResult
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.search_spaces.task import Task
from tune_jobs.training.checkpoints import Checkpoint
from tune_jobs.training.trial import TrialRun

if TYPE_CHECKING:
    from tune_jobs.models.lazy_keras import keras


class RungRun:
    """A trial as an iterator over the epochs of its last training, in the form of a `TrialRun`.

    `pulses` also yields None after each epoch of a rung, and a `Rung` after the last of them: the caller may stop the
    trial there. Its result is then that of the rung.
    """

    def __init__(
        self,
        task: Task,
        params: Params,
        data: TrainingData,
        images: Sequence[int],
        *,
        seed: int,
        further_objectives: Sequence[Objective] = (),
        constraints: Sequence[Constraint] = (),
    ) -> None:
        self._run_on = functools.partial(
            _run, task, params, seed=seed, further_objectives=further_objectives, constraints=constraints
        )
        self._data, self._images = data, tuple(images)
        self._rungs: list[Rung] = []
        self._is_stopped = False
        self._current: TrialRun = self._run_on(self._of(0))
        self._pulses = self._run()

    def __iter__(self) -> Iterator[tuple[int, Metrics]]:
        return (pulse for pulse in self._pulses if isinstance(pulse, tuple))

    @property
    def pulses(self) -> Iterator[tuple[int, Metrics] | Rung | None]:
        return self._pulses

    @property
    def result(self) -> TrialResult:
        """The result of the last training, with the rungs before it."""
        result, number = self._current.result, len(self._rungs)
        if self._is_stopped and result.state == "complete":
            result = replace(result, state="stopped", errors=None)
        elif result.state == "failed" and number < len(self._images):
            result = replace(result, message=f"on {self._images[number]:,} images: {result.message}")
        return replace(result, rungs=tuple(self._rungs))

    @property
    def partial_result(self) -> TrialResult:
        """The result that the trial would have if it were stopped after what was just yielded."""
        return replace(self._current.partial_result, errors=None, rungs=tuple(self._rungs))

    @property
    def model(self) -> keras.Model | None:
        return self._current.model

    @property
    def error(self) -> BaseException | None:
        return self._current.error

    @property
    def artifacts(self) -> Path | None:
        return self._current.artifacts

    def checkpoint(self) -> Checkpoint | None:
        """Return None: a trial that is interrupted begins anew, and comes to the same rungs."""
        return None

    def stop(self) -> None:
        """End the trial after what was just yielded; its result is then `stopped`."""
        self._is_stopped = True
        self._current.stop()

    def release(self) -> None:
        """Let go of all that the trial holds but its result."""
        self._pulses.close()
        self._current.release()

    def _of(self, number: int) -> TrainingData:
        """Return the data of a rung, counted from 0; behind the last one, all of them."""
        return some_of(self._data, self._images[number]) if number < len(self._images) else self._data

    def _run(self) -> Generator[tuple[int, Metrics] | Rung | None]:
        for images in self._images:
            for _ in self._current:
                yield None
            result = self._current.result
            if result.state != "complete" or result.score is None:
                return
            self._rungs.append(Rung(images, result.score, len(result.history)))
            yield self._rungs[-1]
            if self._is_stopped:
                return
            self._current.release()
            self._current = self._run_on(self._of(len(self._rungs)))
        yield from self._current


def _run(task: Task, params: Params, data: TrainingData, **options: Any) -> TrialRun:
    return TrialRun(task, params, data, **options)

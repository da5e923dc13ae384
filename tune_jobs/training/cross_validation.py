"""A trial of several folds: a model for each, trained on the rows outside it. Its score is the mean over the folds.

Each fold is a trial of its own (`trial.py`) on the data of the fold: encodings, layers that are adapted and scales
learn from what the fold trains on, and nothing else. A fold that ended is never trained again: it is a row of the
trial's history, and what a checkpoint holds.
"""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tune_jobs.datasets import TrainingData
from tune_jobs.datasets.folds import Folds
from tune_jobs.records import fold_rows
from tune_jobs.records.constraints import Constraint
from tune_jobs.records.per_image import pack, unpack
from tune_jobs.records.trials import Metrics, TrialResult
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.search_spaces.task import Task
from tune_jobs.training.checkpoints import Checkpoint
from tune_jobs.training.trial import Copy, TrialRun

_Floats = NDArray[np.float64]
_NO_ERRORS = np.zeros(0)  # in a checkpoint, of a fold that keeps none


class CrossValidation:
    """A trial as an iterator over its folds, in the form of a `TrialRun`: it yields `(fold, metrics)`, from one.

    It leaves no model: none of the folds' is that of all rows. `pulses` also yields None after each epoch, so that its
    caller can look up between two of them.
    """

    model = None
    artifacts: Path | None = None

    def __init__(
        self,
        task: Task,
        params: Params,
        data: TrainingData,
        *,
        seed: int,
        further_objectives: Sequence[Objective] = (),
        constraints: Sequence[Constraint] = (),
        start: Checkpoint | Copy | None = None,
    ) -> None:
        assert data.folds is not None
        self.result = TrialResult("failed", reason="crashed", message="the trial was left before its end")
        self.error: BaseException | None = None
        self._metric, self._folds = task.objective.metric, data.folds
        of_fold = replace(task, protocol=replace(task.protocol, folds=None))
        self._run_of = functools.partial(
            TrialRun, of_fold, params, further_objectives=further_objectives, constraints=constraints
        )
        self._data, self._seed = data, seed
        self._rows: list[Metrics] = []
        self._errors: list[_Floats] = []  # of what each fold held out
        self._seconds = 0.0
        self._last: TrialResult | None = None  # of the last fold that ran
        self._is_stopped = False
        if isinstance(start, Checkpoint):
            self._resume(start)
        self._pulses = self._run()

    def __iter__(self) -> Iterator[tuple[int, Metrics]]:
        return (pulse for pulse in self._pulses if pulse is not None)

    @property
    def pulses(self) -> Iterator[tuple[int, Metrics] | None]:
        return self._pulses

    @property
    def partial_result(self) -> TrialResult:
        """The result that the trial would have if it were stopped after the fold just yielded."""
        return self._result("stopped")

    def checkpoint(self) -> Checkpoint:
        """Return the folds that have ended."""
        return Checkpoint(tuple(self._errors), (), None, tuple(self._rows), self._seconds)

    def stop(self) -> None:
        """End the trial after the fold just yielded; its result is then `stopped`."""
        self._is_stopped = True

    def release(self) -> None:
        """Let go of all that the trial holds but its result."""
        self._pulses.close()
        self.error = None

    def _resume(self, start: Checkpoint) -> None:
        rows = start.history
        if len(start.variables) == len(rows) <= self._folds.n and all(self._metric in row for row in rows):
            self._rows, self._errors, self._seconds = list(rows), list(start.variables), start.seconds

    def _run(self) -> Generator[tuple[int, Metrics] | None]:
        while len(self._rows) < self._folds.n and not self._is_stopped:
            number = len(self._rows)
            run = self._run_of(data=self._data.fold(number), seed=seed_of(self._seed, number))
            for _ in run:
                yield None
            self._seconds += run.result.train_seconds
            self._last = run.result
            if run.result.state == "failed":
                self.error = run.error
                failed, why = run.result, f"fold {number + 1}: {run.result.message}"
                self.result = replace(self._result("failed"), reason=failed.reason, message=why, metrics=failed.metrics)
                return
            self._rows.append(fold_rows.row_of(run.result))
            self._errors.append(
                _NO_ERRORS if run.result.errors is None else unpack(run.result.errors).astype(np.float64)
            )
            run.release()
            yield number + 1, self._rows[-1]
        if len(self._rows) == self._folds.n:
            self._is_stopped = False  # nothing was cut off
        self.result = self._result("stopped" if self._is_stopped else "complete")

    def _result(self, state: Literal["complete", "stopped", "failed"]) -> TrialResult:
        has_score = bool(self._rows) and state != "failed"
        last = self._last
        return TrialResult(
            state,
            score=fold_rows.score(self._rows, self._metric) if has_score else None,
            best_epoch=fold_rows.usual_epoch(self._rows) if has_score else None,
            metrics=fold_rows.summary(self._rows, self._metric) if has_score else {},
            history=tuple(self._rows),
            train_seconds=self._seconds,
            weights=None if last is None else last.weights,
            errors=_errors_of_rows(self._folds, self._errors) if state == "complete" else None,
            message=None if last is None else last.message,
            pictures=None if last is None or state == "failed" else last.pictures,
        )


def seed_of(seed: int, fold: int) -> int:
    """Return the seed of a fold, counted from 0: folds do not begin with one another's weights, nor do replicates."""
    return int(np.random.SeedSequence((seed, fold)).generate_state(1)[0])


def _errors_of_rows(folds: Folds, parts: Sequence[_Floats]) -> str | None:
    """Return the error of each row that a fold held out, packed, in the order of the rows, so that their mean is that
    of the folds; None if a fold keeps none.

    A row of a small fold counts more than one of a large fold. Where they differ by a row, that is less than a row.
    """
    if not all(len(part) for part in parts):
        return None
    sizes = [len(part) for part in parts]
    rows = np.concatenate([folds.held_out(fold) for fold in range(folds.n)])
    if max(sizes) - min(sizes) > 1:
        parts = [part * (len(rows) / folds.n / len(part)) for part in parts]
    return pack(np.concatenate(parts)[np.argsort(rows)])

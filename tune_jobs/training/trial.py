"""One trial: build, train, score. A plain function that has not heard of Ray, MLflow or Optuna.

The best epoch counts: its score is the trial's, and its weights are the ones the model ends with. Training stops
after `patience` epochs without a better score, and at once when a number is not finite.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from tune_jobs.datasets import TrainingData
from tune_jobs.errors import Reason, TrialError
from tune_jobs.models.presentation import MeanOf, Presentation
from tune_jobs.records.objectives import LATENCY, TRAIN_SECONDS
from tune_jobs.records.per_image import Errors, pack
from tune_jobs.records.trials import Lineage, Metrics, TrialResult
from tune_jobs.search_spaces.protocol import Objective, Protocol
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.search_spaces.task import Task
from tune_jobs.training.checkpoints import Checkpoint
from tune_jobs.training.epochs import KerasTraining, OwnTraining, Training
from tune_jobs.words import one_line

if TYPE_CHECKING:
    from tune_jobs.models.lazy_keras import keras

EpochReporter = Callable[[int, Metrics], bool]  # the epoch, from one, and its metrics; answers whether to stop


def run_trial(
    task: Task,
    params: Params,
    data: TrainingData,
    *,
    seed: int,
    further: Sequence[Objective] = (),
    report: EpochReporter | None = None,
) -> TrialResult:
    """Trains `params` of `task` on `data` and scores them on the validation split.

    A configuration that fails is a result (`failed`, with its reason), not an exception. `report` may answer True to
    stop the trial.
    """
    run = TrialRun(task, params, data, seed=seed, further=further)
    for epoch, metrics in run:
        if report is not None and report(epoch, metrics):
            run.stop()
    return run.result


def again(task: Task, trial: int, params: Params, seed: int, course: Lineage, data: TrainingData) -> TrialRun:
    """A trial to be run once more, to the score it had: of a population the last stretch of its course, from the
    checkpoint that the stretches before it are trained to here."""
    if not course:
        return TrialRun(task, params, data, seed=seed)
    task = replace(task, protocol=replace(task.protocol, patience=None))
    start: Checkpoint | None = None
    for at, stretch in enumerate(course):
        following = course[at + 1] if at + 1 < len(course) else None
        owner = trial if following is None else following.parent
        copies = stretch.parent != owner
        run = TrialRun(task, stretch.params, data, seed=stretch.seed, start=start, copies=copies)
        if following is None:
            break
        for epoch, _ in run:
            if epoch == following.first - 1:
                start = run.checkpoint()
                break
    return run


class TrialRun:
    """A trial as an iterator over its epochs, so that whoever drives it may pause, look and stop between two of them.

    With a checkpoint to `start` from it goes on after that epoch; one that does not fit the model is passed over. From
    that of another trial it `copies` weights and history, and its best epoch is among those to come.
    Yields `(epoch, metrics)` and never raises for a configuration that fails; `result` and `model` are there when it
    is exhausted. `further` are objectives besides the task's own: a trial that completes has them all.
    """

    def __init__(
        self,
        task: Task,
        params: Params,
        data: TrainingData,
        *,
        seed: int,
        further: Sequence[Objective] = (),
        start: Checkpoint | None = None,
        copies: bool = False,
    ) -> None:
        self.result = TrialResult("failed", reason=Reason.CRASHED, message="the trial was left before its end")
        self.model: keras.Model | None = None
        self.error: BaseException | None = None  # that the trial's code raised
        self._progress = _Progress(task.objective)
        self._stopped = False
        self._training: Training | None = None
        self._copies = copies
        self._further = tuple(objective.metric for objective in further)
        self._epochs = self._guarded(task, params, data, seed, start)

    def __iter__(self) -> Iterator[tuple[int, Metrics]]:
        return self._epochs

    @property
    def so_far(self) -> TrialResult:
        """What the trial would come to if it were stopped after the epoch just yielded."""
        return self._progress.result("stopped")

    def checkpoint(self) -> Checkpoint | None:
        """The trial as it is after the epoch just yielded; None where its training cannot be taken up in the middle."""
        progress = self._progress
        if self._training is None or progress.best is None:
            return None
        return self._training.checkpoint(progress.best + 1, progress.history, progress.seconds)

    def stop(self) -> None:
        """Ends the trial after the epoch just yielded: it becomes `stopped`, with what it reached."""
        self._stopped = True

    def drop(self) -> None:
        """Lets go of all that the trial holds but its result: model, training, data, what its error saw."""
        self._epochs.close()
        self.model = self._training = self.error = None

    def _guarded(
        self, task: Task, params: Params, data: TrainingData, seed: int, start: Checkpoint | None
    ) -> Generator[tuple[int, Metrics]]:
        progress = self._progress
        try:
            yield from self._train(progress, task, params, data, seed, start)
            self.result = progress.result("stopped" if self._stopped else "complete")
        except TrialError as error:
            self.result = progress.result("failed", error.reason, str(error))
        except (Exception, SystemExit) as error:  # a user's training may call sys.exit
            self.error = error
            reason = Reason.OUT_OF_MEMORY if _is_out_of_memory(error) else Reason.CRASHED
            self.result = progress.result("failed", reason, one_line(error))

    def _train(
        self,
        progress: _Progress,
        task: Task,
        params: Params,
        data: TrainingData,
        seed: int,
        start: Checkpoint | None,
    ) -> Iterator[tuple[int, Metrics]]:
        kind = OwnTraining if task.train else KerasTraining
        self._training = training = kind(task, params, data, seed)
        self.model, progress.weights = training.model, training.weights
        progress.wanted += tuple(name for name in self._further if name not in (*training.measures, TRAIN_SECONDS))
        if start is not None and training.go_on(start):
            progress.go_on(start, copies=self._copies)
        elif self._copies:
            raise TrialError(Reason.INVALID, "the weights that it was to copy are gone, or another network's")
        epochs = enumerate(progress.timed(training.epochs()), start=len(progress.history) + 1)
        while not (self._stopped or progress.is_at_end(task.protocol)):
            epoch, metrics = next(epochs, (0, None))
            if metrics is None:
                break
            if progress.add(metrics):
                training.keep()
            yield epoch, metrics
        if progress.is_at_end(task.protocol):
            self._stopped = False  # nothing was cut off
        if progress.best is None:
            raise TrialError(Reason.INVALID, "the task's own training ended without an epoch")
        training.restore()
        progress.errors = explaining(progress.score, training.errors(), mean_of_objective(task, params))
        if LATENCY in self._further and LATENCY in training.measures and not self._stopped:
            progress.measured = {LATENCY: training.latency()}


def mean_of_objective(task: Task, params: Params) -> MeanOf | None:
    """Return what the encoding says that the task's objective is the mean of; None where it does not say."""
    if task.train is not None:
        return None
    return Presentation(task.encoding_of(params)).mean_of(task.objective.metric.removeprefix("val_"))


def explaining(score: float, errors: Errors | None, mean_of: MeanOf | None) -> str | None:
    """The errors, packed, if the score is their mean, or the share of images without one; an image or two may fall to
    the other side where two outputs are equal. `mean_of` says which, if the encoding does; else either may be it."""
    if errors is None:
        return None
    means: dict[MeanOf, float] = {"error": float(errors.mean()), "right": 1 - float(errors.mean())}
    possible = means.values() if mean_of is None else (means[mean_of],)
    if not any(math.isclose(score, mean, rel_tol=1e-4, abs_tol=2.5 / len(errors)) for mean in possible):
        return None
    return pack(errors)


class _Progress:
    """What a trial reached so far, and when it ceased to get better."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.wanted: tuple[str, ...] = (objective.metric,)  # of every epoch
        self.measured: Metrics = {}  # after the last one
        self.weights: int | None = None
        self.errors: str | None = None
        self.history: list[Metrics] = []
        self.best: int | None = None  # index of the best epoch
        self.seconds = 0.0

    def go_on(self, start: Checkpoint, *, copies: bool) -> None:
        """Begins with what was reached at a checkpoint; what another trial reached there is not this one's best."""
        self.history, self.seconds = list(start.history), start.seconds
        self.best = None if copies else start.best_epoch - 1

    def timed(self, epochs: Iterator[Metrics]) -> Iterator[Metrics]:
        """The epochs, with the time spent inside them added up."""
        while True:
            started = time.perf_counter()
            metrics = next(epochs, None)
            self.seconds += time.perf_counter() - started
            if metrics is None:
                return
            yield metrics

    def add(self, metrics: Metrics) -> bool:
        """Notes an epoch; whether it is the best so far.

        Raises:
            TrialError: if a number is not finite, or the objective is not among them.
        """
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise TrialError(Reason.DIVERGED, f"{name} was {value} in epoch {len(self.history) + 1}")
        self.history.append(metrics)
        for wanted in self.wanted:
            if wanted not in metrics:
                came = ", ".join(metrics)
                raise TrialError(Reason.INVALID, f"no metric {wanted!r} to judge by; the trial has {came}")
        if self.best is None or self.objective.is_better(metrics[self.objective.metric], self.score):
            self.best = len(self.history) - 1
            return True
        return False

    @property
    def score(self) -> float:
        """The best so far; there is one after the first epoch."""
        assert self.best is not None
        return self.history[self.best][self.objective.metric]

    def is_at_end(self, protocol: Protocol) -> bool:
        """Whether all epochs are trained, or so many without a better score that training ends."""
        flat = 0 if self.best is None else len(self.history) - 1 - self.best
        return len(self.history) >= protocol.epochs or (protocol.patience is not None and flat >= protocol.patience)

    def result(
        self, state: Literal["complete", "stopped", "failed"], reason: str | None = None, message: str | None = None
    ) -> TrialResult:
        best = self.history[self.best] if self.best is not None and state != "failed" else None
        return TrialResult(
            state=state,
            score=None if best is None else best[self.objective.metric],
            best_epoch=None if best is None or self.best is None else self.best + 1,
            metrics={} if best is None else {**best, **self.measured},
            history=tuple(self.history),
            train_seconds=self.seconds,
            weights=self.weights,
            errors=self.errors,
            reason=None if reason is None else str(reason),
            message=message,
        )


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether host or device had no memory left; by name, so that a trial without TensorFlow does not import it."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"

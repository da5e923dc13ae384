"""One trial: build, train, score. It knows nothing of Ray, MLflow or Optuna.

The best epoch counts: its score is the trial's, and the model ends with its weights. Training stops after `patience`
epochs without a better score, and at once when a number that matters is not finite.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tune_jobs.datasets import AnyTrainingData, StreamedData
from tune_jobs.errors import Reason, TrialError
from tune_jobs.models.means import MeanOf
from tune_jobs.models.presentation import Presentation
from tune_jobs.records import trial_pictures
from tune_jobs.records.constraints import Constraint
from tune_jobs.records.objectives import LATENCY, PARAMETERS, TRAIN_SECONDS
from tune_jobs.records.per_image import Errors, pack
from tune_jobs.records.trial_pictures import EpochPictures
from tune_jobs.records.trials import Metrics, TrialResult
from tune_jobs.search_spaces.protocol import Objective, TaskError
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.search_spaces.task import Task
from tune_jobs.training import limits, own_answers
from tune_jobs.training.checkpoints import Checkpoint
from tune_jobs.training.epochs import KerasTraining, Training
from tune_jobs.training.history import EpochHistory
from tune_jobs.training.own_code import FunctionRun, OwnTraining
from tune_jobs.words import one_line

if TYPE_CHECKING:
    from tune_jobs.models.lazy_keras import keras


@dataclass(frozen=True)
class Copy:
    """The checkpoint of another trial, to start from; None if it is gone.

    Weights and history are copied, but the best epoch is to be among those that follow.
    """

    checkpoint: Checkpoint | None


class TrialRun:
    """A trial as an iterator over its epochs, so that its caller can pause, look and stop between two of them.

    It yields `(epoch, metrics)`, and never raises for a configuration that fails, but TaskError for what no trial of
    the task could do. `result` and `model` are final once it is exhausted. A trial that completes has a value for each
    of `further_objectives` and `constraints`, too. One that is known to break a constraint before its first epoch fails
    there.

    With a checkpoint to `start` from, the trial resumes after that epoch; a checkpoint that does not fit the model is
    ignored. With a `Copy` that does not fit, the trial fails.
    """

    def __init__(
        self,
        task: Task,
        params: Params,
        data: AnyTrainingData | None,
        *,
        seed: int,
        further_objectives: Sequence[Objective] = (),
        constraints: Sequence[Constraint] = (),
        start: Checkpoint | Copy | None = None,
    ) -> None:
        self.result = TrialResult("failed", reason=Reason.CRASHED, message="the trial was left before its end")
        self.model: keras.Model | None = None
        self.error: BaseException | None = None  # that the trial's code raised
        self._history = EpochHistory(task.objective, task.protocol)
        self._further = tuple(objective.metric for objective in further_objectives)
        self._training: Training | None = None
        self._is_stopped = False
        self._constraints = tuple(constraints)
        self._own_values = functools.partial(limits.own_values, task, params)
        self._measured: dict[str, float] = {}  # before the first epoch, and after the last
        self._pictures: dict[str, str] | None = None  # of the model with the best epoch's weights, packed
        self._progress: list[EpochPictures] = []
        self._why_no_pictures: str | None = None
        self._errors: str | None = None  # of each validation image at the best epoch, packed
        self._pack = functools.partial(pack_matching, is_of_folds=task.protocol.folds is not None)
        self._mean_of = functools.partial(mean_of_score, task, params)  # later: an encoding may refuse the params
        self._epochs = self._run(functools.partial(_training_of, task, params, data, seed), start)

    def __iter__(self) -> Iterator[tuple[int, Metrics]]:
        return self._epochs

    @property
    def pulses(self) -> Iterator[tuple[int, Metrics] | None]:
        """The same: an epoch is as short as a caller may have to wait."""
        return self._epochs

    @property
    def partial_result(self) -> TrialResult:
        """The result that the trial would have if it were stopped after the epoch just yielded."""
        return self._result("stopped")

    def checkpoint(self) -> Checkpoint | None:
        """Return the trial's state after the epoch just yielded; None if its training cannot be resumed."""
        history = self._history
        if self._training is None:
            return None
        checkpoint = self._training.checkpoint(history.best_epoch, history.epochs, history.seconds)
        return None if checkpoint is None else replace(checkpoint, progress=tuple(self._progress))

    @property
    def artifacts(self) -> Path | None:
        """The folder of the files that the trial reports, until it is released; None if it reports none."""
        return None if self._training is None else self._training.artifacts

    def stop(self) -> None:
        """End the trial after the epoch just yielded; its result is then `stopped`."""
        self._is_stopped = True

    def release(self) -> None:
        """Let go of all that the trial holds but its result: the model, its training, the data, the error's frames."""
        self._epochs.close()
        if self._training is not None and self.error is None:
            self._training.release()
        self.model = self._training = self.error = None

    def _run(
        self, make_training: Callable[[], Training], start: Checkpoint | Copy | None
    ) -> Generator[tuple[int, Metrics]]:
        try:
            self._measured = self._own_values()
            limits.check(self._constraints, self._measured)
            self._training = training = make_training()
            self.model = training.model
            if PARAMETERS in training.known_objectives:
                limits.check(self._constraints, {PARAMETERS: training.n_weights})
            self._require_metrics(training)
            self._resume(training, start)
            yield from self._train(training)
            self._finish(training)
            self.result = self._result("stopped" if self._is_stopped else "complete")
        except TrialError as error:
            self.result = self._result("failed", error.reason, str(error))
        except TaskError:  # it would end every trial
            raise
        except (Exception, SystemExit) as error:  # a user's training may call sys.exit
            self.error = error
            reason = Reason.OUT_OF_MEMORY if _is_out_of_memory(error) else Reason.CRASHED
            self.result = self._result("failed", reason, one_line(error))

    def _require_metrics(self, training: Training) -> None:
        """Require of the epochs what shows how the training goes, and further objectives that nothing else measures."""
        measured = (*training.known_objectives, TRAIN_SECONDS, *self._measured)
        needed = dict.fromkeys((*self._further, *(constraint.name for constraint in self._constraints)))
        self._history.required += tuple(name for name in needed if name not in measured)
        self._history.must_be_finite = training.must_be_finite
        self._history.may_skip = not training.scores_each_epoch

    def _resume(self, training: Training, start: Checkpoint | Copy | None) -> None:
        checkpoint = start.checkpoint if isinstance(start, Copy) else start
        if checkpoint is not None and training.resume(checkpoint):
            self._history.resume(checkpoint, is_copy=isinstance(start, Copy))
            self._progress = list(checkpoint.progress)
        elif isinstance(start, Copy):
            raise TrialError(Reason.INVALID, "the weights that it was to copy are gone, or another network's")

    def _train(self, training: Training) -> Iterator[tuple[int, Metrics]]:
        history = self._history
        epochs = history.timed(training.epochs())
        while not (self._is_stopped or history.is_over):
            metrics = next(epochs, None)
            if metrics is None:
                break
            if history.add(metrics):
                training.save_best()
            if trial_pictures.is_kept(len(history)):
                self._draw(training, len(history))
            yield len(history), history.epochs[-1]
        if history.is_over:
            self._is_stopped = False  # nothing was cut off
        if history.best_epoch is None:
            raise history.without_score()

    def _finish(self, training: Training) -> None:
        """Restore the best epoch's weights, and measure what is measured once a trial."""
        training.restore_best()
        if not self._is_stopped:  # one that was might have become a result
            own_answers.check(self.model, self._history.best or {})
        mean_of = self._mean_of(self.model)
        if mean_of is not None:
            self._errors = self._pack(training.validation_errors(), self._history.score, mean_of)
        self._draw(training)
        needs_latency = LATENCY in self._further or any(limit.name == LATENCY for limit in self._constraints)
        if needs_latency and LATENCY in training.known_objectives and not self._is_stopped:
            self._measured |= {LATENCY: training.measure_latency()}

    def _draw(self, training: Training, epoch: int | None = None) -> None:
        """Make the pictures of the model. What is wrong with them costs the pictures and not the trial."""
        try:
            drawn = training.pictures(epoch)
        except Exception as error:  # of the task's own code
            after = "" if epoch is None else f" of epoch {epoch}"
            self._why_no_pictures = f"it has no pictures{after}: {one_line(error)}"
            return
        if epoch is None:
            self._pictures = drawn
        elif drawn:
            self._progress.append(EpochPictures(epoch, drawn))

    def _result(
        self, state: Literal["complete", "stopped", "failed"], reason: str | None = None, message: str | None = None
    ) -> TrialResult:
        history = self._history
        best = None if state == "failed" else history.best
        return TrialResult(
            state=state,
            score=None if best is None else history.score,
            best_epoch=None if best is None else history.best_epoch,
            metrics={**(best or {}), **self._measured},
            history=tuple(history.epochs),
            train_seconds=history.seconds,
            weights=None if self._training is None else self._training.n_weights,
            errors=self._errors,
            reason=None if reason is None else str(reason),
            message=message or self._why_no_pictures,
            pictures=self._pictures,
            progress=tuple(self._progress),
        )


def _training_of(task: Task, params: Params, data: AnyTrainingData | None, seed: int) -> Training:
    if task.run is not None:
        return FunctionRun(task, params, seed)
    assert data is not None  # only a function that is run has none
    if task.train is None:
        return KerasTraining(task, params, data, seed)
    assert not isinstance(data, StreamedData)  # a task refuses that
    return OwnTraining(task, params, data, seed)


def mean_of_score(task: Task, params: Params, model: keras.Model | None) -> MeanOf | None:
    """Return what a trial's score is said to be of the errors of the validation images; None if that is not said."""
    return mean_of_objective(task, params, model) if task.objective.metric.startswith("val_") else None


def mean_of_objective(task: Task, params: Params, model: keras.Model | None) -> MeanOf | None:
    """Return what the task's objective, on any split, is the mean of; None if neither model nor encoding says it."""
    if task.trains_itself:
        return None
    metric = task.objective.metric.removeprefix("val_")
    if own_answers.has_image_errors(model):
        return own_answers.mean_of(model, metric)
    return Presentation(task.encoding_of(params)).mean_of(metric)


def pack_matching(errors: Errors | None, score: float, mean_of: MeanOf, *, is_of_folds: bool = False) -> str | None:
    """Return the errors of each image, packed, if the score is their mean or 1 less it, as `mean_of` says; else None.

    A model that its builder compiled may have another metric of the same name, such as an accuracy in which weights
    count. Where two outputs are equal, an image or two may count differently; but a share of images is one of whole
    images, unless it is the mean over folds, which may differ in size.
    """
    if errors is None:
        return None
    mean = float(errors.mean()) if mean_of == "error" else 1 - float(errors.mean())
    is_that = math.isclose(score, mean, rel_tol=1e-4, abs_tol=2.5 / len(errors))
    is_that = is_that and (is_of_folds or not _are_counted(errors) or _is_whole(score * len(errors)))
    return pack(errors) if is_that else None


def _are_counted(errors: Errors) -> bool:
    return bool(((errors == 0) | (errors == 1)).all())


def _is_whole(n_images: float) -> bool:
    """Return True for a number of images that was computed from a float32."""
    return math.isclose(n_images, round(n_images), rel_tol=2e-7, abs_tol=0.02)


def _is_out_of_memory(error: BaseException) -> bool:
    """Return True if host or device ran out of memory.

    TensorFlow's error is recognized by its name, so that a trial without TensorFlow does not import it.
    """
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"

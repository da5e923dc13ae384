"""Score a finalist on the test split: with its kept weights, or after its model was trained again from its seed.

A plain function that knows nothing of Ray. It gets the test split from `execution/evaluating.py`, its only reader.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from tune_jobs.datasets import AnyTrainingData, TrainingData
from tune_jobs.datasets.dataset import Split
from tune_jobs.errors import Reason, TrialError
from tune_jobs.models.means import MeanOf
from tune_jobs.models.presentation import Presentation
from tune_jobs.records import readings
from tune_jobs.records.objectives import metric_on_test
from tune_jobs.records.trials import Metrics, TestResult, TrialRecord
from tune_jobs.search_spaces.task import Task
from tune_jobs.training import on_all_rows, own_answers, weights
from tune_jobs.training.runs import rerun
from tune_jobs.training.trial import mean_of_objective, pack_matching
from tune_jobs.training.weights import Weights
from tune_jobs.words import one_line

if TYPE_CHECKING:
    from tune_jobs.models.label_encodings import LabelEncoding
    from tune_jobs.models.lazy_keras import keras


def score(
    task: Task, trial: TrialRecord, data: AnyTrainingData, test: Split | None, kept_weights: Weights | None
) -> TestResult:
    """Return the scores of a complete trial's model on the test split; `kept_weights` are those of the study.

    Of streamed data, whose test part is opened here, nothing is kept of each row.

    Kept weights are used if they are this trial's, by its validation score. Otherwise the model is trained anew, up to
    the trial's best epoch, and the result says so. That of a cross-validated trial is trained on all rows, and has no
    validation score.

    Raises:
        TrialError: the model could not be trained again, or nothing scores it.
    """
    kept = weights.scored_model(task, trial, data, kept_weights)
    model, val_score = kept or _trained(task, trial, data)
    return replace(_tested(task, trial, model, test), val_score=val_score, is_retrained=kept is None)


def _tested(task: Task, trial: TrialRecord, model: keras.Model, test: Split | None) -> TestResult:
    metrics = _metrics(task, trial, model, test)
    if test is None:
        return TestResult(metrics)
    mean_of, encoding = mean_of_objective(task, trial.params, model), task.encoding_of(trial.params)
    if own_answers.has_image_errors(model):
        return TestResult(metrics, _own_errors(task, trial, model, test, mean_of, metrics))
    if mean_of is None and Presentation(encoding).scale is None:
        return TestResult(metrics)
    try:
        errors, read, worst = _of_each_image(task, encoding, model, test, mean_of, metrics)
    except ValueError as error:  # of an encoding whose answers have another form
        raise TrialError(Reason.INVALID, one_line(error)) from error
    return TestResult(metrics, errors, readings=read, worst=worst)


def _metrics(task: Task, trial: TrialRecord, model: keras.Model, test: Split | None) -> dict[str, float]:
    from tune_jobs.training import compiled, parts

    part = parts.scored_on(task, trial.params, test, "test")
    batch_size = task.route(trial.params).batch_size
    scored = compiled.CompiledEpochs(model, batch_size=batch_size, seed=trial.seed).evaluate(part)
    scored |= own_answers.further_scores(model, None if test is None else test.x, thorough=True)
    if not scored:
        raise TrialError(Reason.INVALID, "its model has neither a test_step nor a loss: nothing scores it on new data")
    return {f"test_{name}": value for name, value in scored.items() if math.isfinite(value)}


def _own_errors(
    task: Task, trial: TrialRecord, model: keras.Model, test: Split, mean_of: MeanOf | None, metrics: Metrics
) -> str | None:
    """Return the errors of the images that the model itself states, packed, if the objective is their mean."""
    score = metrics.get(metric_on_test(task.objective))
    if mean_of is None or score is None:
        return None
    errors = own_answers.image_errors(model, test.x, task.route(trial.params).batch_size)
    return pack_matching(errors, score, mean_of)


def _of_each_image(
    task: Task, encoding: LabelEncoding, model: keras.Model, test: Split, mean_of: MeanOf | None, metrics: Metrics
) -> tuple[str | None, str | None, str | None]:
    """Return the errors of the images, what was read of them, and the worst, packed, as far as they are kept."""
    from tune_jobs.training import compiled

    predicted, score = encoding.decode(compiled.predict(model, test.x)), metrics.get(metric_on_test(task.objective))
    errors = None
    if mean_of is not None and score is not None:
        metric = task.objective.metric.removeprefix("val_")
        own = Presentation(encoding).errors_of(metric, predicted, test.labels)
        errors = pack_matching(own, score, mean_of)
    return errors, *readings.pack_evaluation(encoding, predicted, test.labels, test.x)


def _trained(task: Task, trial: TrialRecord, data: AnyTrainingData) -> tuple[keras.Model, float | None]:
    if task.protocol.folds is not None:
        assert isinstance(data, TrainingData)
        model = on_all_rows.trained_model(task, trial.params, data, seed=trial.seed, epochs=trial.best_epoch or 1)
        return model, None
    run = rerun(task, trial.number, trial.params, trial.seed, trial.course, data)
    for epoch, _ in run:
        if epoch == trial.best_epoch:
            run.stop()  # later epochs were no better
    if run.model is None or run.result.score is None:
        raise TrialError(run.result.reason or "crashed", run.result.message or "no model came out")
    return run.model, run.result.score

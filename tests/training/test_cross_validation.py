"""Cross-validated trials: the mean over folds, no row judged by a model that saw it, no fold trained twice."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.trials import trial_record
from tune_jobs import datasets
from tune_jobs.datasets import TrainingData
from tune_jobs.leaderboard.ranking import rank, with_uncertainty
from tune_jobs.models.label_encodings import Classes, Head
from tune_jobs.models.lazy_keras import keras
from tune_jobs.models.regression import Regression
from tune_jobs.records.constraints import Constraint
from tune_jobs.records.per_image import unpack
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces import Choice, Data, Objective, Protocol, Space, Task
from tune_jobs.training import on_all_rows
from tune_jobs.training.checkpoints import Checkpoint
from tune_jobs.training.cross_validation import CrossValidation, seed_of
from tune_jobs.training.runs import run_trial
from tune_jobs.training.trial import TrialRun

RNG = np.random.default_rng(0)
X = RNG.normal(size=(91, 3))
LABELS = (X.sum(axis=1) + RNG.normal(size=91) > 0).astype(int)
TEST = X[:10], LABELS[:10]
ACCURACY, TWO = Objective("val_accuracy", "maximize"), Classes(2)
seen: list[Any] = []  # by the task's own loop


def load() -> Any:
    return Data((X, LABELS), TEST)


def in_groups() -> Any:
    return Data((X, LABELS), TEST, groups=np.minimum(np.arange(91) // 10, 3))


def prices() -> Any:
    return Data((X, 1000 * X[:, 0] + 5000), (X[:10], 1000 * X[:10, 0]))


def mean_rule(params: Mapping[str, Any], data: TrainingData, *, seed: int, epochs: int) -> Iterator[dict[str, float]]:
    """A threshold at the mean of what is trained on; the second epoch is the best."""
    seen.append((data, seed))
    if params.get("bad") == len(seen):
        raise RuntimeError("no luck")
    middle = data.train.x.sum(axis=1).mean()
    right = (data.validation.x.sum(axis=1) > middle) == (data.validation.labels > 0)
    for epoch in range(1, epochs + 1):
        yield {"val_accuracy": float(right.mean()) - 0.1 * abs(epoch - 2), "rows": float(len(data.train))}


def own(**protocol: Any) -> Task:
    return Task(
        "own",
        Space(bad=Choice(0, 2)),
        ACCURACY,
        dataset=load,
        train=mean_rule,
        protocol=Protocol(**{"epochs": 3, "folds": 4} | protocol),
    )


def build(*, input_shape: Any, head: Head, width: int) -> Any:
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, head(keras.layers.Dense(width, activation="tanh")(inputs)))


def dense(encoding: Any = TWO, dataset: Any = load, objective: Objective = ACCURACY, **protocol: Any) -> Task:
    return Task(
        "dense",
        Space(width=Choice(2, 4), learning_rate=Choice(0.01)),
        objective,
        dataset=dataset,
        build=build,
        encoding=encoding,
        protocol=Protocol(**{"epochs": 2, "folds": 3, "batch_size": 16} | protocol),
    )


def data_of(task: Task, tmp_path: Any = None) -> TrainingData:
    loaded = datasets.training_data(task, tmp_path)
    assert isinstance(loaded, TrainingData)
    return loaded


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


def test_the_score_is_the_mean_over_the_folds_and_each_fold_is_a_row() -> None:
    task = own()
    result = run_trial(task, {"bad": 0}, data_of(task), seed=3)
    scores = [row["val_accuracy"] for row in result.history]
    assert (result.state, len(scores)) == ("complete", 4)
    assert result.score == statistics.fmean(scores)
    assert result.metrics["val_accuracy"] == result.score
    assert result.metrics["val_accuracy_std"] == statistics.stdev(scores) > 0
    assert result.best_epoch == 2
    assert [(row["fold_best_epoch"], row["fold_epochs"]) for row in result.history] == [(2, 3)] * 4
    assert [row["rows"] for row in result.history] == [68, 68, 68, 69]


def test_no_row_is_judged_by_a_model_that_was_trained_on_it() -> None:
    task = own()
    run_trial(task, {"bad": 0}, data_of(task), seed=3)
    held_out = [{*map(tuple, part.validation.x)} for part, _ in seen]
    assert sum(map(len, held_out)) == len(set.union(*held_out)) == 91
    assert not any({*map(tuple, part.train.x)} & held for (part, _), held in zip(seen, held_out, strict=True))


def test_each_fold_has_a_seed_of_its_own_which_no_replicate_has() -> None:
    task = own()
    run_trial(task, {"bad": 0}, data_of(task), seed=3)
    assert [seed for _, seed in seen] == [seed_of(3, fold) for fold in range(4)]
    assert len({seed_of(seed, fold) for seed in range(50) for fold in range(10)}) == 500


def test_patience_ends_each_fold_by_itself() -> None:
    task = own(epochs=9, patience=1)
    assert [row["fold_epochs"] for row in run_trial(task, {"bad": 0}, data_of(task), seed=3).history] == [3] * 4


def test_a_fold_that_fails_fails_the_trial_and_is_named() -> None:
    task = own()
    result = run_trial(task, {"bad": 2}, data_of(task), seed=3)
    assert (result.state, result.reason, result.score, result.best_epoch) == ("failed", "crashed", None, None)
    assert result.message == "fold 2: RuntimeError: no luck"
    assert len(result.history) == 1


def test_a_trial_goes_on_at_the_fold_at_which_it_ended() -> None:
    task = own()
    data = data_of(task)
    whole = run_trial(task, {"bad": 0}, data, seed=3)
    seen.clear()
    first = CrossValidation(task, {"bad": 0}, data, seed=3)
    for fold, _ in first:
        if fold == 2:
            break
    content = first.checkpoint().to_bytes()
    first.release()
    seen.clear()
    second = CrossValidation(task, {"bad": 0}, data, seed=3, start=Checkpoint.from_bytes(content))
    assert [fold for fold, _ in second] == [3, 4]
    assert len(seen) == 2
    assert replace(second.result, train_seconds=0) == replace(whole, train_seconds=0)


def test_a_checkpoint_of_something_else_is_left_alone() -> None:
    task = own()
    other = Checkpoint((np.zeros(3),), (), 1, ({"loss": 1.0},), 0.0)
    run = CrossValidation(task, {"bad": 0}, data_of(task), seed=3, start=other)
    assert [fold for fold, _ in run] == [1, 2, 3, 4]


def test_a_trial_that_is_stopped_has_the_mean_of_the_folds_it_had() -> None:
    task = own()
    result = run_trial(task, {"bad": 0}, data_of(task), seed=3, report=lambda fold, _: fold == 2)
    assert (result.state, len(result.history), result.errors) == ("stopped", 2, None)
    assert result.score == statistics.fmean(row["val_accuracy"] for row in result.history)
    whole = run_trial(task, {"bad": 0}, data_of(task), seed=3, report=lambda fold, _: fold == 4)
    assert whole.state == "complete"


def test_a_caller_can_look_up_between_epochs() -> None:
    task = own(epochs=2)
    pulses = list(CrossValidation(task, {"bad": 0}, data_of(task), seed=3).pulses)
    assert [None if pulse is None else pulse[0] for pulse in pulses] == [
        part for fold in range(1, 5) for part in (None, None, fold)
    ]


def record_of(task: Task, params: Any, number: int, seed: int = 0) -> TrialRecord:
    result = vars(run_trial(task, params, data_of(task), seed=seed))
    return trial_record(number, params, seed, **result)


@pytest.mark.slow
def test_the_leaderboard_has_an_interval_over_the_rows_of_all_folds() -> None:
    task = dense()
    trials = [record_of(task, {"width": width, "learning_rate": 0.01}, width) for width in (2, 4)]
    for trial in trials:
        errors = unpack(trial.errors or "")
        assert len(errors) == 91
        assert trial.score == pytest.approx(1 - errors.mean(), abs=1 / 91)
        assert errors.dtype == np.uint8
    rows = with_uncertainty(rank(trials, ACCURACY), trials, ACCURACY)
    for row in rows:
        low, high = row.interval or (0, 0)
        assert low < row.score < high
        assert high - low == pytest.approx(4 * (row.score * (1 - row.score) / 91) ** 0.5, rel=0.1)


@pytest.mark.slow
def test_a_small_fold_counts_as_much_as_a_large_one() -> None:
    task = dense(dataset=in_groups)
    result = run_trial(task, {"width": 4, "learning_rate": 0.01}, data_of(task), seed=0)
    errors = unpack(result.errors or "")
    assert result.score == pytest.approx(1 - errors.mean(), abs=1e-6)
    assert len(errors) == 91


@pytest.mark.slow
def test_a_fold_is_what_a_trial_of_its_data_alone_would_be() -> None:
    """Scales, layers that are adapted and class weights are of what the fold trains on."""
    task = dense(Regression("euros"), prices, Objective("val_mae", "minimize"))
    data, params = data_of(task), {"width": 4, "learning_rate": 0.01}
    result = run_trial(task, params, data, seed=5)
    of_one = replace(task, protocol=replace(task.protocol, folds=None))
    for fold, row in enumerate(result.history):
        alone = TrialRun(of_one, params, data.fold(fold), seed=seed_of(5, fold))
        list(alone)
        assert alone.result.score == row["val_mae"]
        scale = alone.model.get_layer("measurement")
        assert scale.offset == [pytest.approx(data.fold(fold).train.labels.mean())]


@pytest.mark.slow
def test_the_model_of_all_rows_is_trained_on_all_of_them_and_scored_on_none() -> None:
    task = dense(Regression("euros"), prices, Objective("val_mae", "minimize"))
    data, heard = data_of(task), list[Any]()
    params = {"width": 4, "learning_rate": 0.01}
    model = on_all_rows.trained_model(
        task, params, data, seed=5, epochs=3, report=lambda epoch, metrics: heard.append((epoch, {*metrics}))
    )
    assert heard == [(epoch, {"loss", "mae", "rmse", "r2"}) for epoch in (1, 2, 3)]
    assert model.get_layer("measurement").offset == [pytest.approx(data.train.labels.mean())]


def test_a_limit_that_is_known_before_training_ends_the_first_fold() -> None:
    seen.clear()
    task = replace(own(), constraints=lambda params: {"cost": 7.0})
    data = datasets.training_data(task, Path("nowhere"))
    result = run_trial(task, {"bad": 0}, data, seed=0, constraints=[Constraint("cost", "<=", 5.0)])
    assert (result.state, result.reason, result.metrics) == ("failed", "infeasible", {"cost": 7.0})
    assert result.message == "fold 1: cost would be 7, and needs cost<=5"
    assert not seen

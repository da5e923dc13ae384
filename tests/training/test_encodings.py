"""Encodings that are made of the training part, and those of several outputs, in trials."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from tests.support.beside_fit import assert_same_weights
from tune_jobs import datasets
from tune_jobs.actions import session
from tune_jobs.datasets import TrainingData
from tune_jobs.errors import DataError
from tune_jobs.execution.plan import StudyInputs
from tune_jobs.models.label_encodings import Binary, Classes
from tune_jobs.models.regression import Regression
from tune_jobs.records.per_image import unpack
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task, TaskError
from tune_jobs.training import compiled
from tune_jobs.training.trial import TrialRun

X = np.random.default_rng(0).normal(size=(120, 4))
PRICES = 50_000 + 20_000 * X.sum(axis=1)
NAMES = np.where(X[:, 0] > 0, "warm", "cold").astype(object)


def load_prices() -> Any:
    return (X[:100], PRICES[:100]), (X[100:], PRICES[100:])


def build(*, input_shape: Any, head: Any, width: int) -> keras.Model:
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, head(keras.layers.Dense(width, activation="relu")(inputs)))


PRICE = Task(
    "prices",
    Space(width=Choice(8, 4), learning_rate=Choice(0.05)),
    Objective("val_mae", "minimize"),
    dataset=load_prices,
    protocol=Protocol(epochs=8, batch_size=16, validation=0.25),
    build=build,
    encoding=Regression("euros"),
)


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return datasets.load_for_task(PRICE, tmp_path_factory.mktemp("data")).training


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_errors_of_a_regression_are_in_the_unit_of_its_labels(precision: Any, prices: TrainingData) -> None:
    task = replace(PRICE, protocol=replace(PRICE.protocol, precision=precision))
    run = TrialRun(task, task.baseline, prices, seed=0)
    list(run)
    assert (run.result.state, run.result.message) == ("complete", None)
    assert 500 < run.result.score < 20_000  # of labels that lie about 40,000 apart
    assert run.model is not None
    read = compiled.predict(run.model, prices.validation.x)[:, 0]
    errors = np.abs(read - prices.validation.labels)
    assert run.result.errors is not None
    np.testing.assert_allclose(unpack(run.result.errors), errors, rtol=1e-3)
    assert errors.mean() == pytest.approx(run.result.score, rel=1e-3)
    assert run.result.metrics["val_loss"] < 1  # of labels that are scaled


@pytest.mark.slow
def test_several_outputs_have_an_encoding_each() -> None:
    task = replace(
        PRICE,
        encoding={"price": Regression("euros"), "kind": Binary("cold", "warm")},
        objective=Objective("val_kind_accuracy", "maximize"),
    )
    splits = [
        datasets.Split(X[rows], {"price": PRICES[rows], "kind": NAMES[rows]}) for rows in (slice(80), slice(80, 120))
    ]
    run = TrialRun(task, task.baseline, TrainingData("own", *splits, "none"), seed=0)
    list(run)
    assert (run.result.state, run.result.message) == ("complete", None)
    assert {"val_price_mae", "val_kind_auc"} <= run.result.metrics.keys()
    assert run.result.score > 0.8
    assert run.model is not None
    read = task.encoding_of(task.baseline).decode(compiled.predict(run.model, X[80:]))
    assert np.mean(read["kind"] == NAMES[80:]) == pytest.approx(run.result.score)
    assert unpack(run.result.errors or "").tolist() == (read["kind"] != NAMES[80:]).tolist()


@pytest.mark.parametrize(
    ("encoding", "metric", "unit"),
    [
        (Regression("euros"), "val_rmse", "euros"),
        (Regression("euros"), "val_r2", ""),
        ({"kind": Binary(), "size": Regression("cm")}, "val_size_mae", "cm"),
        (Classes(2), "val_accuracy", ""),
    ],
)
def test_a_launch_notes_the_unit_of_the_objective(encoding: Any, metric: str, unit: str, prices: TrainingData) -> None:
    task = replace(PRICE, encoding=encoding, objective=Objective(metric, "minimize"))
    inputs = StudyInputs(task, task.digest(), task.name, task.space, 0, prices, further=(), with_paths=(), code=None)
    assert session.launch_note("random", 1, inputs).unit == unit


def test_a_mapping_of_encodings_is_checked_and_counts_in_the_digest() -> None:
    both = {"a": Binary(), "b": Regression()}
    assert (
        replace(PRICE, encoding=both).digest() != replace(PRICE, encoding={"a": Binary(), "c": Regression()}).digest()
    )
    with pytest.raises(TaskError, match="encoding of 'a' needs to be a label encoding"):
        replace(PRICE, encoding={"a": "binary"})


@pytest.mark.slow
def test_classes_are_weighted_as_in_fit() -> None:
    labels = (X[:, 0] > 0.5).astype(int)
    data = TrainingData("own", datasets.Split(X[:90], labels[:90]), datasets.Split(X[90:], labels[90:]), "none")
    protocol = Protocol(epochs=1, batch_size=90, validation=0.25, class_weight={1: 5.0})
    task = replace(PRICE, encoding=Classes(2), protocol=protocol, objective=Objective("val_loss", "minimize"))
    run = TrialRun(task, task.baseline, data, seed=3)
    list(run)
    from tune_jobs.training import epochs

    model = epochs.build_model(task, task.baseline, data, seed=3)
    model.fit(X[:90], labels[:90], batch_size=90, shuffle=False, verbose=0, class_weight={1: 5.0})
    assert run.model is not None
    assert_same_weights(run.model, model)
    plain = TrialRun(replace(task, protocol=replace(protocol, class_weight=None)), task.baseline, data, seed=3)
    assert next(iter(plain))[1]["loss"] != run.result.metrics["loss"]


@pytest.mark.parametrize("labels", [np.array([[0], [2], [1]]), np.eye(3)[[0, 2, 1]], np.array([0.0, 2.0, 1.0])])
def test_a_weight_goes_to_the_rows_of_its_class(labels: np.ndarray) -> None:
    from tune_jobs.training import class_weights

    assert class_weights.of_rows(labels, {"2": 3.0, "7": 9.0}).tolist() == [1, 3, 1]


def test_class_weights_are_kept_in_json_and_count_in_the_protocol() -> None:
    weighted = Protocol(epochs=1, class_weight={0: 2, 3: 1.5})
    assert Protocol(**json.loads(json.dumps(weighted.to_dict()))) == weighted
    assert weighted.special == ("classes weighted",)
    assert "class_weight" not in Protocol(epochs=1).to_dict()


def test_class_weights_beside_other_weights_are_refused(tmp_path: Any) -> None:
    weighted = Protocol(epochs=1, validation=0.25, class_weight={"0": 2})
    rows = X[:100], (X[:100, 0] > 0).astype(int), np.ones(100)
    task = replace(PRICE, encoding=Classes(2), protocol=weighted, dataset=lambda: (rows, rows))
    with pytest.raises(DataError, match="rows have weights, and the protocol has class_weight"):
        datasets.load_for_task(task, tmp_path)
    for wrong in ({"a": 1.0}, {0: -1.0}, [1.0], {}):
        with pytest.raises(TaskError, match="Protocol needs class_weight"):
            Protocol(class_weight=wrong)  # type: ignore[arg-type]

"""Several inputs and outputs, weights, texts: a model is given what Keras' `fit` would give it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from tests.support.beside_fit import assert_same
from tune_jobs import datasets
from tune_jobs.datasets import TrainingData
from tune_jobs.datasets.dataset import Split
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task, TaskError
from tune_jobs.training import compiled, tensorflow_process
from tune_jobs.training.runs import run_trial
from tune_jobs.training.trial import TrialRun

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
Y = (X.sum(axis=1) > 0).astype(int)
WEIGHTS = RNG.random(120)
WORDS = np.array(["good film" if label else "bad film" for label in Y], object)


def data_of(x: Callable[[slice], Any], labels: Callable[[slice], Any], weights: Any = None) -> TrainingData:
    rows = slice(90), slice(90, 120)
    splits = [Split(x(part), labels(part), None if weights is None else weights(part)) for part in rows]
    return TrainingData("own", splits[0], splits[1], "none")


def dense(*sizes: int, kind: Any = keras.Sequential, **compiling: Any) -> keras.Model:
    tensorflow_process.reset(5)
    model = kind([keras.Input((4,)), *(keras.layers.Dense(size) for size in sizes)])
    model.compile(**{"optimizer": keras.optimizers.SGD(0.1), "loss": "mse", "metrics": ["mae"]} | compiling)
    return model


@pytest.mark.slow
def test_several_inputs_and_outputs_by_name() -> None:
    def make() -> keras.Model:
        tensorflow_process.reset(5)
        inputs = {"left": keras.Input((2,), name="left"), "right": keras.Input((4,), name="right")}
        x = keras.layers.Concatenate()([inputs["left"], inputs["right"]])
        outputs = {"sign": keras.layers.Dense(1, activation="sigmoid")(x), "sum": keras.layers.Dense(1)(x)}
        model = keras.Model(inputs, outputs)
        losses = {"sign": "binary_crossentropy", "sum": "mse"}
        model.compile(keras.optimizers.SGD(0.1), losses, metrics={"sign": ["accuracy"], "sum": ["mae"]})
        return model

    data = data_of(
        lambda rows: {"left": X[rows, :2], "right": X[rows]},
        lambda rows: {"sign": Y[rows, None], "sum": X[rows].sum(axis=1, keepdims=True)},
    )
    found = assert_same(make, data)
    assert {"val_sign_accuracy", "val_sum_mae", "val_loss"} <= found[0].keys()


@pytest.mark.slow
def test_several_inputs_and_outputs_in_a_tuple_weighted_alike() -> None:
    def make() -> keras.Model:
        tensorflow_process.reset(5)
        inputs = [keras.Input((2,)), keras.Input((4,))]
        x = keras.layers.Concatenate()(inputs)
        model = keras.Model(inputs, [keras.layers.Dense(1)(x), keras.layers.Dense(2)(x)])
        model.compile(keras.optimizers.SGD(0.1), ["mse", "mae"])
        return model

    data = data_of(
        lambda rows: (X[rows, :2], X[rows]), lambda rows: (X[rows, :1], X[rows, :2]), lambda rows: WEIGHTS[rows]
    )
    assert_same(make, data)


@pytest.mark.slow
@pytest.mark.parametrize("weights", [WEIGHTS, WEIGHTS[:, None]])
def test_weights_of_rows(weights: np.ndarray) -> None:
    data = data_of(lambda rows: X[rows], lambda rows: X[rows, :1], lambda rows: weights[rows])
    weighted = assert_same(lambda: dense(1, weighted_metrics=["mse"]), data)
    plain = replace(data, train=replace(data.train, weights=None), validation=replace(data.validation, weights=None))
    assert weighted[0]["val_mse"] != assert_same(lambda: dense(1, weighted_metrics=["mse"]), plain)[0]["val_mse"]


@pytest.mark.slow
def test_texts_reach_a_layer_that_reads_them() -> None:
    def make() -> keras.Model:
        tensorflow_process.reset(5)
        read = keras.layers.TextVectorization(max_tokens=20, output_sequence_length=3)
        read.adapt(WORDS)
        inputs = keras.Input((), dtype="string")
        x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(20, 4)(read(inputs)))
        model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))
        model.compile(keras.optimizers.Adam(0.1), "binary_crossentropy", metrics=["accuracy"])
        return model

    data = data_of(lambda rows: WORDS[rows], lambda rows: Y[rows, None])
    assert assert_same(make, data)[-1]["val_accuracy"] == 1
    assert compiled.predict(make(), WORDS[:3]).shape == (3, 1)


class Pairs(keras.Model):  # type: ignore[misc]
    """A step of its own over two inputs and weights."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs["a"]) * inputs["b"]

    def train_step(self, data: Any) -> Any:
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        return super().train_step((x, y, weights * 2))


@pytest.mark.slow
def test_a_step_of_its_own_gets_the_whole_nest() -> None:
    def make() -> keras.Model:
        tensorflow_process.reset(5)
        model = Pairs()
        model({"a": X[:1], "b": X[:1, :1]})
        model.compile(keras.optimizers.SGD(0.1), "mse")
        return model

    data = data_of(lambda rows: {"a": X[rows], "b": X[rows, :1]}, lambda rows: X[rows, 1:2], lambda rows: WEIGHTS[rows])
    assert_same(make, data)


def load_pairs() -> Any:
    parts = [({"a": X[rows], "b": X[rows, :1]}, Y[rows], WEIGHTS[rows]) for rows in (slice(90), slice(90, 120))]
    return tuple(parts)


def build(*, input_shape: Any, x_train: Any, y_train: Any, units: int) -> keras.Model:
    """A model of two inputs, scaled by the training part."""
    assert input_shape == {"a": (4,), "b": (1,)}
    assert len(x_train["a"]) == len(y_train) == 70
    scale = keras.layers.Normalization()
    scale.adapt(x_train["a"])
    inputs = {name: keras.Input(shape, name=name) for name, shape in input_shape.items()}
    x = keras.layers.Concatenate()([scale(inputs["a"]), inputs["b"]])
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(keras.layers.Dense(units)(x)))


TASK = Task(
    name="pairs",
    summary="two inputs",
    dataset=load_pairs,
    space=Space(units=Choice(2, 4), optimizer=Choice("sgd", "adam"), learning_rate=Choice(0.01, 0.1)),
    objective=Objective("val_accuracy", "maximize"),
    protocol=Protocol(epochs=3, batch_size=16, validation=20),
    baseline={"units": 4, "optimizer": "adam", "learning_rate": 0.1},
    build=build,
    loss="binary_crossentropy",
    metrics=["accuracy", keras.metrics.AUC(name="auc")],
)


@pytest.mark.slow
def test_a_task_without_an_encoding_is_trained_with_what_it_names(tmp_path: Any) -> None:
    data = datasets.load_for_task(TASK, tmp_path).training
    first, second = (run_trial(TASK, TASK.baseline, data, seed=seed) for seed in (0, 0))
    assert (first.state, first.message) == ("complete", None)
    assert first.score > 0.8
    assert {"val_loss", "val_auc", "auc"} <= first.metrics.keys()
    assert first.history == second.history  # metrics were made anew
    assert first.errors is None


def compiling(*, units: int) -> keras.Model:
    return dense(units, 1, loss="mae", metrics=["mse"])


@pytest.mark.slow
def test_a_builder_may_compile_its_model_and_take_nothing_of_the_data() -> None:
    task = replace(
        TASK,
        build=compiling,
        loss=None,
        metrics=None,
        space=Space(units=Choice(2)),
        baseline={"units": 2},
        objective=Objective("val_mse", "minimize"),
    )
    data = data_of(lambda rows: X[rows], lambda rows: X[rows, :1])
    run = TrialRun(task, {"units": 2}, data, seed=0)
    list(run)
    assert (run.result.state, run.result.message) == ("complete", None)
    assert run.model is not None
    assert run.result.score == pytest.approx(run.model.evaluate(X[90:], X[90:, :1], verbose=0)[1], rel=1e-4)


def test_a_model_without_any_loss_is_said_to_be_so() -> None:
    task = replace(TASK, loss=None, metrics=None)
    data = data_of(lambda rows: {"a": X[rows][:70], "b": X[rows, :1][:70]}, lambda rows: Y[rows][:70])
    with pytest.raises(TaskError, match="is not compiled, and the task has no encoding and names no loss"):
        run_trial(task, TASK.baseline, data, seed=0)

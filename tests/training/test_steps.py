"""Whatever steps a model has of its own, its epochs are those of Keras' `fit` over the same batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.beside_fit import SEED, assert_same, assert_same_weights, fitted, ours
from tune_jobs.datasets import TrainingData
from tune_jobs.errors import TrialError
from tune_jobs.models.label_encodings import Classes, Head
from tune_jobs.search_spaces import Objective, Protocol, Task, TaskError
from tune_jobs.training import finalist, tensorflow_process
from tune_jobs.training.checkpoints import Checkpoint
from tune_jobs.training.runs import run_trial
from tune_jobs.training.trial import TrialRun

MakeTask = Callable[..., Task]
PARAMS = {"units": 8, "learning_rate": 0.05, "batch_size": 16}
LOSS = keras.losses.SparseCategoricalCrossentropy


def network(kind: Any = keras.Model, **compiling: Any) -> keras.Model:
    """A network for `tiny_data`, the same each time."""
    tensorflow_process.reset(SEED)
    inputs = keras.Input((4, 4, 1), dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    model = kind(inputs, keras.layers.Dense(3, activation="softmax")(x))
    model.compile(**{"optimizer": keras.optimizers.SGD(0.5), "loss": LOSS(), "metrics": ["accuracy"]} | compiling)
    return model


class Autoencoder(keras.Model):  # type: ignore[misc]
    """Trains itself, as in Keras' guide, and has no step that scores it."""

    def __init__(self) -> None:
        super().__init__()
        self.network = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(16)])
        self.tracker = keras.metrics.Mean(name="reconstruction")

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [self.tracker]

    def call(self, images: Any) -> Any:
        return self.network(keras.ops.cast(images, "float32") / 255)

    def train_step(self, data: Any) -> dict[str, Any]:
        images, _ = data
        with tf.GradientTape() as tape:
            flat = tf.reshape(tf.cast(images, tf.float32) / 255, (-1, 16))
            loss = tf.reduce_mean((flat - self(images)) ** 2)
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        self.tracker.update_state(loss)
        return {"reconstruction": self.tracker.result()}


def autoencoder() -> keras.Model:
    tensorflow_process.reset(SEED)
    model = Autoencoder()
    model(np.zeros((1, 4, 4, 1), np.uint8))
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    return model


@pytest.mark.slow
def test_a_model_without_a_step_that_scores_is_trained(tiny_data: TrainingData) -> None:
    first, last = assert_same(autoencoder, tiny_data, validates=False)
    assert last["reconstruction"] < first["reconstruction"]


@pytest.mark.slow
def test_a_trial_may_be_judged_by_its_training(tiny_task: MakeTask, tiny_data: TrainingData) -> None:
    def build(*, input_shape: tuple[int, ...], head: Head, units: int) -> keras.Model:
        return autoencoder()

    task = tiny_task(build=build, objective=Objective("reconstruction", "minimize"))
    run = TrialRun(task, PARAMS, tiny_data, seed=0)
    curve = [metrics["reconstruction"] for _, metrics in run]
    assert (run.result.state, run.result.score) == ("complete", min(curve)), run.result


class OwnFit(keras.Model):  # type: ignore[misc]
    def fit(self, *words: Any, **more: Any) -> Any:
        return super().fit(*words, **more)


class OwnFunction(keras.Model):  # type: ignore[misc]
    def make_train_function(self, force: bool = False) -> Any:
        return super().make_train_function(force)


@pytest.mark.parametrize(("kind", "name"), [(OwnFit, "fit"), (OwnFunction, "make_train_function")])
def test_a_class_that_trains_in_another_way_is_said_to_be_so(kind: Any, name: str, tiny_data: TrainingData) -> None:
    with pytest.raises(TaskError, match=f"the class {kind.__name__} writes its own {name}, which nothing calls here"):
        ours(network(kind), tiny_data)


class TwoPlayers(keras.Model):  # type: ignore[misc]
    """Two optimizers, and losses that are returned and not tracked, as of a GAN."""

    def compile(self, **more: Any) -> None:
        super().compile(**more)
        self.one, self.other = keras.optimizers.Adam(0.1), keras.optimizers.SGD(0.1)

    def train_step(self, data: Any) -> dict[str, Any]:
        images, labels = data
        kernel, bias = self.trainable_weights
        losses = {}
        for name, optimizer, weight in (("g", self.one, kernel), ("d", self.other, bias)):
            with tf.GradientTape() as tape:
                losses[name] = tf.reduce_mean(LOSS()(labels, self(images, training=True)))
            optimizer.apply_gradients([(tape.gradient(losses[name], weight), weight)])
        return {"losses": losses, "gap": losses["g"] - losses["d"]}


@pytest.mark.slow
def test_what_a_step_returns_beside_its_metrics_is_shown_as_of_the_last_batch(tiny_data: TrainingData) -> None:
    found = assert_same(lambda: network(TwoPlayers, loss=None, metrics=None), tiny_data, validates=False)
    assert sorted(found[0]) == ["d", "g", "gap"]


@pytest.mark.slow
def test_each_optimizer_of_a_model_goes_on_from_where_it_was(tiny_task: MakeTask, tiny_data: TrainingData) -> None:
    def build(*, input_shape: tuple[int, ...], head: Head, units: int) -> keras.Model:
        return network(TwoPlayers, loss=None, metrics=None)

    task = tiny_task(build=build, objective=Objective("g", "minimize"), protocol=Protocol(epochs=4))
    whole = TrialRun(task, PARAMS, tiny_data, seed=1)
    checkpoints = [whole.checkpoint() for _ in whole]
    assert whole.result.state == "complete", whole.result
    resumed = TrialRun(task, PARAMS, tiny_data, seed=1, start=checkpoints[1])
    assert [epoch for epoch, _ in resumed] == [3, 4]
    assert resumed.result.history == whole.result.history


class BatchMeans(keras.Model):  # type: ignore[misc]
    """Scores as many guides write it: the mean of the batches' losses, whatever their sizes."""

    def test_step(self, data: Any) -> dict[str, Any]:
        images, labels = data
        loss = self.compute_loss(y=labels, y_pred=self(images, training=False), training=False)
        return {"loss": loss, "twice": 2 * loss}


@pytest.mark.slow
def test_a_step_of_its_own_scores_the_batches_of_fit(tiny_data: TrainingData) -> None:
    data = replace(tiny_data, validation=tiny_data.train)  # 90 images: the last batch is the smaller one
    last = assert_same(lambda: network(BatchMeans), data)[-1]
    assert last["val_twice"] == pytest.approx(2 * last["val_loss"])


class Measuring(keras.Model):  # type: ignore[misc]
    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        results = super().compute_metrics(x, y, y_pred, sample_weight)
        return {**results, "largest": keras.ops.max(y_pred)}


@pytest.mark.slow
def test_metrics_that_a_model_computes_itself_are_shown(tiny_data: TrainingData) -> None:
    assert "val_largest" in assert_same(lambda: network(Measuring), tiny_data)[0]


class Looking(keras.Model):  # type: ignore[misc]
    """Looks at its loss as a number, which only an eager step can."""

    def train_step(self, data: Any) -> dict[str, Any]:
        logs: dict[str, Any] = super().train_step(data)
        assert float(logs["loss"].numpy()) < 1e6
        return logs


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Looking, keras.Model])
def test_a_model_that_asks_for_it_is_run_eagerly(kind: Any, tiny_data: TrainingData) -> None:
    assert_same(lambda: network(kind, run_eagerly=True), tiny_data)


@pytest.mark.slow
@pytest.mark.parametrize("compiling", [{"steps_per_execution": 2}, {"jit_compile": True}])
def test_how_steps_are_executed_changes_no_epoch(compiling: dict[str, Any], tiny_data: TrainingData) -> None:
    plain = ours(network(), tiny_data)
    for epoch, other in zip(ours(network(**compiling), tiny_data), plain, strict=True):
        assert epoch == pytest.approx(other, rel=1e-4)


class PerClass(keras.metrics.Metric):  # type: ignore[misc]
    """The share of each class among the predictions: as an array, or as a mapping."""

    def __init__(self, *, as_mapping: bool) -> None:
        super().__init__(name="share")
        self.as_mapping, self.counts = as_mapping, self.add_variable((3,), "zeros", name="counts")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        chosen = keras.ops.one_hot(keras.ops.argmax(y_pred, axis=-1), 3)
        self.counts.assign_add(keras.ops.sum(chosen, axis=0))

    def result(self) -> Any:
        shares = self.counts / keras.ops.maximum(keras.ops.sum(self.counts), 1)
        return {"first": shares[0], "rest": shares[1:]} if self.as_mapping else shares


@pytest.mark.slow
@pytest.mark.parametrize("as_mapping", [False, True])
def test_a_metric_of_several_values_becomes_one_a_value(as_mapping: bool, tiny_data: TrainingData) -> None:
    def make() -> keras.Model:
        return network(metrics=[PerClass(as_mapping=as_mapping)])

    names = ("first", "rest/0", "rest/1") if as_mapping else ("share/0", "share/1", "share/2")
    (*_, found), (*_, expected) = ours(make(), tiny_data), fitted(make(), tiny_data)
    parts = ("first", "rest") if as_mapping else ("share",)
    values = np.concatenate([np.ravel(np.asarray(expected[f"val_{part}"], float)) for part in parts])
    assert [found[f"val_{name}"] for name in names] == pytest.approx(values.tolist())


class OneHot(Classes):
    """One-hot targets with Keras' F1 score, which has a value a class."""

    def targets(self, labels: Any) -> Any:
        return np.eye(self.n, dtype=np.float64)[labels]

    def loss(self) -> Any:
        return keras.losses.CategoricalCrossentropy(from_logits=True)

    def metrics(self) -> list[Any]:
        return [keras.metrics.CategoricalAccuracy(name="accuracy"), keras.metrics.F1Score()]


@pytest.mark.slow
def test_a_value_of_one_class_may_decide(tiny_task: MakeTask, tiny_data: TrainingData) -> None:
    task = tiny_task(encoding=OneHot(3), objective=Objective("val_f1_score/2", "maximize"))
    result = run_trial(task, PARAMS, tiny_data, seed=0)
    assert result.state == "complete", result.message
    assert result.score == max(epoch["val_f1_score/2"] for epoch in result.history)
    assert {"f1_score/0", "f1_score/1", "f1_score/2", "val_f1_score/0"} <= result.metrics.keys()


def averaging(**more: Any) -> Any:
    return keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.8, **more)


def averaging_some() -> Any:
    some = keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.5), {".*bias": averaging()})
    return keras.optimizers.MultiOptimizer(some)


AVERAGES: list[Callable[[], Any]] = [averaging, lambda: averaging(ema_overwrite_frequency=2), averaging_some]


@pytest.mark.slow
@pytest.mark.parametrize("make", AVERAGES, ids=["all", "overwriting", "some"])
def test_averaged_weights_are_those_that_fit_leaves_behind(make: Callable[[], Any], tiny_data: TrainingData) -> None:
    model, keras_own = network(optimizer=make()), network(optimizer=make())
    last = ours(model, tiny_data)[-1]
    fitted(keras_own, tiny_data)
    assert_same_weights(model, keras_own)
    x, labels = tiny_data.validation.x, tiny_data.validation.labels
    evaluated = keras_own.evaluate(x, labels, verbose=0, return_dict=True)
    assert {name: last[f"val_{name}"] for name in evaluated} == pytest.approx(evaluated, rel=1e-4)


class Halving(keras.optimizers.SGD):  # type: ignore[misc]
    """Ends in a way of its own."""

    def finalize_variable_values(self, var_list: Any) -> None:
        for variable in var_list:
            variable.assign(variable / 2)


@pytest.mark.slow
@pytest.mark.parametrize("scaled", [False, True])
def test_an_optimizer_may_end_in_its_own_way(scaled: bool, tiny_data: TrainingData) -> None:
    def make() -> keras.Model:
        optimizer = Halving(0.5)
        return network(optimizer=keras.optimizers.LossScaleOptimizer(optimizer) if scaled else optimizer)

    model, keras_own = make(), make()
    ours(model, tiny_data)
    fitted(keras_own, tiny_data)
    assert_same_weights(model, keras_own)


@pytest.mark.slow
def test_a_trial_with_averaged_weights_keeps_those_it_was_scored_with_and_resumes(
    tiny_task: MakeTask, tiny_data: TrainingData
) -> None:
    def build(*, input_shape: tuple[int, ...], head: Head, units: int) -> keras.Model:
        inputs = keras.Input(input_shape, dtype="uint8")
        model = keras.Model(inputs, head(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))))
        optimizer = keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.9)
        model.compile(optimizer, Classes(3).loss(), metrics=Classes(3).metrics())
        return model

    task = tiny_task(build=build, objective=Objective("val_loss", "minimize"), protocol=Protocol(epochs=4))
    whole = TrialRun(task, PARAMS, tiny_data, seed=1)
    checkpoint: Checkpoint | None = None
    for epoch, _ in whole:
        checkpoint = whole.checkpoint() if epoch == 2 else checkpoint
    assert whole.model is not None
    x, labels = tiny_data.validation.x, tiny_data.validation.labels
    assert whole.model.evaluate(x, labels, verbose=0)[0] == pytest.approx(whole.result.score, rel=1e-5)
    resumed = TrialRun(task, PARAMS, tiny_data, seed=1, start=checkpoint)
    list(resumed)
    assert resumed.result.history == whole.result.history


@pytest.mark.slow
def test_a_finalist_that_nothing_scores_is_said_to_be_so(tiny_task: MakeTask, tiny_data: TrainingData) -> None:
    from tests.support.trials import trial_record

    def build(*, input_shape: tuple[int, ...], head: Head, units: int) -> keras.Model:
        return autoencoder()

    task = tiny_task(build=build, objective=Objective("reconstruction", "minimize"))
    result = run_trial(task, PARAMS, tiny_data, seed=0)
    trial = trial_record(0, PARAMS, 0, "complete", score=result.score, best_epoch=result.best_epoch)
    with pytest.raises(TrialError, match="neither a test_step nor a loss"):
        finalist.score(task, trial, tiny_data, tiny_data.validation, None)

"""What `fit` would honour of a model: a table of features, each trained beside it to the same epochs and weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from tests.support.beside_fit import assert_same, ours
from tune_jobs.datasets import Split, TrainingData
from tune_jobs.training import compiled, tensorflow_process

X = np.random.default_rng(0).normal(size=(160, 4))  # 70 rows to validate on: more than a batch of 32
Y = X.sum(axis=1, keepdims=True)
DATA = TrainingData("own", Split(X[:90], Y[:90]), Split(X[90:], Y[90:]), "none")
TOKENS = np.random.default_rng(1).integers(0, 5, (160, 6))
SGD, Adam = keras.optimizers.SGD, keras.optimizers.Adam
Schedules = keras.optimizers.schedules
SEQUENCES = TrainingData("own", Split(TOKENS[:90], Y[:90]), Split(TOKENS[90:], Y[90:]), "none")


def model_of(*layers: Any, kind: Any = keras.Sequential, inputs: Any = (4,), **compiling: Any) -> keras.Model:
    model = kind([keras.Input(inputs), *layers, keras.layers.Dense(1)])
    model.compile(**{"optimizer": keras.optimizers.SGD(0.05), "loss": "mse", "metrics": ["mae"]} | compiling)
    return model


def with_optimizer(make: Callable[[], Any]) -> Callable[[], keras.Model]:
    return lambda: model_of(keras.layers.Dense(3), optimizer=make())


def two_optimizers() -> Any:
    return keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(SGD(0.05), {".*bias": Adam(0.1)}))


def normalized() -> keras.Model:
    """Two layers with a batch normalization each; those of the first are frozen."""
    base = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.BatchNormalization()])
    base.trainable = False
    return model_of(base, keras.layers.Dense(3), keras.layers.BatchNormalization())


class Penalized(keras.layers.Layer):  # type: ignore[misc]
    def call(self, x: Any) -> Any:
        self.add_loss(0.1 * keras.ops.mean(x**2))
        return x


class OwnLoss(keras.Sequential):  # type: ignore[misc]
    def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True) -> Any:
        return keras.ops.mean(keras.ops.abs(y - y_pred)) + 0.01 * keras.ops.mean(x)


def in_batch(y: Any, read: Any) -> Any:
    """A loss that compares each row with all others of its batch."""
    distances = keras.ops.abs(read - keras.ops.transpose(read)) - keras.ops.abs(y - keras.ops.transpose(y))
    return keras.ops.mean(distances**2)


def rmse(y: Any, read: Any) -> Any:
    return keras.ops.sqrt(keras.ops.mean((y - read) ** 2))


class OwnStep(keras.Sequential):  # type: ignore[misc]
    """Trains twice on each batch."""

    def train_step(self, data: Any) -> Any:
        super().train_step(data)
        return super().train_step(data)


FEATURES: dict[str, Callable[[], keras.Model]] = {
    "gradient accumulation": with_optimizer(lambda: SGD(0.05, gradient_accumulation_steps=2)),
    "gradient accumulation that does not divide an epoch": with_optimizer(
        lambda: Adam(0.05, gradient_accumulation_steps=4)
    ),
    "loss scaling": with_optimizer(lambda: keras.optimizers.LossScaleOptimizer(SGD(0.05))),
    "a fixed loss scale": with_optimizer(lambda: SGD(0.05, loss_scale_factor=8.0)),
    "clipped gradients and a decay of weights": with_optimizer(
        lambda: keras.optimizers.AdamW(0.05, weight_decay=0.1, global_clipnorm=0.1)
    ),
    "a schedule over steps and averaged weights": with_optimizer(
        lambda: SGD(Schedules.CosineDecay(0.1, 6), use_ema=True, ema_overwrite_frequency=3)
    ),
    "optimizers with moments": with_optimizer(lambda: keras.optimizers.Lion(0.01)),
    "an optimizer for some weights and another for the rest": with_optimizer(two_optimizers),
    "averages without a schedule": with_optimizer(lambda: keras.optimizers.ScheduleFreeAdamW(0.05)),
    "layers that draw": lambda: model_of(keras.layers.Dense(8), keras.layers.Dropout(0.5)),
    "constrained weights": lambda: model_of(keras.layers.Dense(3, kernel_constraint="unit_norm")),
    "frozen layers and batch normalization": normalized,
    "what layers add to a loss, and its weight": lambda: model_of(
        Penalized(),
        keras.layers.Dense(3, kernel_regularizer="l2", activity_regularizer="l1"),
        loss_weights=[0.3],
    ),
    "a loss of the model's own": lambda: model_of(kind=OwnLoss, loss=None),
    "a step of the model's own": lambda: model_of(kind=OwnStep),
    "a function as the loss": lambda: model_of(loss=lambda y, read: keras.ops.mean(keras.ops.abs(y - read), axis=-1)),
    "a loss that is a sum over the batch": lambda: model_of(loss=keras.losses.MeanSquaredError(reduction="sum")),
    "a loss within the batch": lambda: model_of(loss=in_batch),
    "metrics of every kind": lambda: model_of(
        metrics=[rmse, keras.metrics.R2Score(), keras.metrics.RootMeanSquaredError()], weighted_metrics=["mse"]
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_is_honoured_as_in_fit(feature: str) -> None:
    def make() -> keras.Model:
        tensorflow_process.reset(5)
        return FEATURES[feature]()

    first, last = assert_same(make, DATA, is_traced=False)
    assert last["loss"] != first["loss"]


@pytest.mark.slow
def test_masked_sequences_are_honoured_as_in_fit() -> None:
    def make() -> keras.Model:
        tensorflow_process.reset(5)
        read = keras.layers.Embedding(5, 3, mask_zero=True), keras.layers.LSTM(3)
        return model_of(*read, inputs=(6,))

    assert_same(make, SEQUENCES, is_traced=False)


@pytest.mark.slow
def test_masked_answers_for_each_token_are_honoured_as_in_fit() -> None:
    def make() -> keras.Model:
        tensorflow_process.reset(5)
        read = keras.layers.Embedding(5, 3, mask_zero=True), keras.layers.LSTM(3, return_sequences=True)
        return model_of(*read, inputs=(6,))

    targets = np.cumsum(TOKENS, axis=1)[..., None].astype(np.float32)
    data = TrainingData("own", Split(TOKENS[:90], targets[:90]), Split(TOKENS[90:], targets[90:]), "none")
    assert_same(make, data, is_traced=False)


@pytest.mark.slow
def test_answers_for_each_token_may_count_differently() -> None:
    def make() -> keras.Model:
        tensorflow_process.reset(5)
        read = keras.layers.Embedding(5, 3), keras.layers.LSTM(3, return_sequences=True)
        return model_of(*read, inputs=(6,), weighted_metrics=["mae"])

    targets = np.cumsum(TOKENS, axis=1)[..., None].astype(np.float32)
    weights = np.random.default_rng(2).random(TOKENS.shape)
    first, last = Split(TOKENS[:90], targets[:90], weights[:90]), Split(TOKENS[90:], targets[90:], weights[90:])
    assert_same(make, TrainingData("own", first, last, "none"), is_traced=False)


@pytest.mark.slow
def test_outputs_may_count_differently() -> None:
    def make() -> keras.Model:
        tensorflow_process.reset(5)
        inputs = keras.Input((4,))
        outputs = {"sum": keras.layers.Dense(1)(inputs), "sign": keras.layers.Dense(1, "sigmoid")(inputs)}
        model = keras.Model(inputs, outputs)
        losses = {"sum": "mse", "sign": "binary_crossentropy"}
        model.compile(SGD(0.05), losses, loss_weights={"sum": 0.2, "sign": 3.0}, metrics={"sign": ["accuracy"]})
        return model

    labels = {"sum": Y, "sign": (Y > 0).astype(int)}
    parts = [
        Split(X[rows], {name: each[rows] for name, each in labels.items()}) for rows in (slice(90), slice(90, 160))
    ]
    assert_same(make, TrainingData("own", parts[0], parts[1], "none"))


@pytest.mark.slow
def test_a_model_of_a_fixed_batch_with_states_is_honoured_as_in_fit() -> None:
    def make() -> keras.Model:
        tensorflow_process.reset(5)
        inputs = keras.Input(batch_shape=(32, 4))
        states = keras.layers.LSTM(3, stateful=True)(keras.ops.reshape(inputs, (32, 4, 1)))
        model = keras.Model(inputs, keras.layers.Dense(1)(states))
        model.compile("sgd", "mse")
        return model

    data = TrainingData("own", Split(X[:96], Y[:96]), Split(X[96:], Y[96:]), "none")
    assert_same(make, data, is_traced=False)
    assert compiled.predict(make(), X[:64]).shape == (64, 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, when it saves
def test_a_warm_start_from_a_file_of_weights_is_honoured_as_in_fit(tmp_path: Any) -> None:
    file = tmp_path / "base.weights.h5"
    tensorflow_process.reset(7)
    model_of(keras.layers.Dense(3)).save_weights(file)

    def make() -> keras.Model:
        tensorflow_process.reset(5)
        model = model_of(keras.layers.Dense(3))
        model.load_weights(file)
        return model

    warm = assert_same(make, DATA, is_traced=False)
    file.unlink()
    tensorflow_process.reset(5)
    assert warm[0]["loss"] != ours(model_of(keras.layers.Dense(3)), DATA)[0]["loss"]

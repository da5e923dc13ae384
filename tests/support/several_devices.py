"""What the tests of several devices train: a task whose batches divide unevenly, and a model with a step of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np

from tune_jobs.datasets import TrainingData
from tune_jobs.datasets.dataset import Split
from tune_jobs.models.label_encodings import Classes
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task, streamed

BATCH = 32
REFUSED = ({"gradient_accumulation_steps": 2}, {"use_ema": True, "ema_overwrite_frequency": 3})


def _blobs(n: int, seed: int) -> Split:
    """Points `(N, 6)` around three centres."""
    random = np.random.default_rng(seed)
    labels = (np.arange(n) % 3).astype(np.int32)
    return Split((random.normal(size=(n, 6)) + np.eye(6)[labels]).astype(np.float32), labels)


DATA = TrainingData("blobs", _blobs(91, 1), _blobs(33, 2), digest="blobs")  # batches of 30, 30, 30 and 1
GATHERING = _blobs(64, 3)


def build(*, input_shape: tuple[int, ...], head: Any, units: int) -> keras.Model:
    """A network with a penalty, whose gradient is clipped."""
    inputs = keras.Input(input_shape)
    hidden = keras.layers.Dense(units, activation="relu", kernel_regularizer="l2")(inputs)
    model = keras.Model(inputs, head(hidden))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.05, global_clipnorm=0.5), loss, metrics=["accuracy"])
    return model


def build_with_two_optimizers(*, input_shape: tuple[int, ...], head: Any, units: int) -> keras.Model:
    """The same, whose biases another optimizer trains."""
    model = build(input_shape=input_shape, head=head, units=units)
    some = keras.optimizers.OptimizerMap(
        keras.optimizers.SGD(0.05, clipnorm=0.1), {".*bias": keras.optimizers.SGD(0.5)}
    )
    model.compile(keras.optimizers.MultiOptimizer(some), model.loss, metrics=["accuracy"])
    return model


def TASK(precision: Any) -> Task:  # noqa: N802
    return Task(
        name="blobs",
        summary="",
        dataset="digits",
        space=Space(units=Choice(8), batch_size=Choice(30)),
        objective=Objective("val_accuracy", "maximize"),
        protocol=Protocol(epochs=2, precision=precision),
        baseline={"units": 8, "batch_size": 30},
        build=build,
        encoding=Classes(3),
    )


def blobs(*, part: str, batch_size: int, seed: int, params: Any) -> Any:
    import tensorflow as tf

    split = DATA.train if part == "train" else DATA.validation
    return tf.data.Dataset.from_tensor_slices((split.x, split.labels)).shuffle(100, seed=seed).batch(batch_size)


STREAMED = replace(TASK("float32"), dataset=streamed(blobs))
TWO_OPTIMIZERS = replace(TASK("float32"), build=build_with_two_optimizers)


class Gathering(keras.Model):  # type: ignore[misc]
    """Has a step that returns values of its own."""

    def train_step(self, data: Any) -> dict[str, Any]:
        import tensorflow as tf

        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"own_loss": loss}


def gathering() -> Gathering:
    inputs = keras.Input((6,))
    hidden = keras.layers.BatchNormalization()(keras.layers.Dense(8, activation="relu")(inputs))
    model = Gathering(inputs, keras.layers.Dense(3)(keras.layers.Dropout(0.3)(hidden)))
    model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model

"""Small tasks of many kinds, whose trials leave as much behind in their process as trials do."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tune_jobs.models.label_encodings import Classes, Head
from tune_jobs.models.lazy_keras import keras
from tune_jobs.search_spaces import Choice, Float, Objective, Protocol, Space, Task, catalog

FEW = Protocol(epochs=2, batch_size=16, validation=20)


def points() -> Any:
    """80 points of two classes, and 10 to test on."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 6)).astype("float32")
    labels = (x.sum(axis=1) > 0).astype("int64")
    return (x[:80], labels[:80]), (x[80:], labels[80:])


def sums() -> Any:
    """The same points, with a column of their sums."""
    (x, _), (x_test, _) = points()
    return (x, x.sum(axis=1, keepdims=True)), (x_test, x_test.sum(axis=1, keepdims=True))


class Smooth(Classes):
    """Labels smoothed by a share; its name does not say by which."""

    def __init__(self, smoothing: float) -> None:
        super().__init__(2)
        object.__setattr__(self, "smoothing", smoothing)

    def targets(self, labels: Any) -> Any:
        smoothing = vars(self)["smoothing"]
        return np.eye(2)[labels] * (1 - smoothing) + smoothing / 2

    def loss(self) -> Any:
        return keras.losses.CategoricalCrossentropy(from_logits=True)

    def metrics(self) -> list[Any]:
        return [keras.metrics.CategoricalAccuracy(name="accuracy"), keras.metrics.F1Score(), keras.metrics.AUC()]


@dataclass(frozen=True)
class Scaled:
    """A number in another unit."""

    factor: float
    name = "scaled"

    def head(self, features: Any) -> Any:
        return keras.layers.Dense(1)(features)

    def targets(self, labels: Any) -> Any:
        return labels * self.factor

    def loss(self) -> Any:
        return lambda targets, outputs: keras.ops.mean(keras.ops.square(targets - outputs), axis=-1)

    def metrics(self) -> list[Any]:
        return []

    def decode(self, outputs: Any) -> Any:
        return outputs / self.factor

    def errors(self, predicted: Any, labels: Any) -> Any:
        return (predicted - labels) ** 2


def smooth(smoothing: float) -> Smooth:
    return Smooth(smoothing)


def scaled(factor: float) -> Scaled:
    return Scaled(factor)


def build(*, input_shape: tuple[int, ...], head: Head, width: int, dropout: float, norm: bool) -> Any:
    inputs = keras.Input(input_shape)
    x = keras.layers.Dropout(dropout)(keras.layers.Dense(width, activation="relu")(inputs))
    return keras.Model(inputs, head(keras.layers.BatchNormalization()(x) if norm else x))


def build_averaged(*, input_shape: tuple[int, ...], head: Head, momentum: float, eager: bool) -> Any:
    inputs = keras.Input(input_shape)
    model = keras.Model(inputs, head(keras.layers.Dense(4, activation="tanh")(inputs)))
    optimizer = keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=momentum)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], run_eagerly=eager)
    return model


def build_reckless(*, input_shape: tuple[int, ...], head: Head, epsilon: float, policy: str) -> Any:
    """Sets for the whole process what it wants for itself."""
    keras.config.set_epsilon(epsilon)
    keras.config.set_dtype_policy(policy)
    np.random.seed(1)
    inputs = keras.Input(input_shape)
    x = keras.layers.GaussianNoise(0.5)(keras.layers.Dense(4, dtype="float32")(inputs))
    return keras.Model(inputs, keras.layers.Activation("linear", dtype="float32")(head(x)))


def loop(params: Mapping[str, Any], data: Any, *, seed: int, epochs: int) -> Iterator[dict[str, float]]:
    """A loop of its own, which scores every second epoch."""
    weights = np.random.default_rng(seed).normal(size=data.train.x.shape[1])
    for epoch in range(1, epochs + 1):
        weights += params["rate"] * (data.train.x * (data.train.labels * 2 - 1)[:, None]).mean(axis=0)
        right = float(np.mean((data.validation.x @ weights > 0) == data.validation.labels))
        yield {"size": float(np.abs(weights).sum())} | ({"val_accuracy": right} if epoch % 2 == 0 else {})


def careless_loop(params: dict[str, Any], data: Any, *, seed: int, epochs: int) -> Iterator[dict[str, float]]:
    """A loop that draws from generators which it has not seeded, and uses up its params."""
    rate = params.pop("rate")
    for _ in range(epochs):
        weights = rate * np.random.normal(size=data.train.x.shape[1]) + random.random()
        yield {"val_accuracy": float(np.mean((data.validation.x @ weights > 0) == data.validation.labels))}


ACCURACY, LOSS = Objective("val_accuracy", "maximize"), Objective("val_loss", "minimize")
PLAIN = Space(width=Choice(2, 4), dropout=Choice(0.0, 0.5), norm=Choice(False, True))


def _with(space: Space, **more: Any) -> Space:
    return Space.of({**dict(space.domains), **more})


def own_tasks() -> list[Task]:
    return [
        _task("smooth", points, _with(PLAIN, smoothing=Choice(0.0, 0.2, 0.4)), LOSS, build=build, encoding=smooth),
        _task("scaled", sums, _with(PLAIN, factor=Choice(1.0, 10.0)), LOSS, build=build, encoding=scaled),
        _task(
            "averaged",
            points,
            Space(momentum=Choice(0.5, 0.9), eager=Choice(False, True)),
            ACCURACY,
            build=build_averaged,
            encoding=Classes(2),
        ),
        _task(
            "reckless",
            points,
            Space(epsilon=Choice(1e-7, 0.1), policy=Choice("float32", "mixed_bfloat16")),
            LOSS,
            build=build_reckless,
            encoding=Classes(2),
        ),
        _task("loop", points, Space(rate=Float(0.1, 1.0)), ACCURACY, train=loop),
        _task("careless", points, Space(rate=Float(0.1, 1.0)), ACCURACY, train=careless_loop),
    ]


def small_tasks() -> list[Task]:
    """All of them, with what the catalogue has of small ones. None computes when its file is imported."""
    few = [replace(catalog.find(name), protocol=replace(FEW, images=160)) for name in ("digits-mlp", "digits-cnn")]
    return [*own_tasks(), *few]


def _task(name: str, dataset: Any, space: Space, objective: Objective, **trained_by: Any) -> Task:
    return Task(name, space, objective, dataset=dataset, protocol=FEW, **trained_by)

"""Rows that count differently, in a task without an encoding: the loss and the metrics are Keras' own."""

import keras
import numpy as np

import tune_jobs as tj


def part(seed, n):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)).astype("float32")
    noise = rng.choice([0.1, 3.0], size=(n, 1))  # how wrong a row's label is
    y = x.sum(axis=1, keepdims=True) + noise * rng.normal(size=(n, 1))
    return x, y, 1 / noise[:, 0] ** 2


def load_data():
    return part(0, 400), part(1, 100), part(2, 100)  # train, validation, test


def build(*, input_shape, width):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dense(width, activation="tanh")(inputs)))


TASK = tj.Task(
    "weighted-rows",
    tj.Space(width=tj.Choice(8, 16), learning_rate=tj.Float(1e-3, 1e-1, log=True), loss=tj.Choice("mse", "huber")),
    tj.Objective("val_loss", "minimize"),
    summary="rows that count differently",
    dataset=load_data,
    protocol=tj.Protocol(epochs=20, batch_size=32),
    build=build,
    metrics=["mae"],
)

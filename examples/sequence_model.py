"""The next value of a series from the last ones. Rows stand in the order of time, so that the last are held out."""

import keras
import numpy as np

import tune_jobs as tj

WINDOW = 12


def load_data():
    steps = np.arange(600)
    series = np.sin(steps / 5) + 0.1 * np.random.default_rng(0).normal(size=600)
    windows = np.lib.stride_tricks.sliding_window_view(series, WINDOW + 1)
    return tj.Data((windows[:, :WINDOW, np.newaxis], windows[:, WINDOW]), test=0.2, in_order=True)


def build(*, input_shape, head, cell, width):
    inputs = keras.Input(input_shape)
    layer = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}[cell]
    return keras.Model(inputs, head(layer(width)(inputs)))


def callbacks(*, drop):
    return [keras.callbacks.ReduceLROnPlateau("val_loss", factor=drop, patience=2)]


TASK = tj.Task(
    "next-value",
    tj.Space(cell=tj.Choice("gru", "lstm"), width=tj.Choice(8, 16), drop=tj.Choice(0.5, 0.2)),
    tj.Objective("val_rmse", "minimize"),
    summary="the next value of a noisy wave",
    dataset=load_data,
    protocol=tj.Protocol(epochs=20, batch_size=32, validation=0.2),
    build=build,
    encoding=tj.Regression(),
    callbacks=callbacks,
)

"""A model with a `train_step` of its own: an autoencoder that learns from pictures with noise."""

import keras
import tensorflow as tf
from sklearn.datasets import load_digits

import tune_jobs as tj


class Denoiser(keras.Sequential):
    noise = 0.0

    def train_step(self, data):
        clean, target = data
        return super().train_step((clean + self.noise * tf.random.normal(tf.shape(clean)), target))


def load_data():
    x, _ = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    return (x[:1400], x[:1400]), (x[1400:], x[1400:])


def build(*, input_shape, width, noise, rate):
    model = Denoiser([keras.Input(input_shape), keras.layers.Dense(width, "relu"), keras.layers.Dense(64, "sigmoid")])
    model.noise = noise
    model.compile(keras.optimizers.Adam(rate), "mse", metrics=["mae"])
    return model


TASK = tj.Task(
    "denoiser",
    tj.Space(width=tj.Choice(8, 16), noise=tj.Choice(0.0, 0.2), rate=tj.Float(1e-3, 1e-1, log=True)),
    tj.Objective("val_loss", "minimize"),
    summary="an autoencoder of digits",
    dataset=load_data,
    protocol=tj.Protocol(epochs=10, patience=3, batch_size=64, validation=0.2),
    build=build,
)

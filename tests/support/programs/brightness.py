"""A task with a label encoding and layers of its own: a network reads how bright a picture is, a number from 0 to 10.

It uses TensorFlow when it is imported: it sets a seed and adapts a layer, as tutorials do. It reads a file beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from tune_jobs.models.scales import Scale
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task

BINS = Path(__file__).parent / "brightness_bins.txt"


def load_data():
    """240 pictures of one brightness each, with a little noise, and 60 to test on."""
    rng = np.random.default_rng(0)
    labels = rng.uniform(0, 10, 300)
    noise = rng.integers(0, 6, (300, 8, 8, 1))
    images = np.clip(25 * labels[:, None, None, None] + noise, 0, 255).astype(np.uint8)
    return (images[:240], labels[:240]), (images[240:], labels[240:])


keras.utils.set_random_seed(42)
CENTRED = keras.layers.Normalization(axis=None)
CENTRED.adapt(load_data()[0][0])


class Scaled(keras.layers.Layer):
    """A layer that is not registered with Keras."""

    def __init__(self, factor, **more):
        super().__init__(**more)
        self.factor = factor

    def call(self, x):
        return x * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def leaky(x):
    return keras.ops.maximum(x, 0.1 * x)


def build(*, input_shape, head, units):
    inputs = keras.Input(input_shape, dtype="uint8")
    x = keras.layers.Flatten()(Scaled(2.0)(CENTRED(inputs)))
    return keras.Model(inputs, head(keras.layers.Dense(units, activation=leaky)(x)))


@dataclass(frozen=True)
class Brightness:
    """The brightness as one of several bins, read at the bin's middle."""

    bins: int

    error_unit = "lux"
    close = 2.0
    scale = Scale("brightness", "lux", (0.0, 2.5, 5.0, 7.5, 10.0), decimals=1)

    @property
    def name(self):
        return f"brightness-{self.bins}"

    def head(self, features):
        return keras.layers.Dense(self.bins, name="bins")(features)

    def targets(self, labels):
        return labels.astype(np.float32)

    def loss(self):
        def loss(targets, outputs):
            bins = keras.ops.cast(keras.ops.reshape(targets, (-1,)) * (self.bins / 10), "int32")
            return keras.ops.sparse_categorical_crossentropy(bins, outputs, from_logits=True)

        return loss

    def metrics(self):
        def error(targets, outputs):
            return keras.ops.abs(self._middles(outputs) - keras.ops.reshape(targets, (-1,)))

        return [keras.metrics.MeanMetricWrapper(error, name="error_lux")]

    def _middles(self, outputs):
        return (keras.ops.cast(keras.ops.argmax(outputs, axis=-1), "float32") + 0.5) * (10 / self.bins)

    def decode(self, outputs):
        return (np.argmax(outputs, axis=-1) + 0.5) * (10 / self.bins)

    def errors(self, predicted, labels):
        return np.abs(predicted - labels)

    def label_text(self, label):
        return f"{label:.1f} lx"

    def facts(self, label):
        return {"lux": label}

    def mean_of(self, metric):
        return "error" if metric == "error_lux" else None


BRIGHTNESS = Task(
    name="brightness",
    summary="how bright a picture is",
    dataset=load_data,
    space=Space(bins=Choice(*map(int, BINS.read_text().split())), units=Choice(16)),
    objective=Objective("val_error_lux", "minimize"),
    protocol=Protocol(epochs=2, batch_size=16, validation=60),
    baseline={"bins": 5, "units": 16},
    build=build,
    encoding=Brightness,
)

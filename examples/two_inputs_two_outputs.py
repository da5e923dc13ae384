"""A picture and a table go in; a class and a measurement come out, each with an encoding of its own."""

import keras
import numpy as np

import tune_jobs as tj


def part(seed, n):
    rng = np.random.default_rng(seed)
    light, table = rng.random(n), rng.normal(size=(n, 3)).astype("float32")
    x = {"image": (light[:, None, None, None] * rng.random((n, 6, 6, 1))).astype("float32"), "table": table}
    return x, {"bright": light > 0.5, "weight": 60 + 10 * table[:, 0] + 5 * light}


def load_data():
    return part(0, 400), part(1, 100)


def build(*, input_shape, head, width):
    inputs = {name: keras.Input(shape, name=name) for name, shape in input_shape.items()}
    seen = keras.layers.Flatten()(inputs["image"])
    both = keras.layers.Dense(width, activation="relu")(keras.layers.Concatenate()([seen, inputs["table"]]))
    return keras.Model(inputs, {"bright": head["bright"](seen), "weight": head["weight"](both)})


TASK = tj.Task(
    "pictures-and-tables",
    tj.Space(width=tj.Choice(8, 16), learning_rate=tj.Float(1e-3, 1e-1, log=True)),
    tj.Objective("val_weight_mae", "minimize"),
    summary="two inputs, two outputs",
    dataset=load_data,
    protocol=tj.Protocol(epochs=10, batch_size=32, validation=0.25),
    build=build,
    encoding={"bright": tj.Binary(), "weight": tj.Regression("kg")},
)

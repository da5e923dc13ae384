"""A base learns to tell digits below five, and is frozen; a head on top of it then learns the other five digits."""

import keras
from sklearn.datasets import load_digits

import tune_jobs as tj


def images(low, high):
    x, y = load_digits(return_X_y=True)
    return x[(y >= low) & (y < high)].reshape(-1, 8, 8, 1) / 16, y[(y >= low) & (y < high)]


def load_data():
    return tj.Data(images(5, 10), test=0.2)


def trained_base(filters):
    base = keras.Sequential([keras.layers.Conv2D(filters, 3, activation="relu"), keras.layers.Flatten()])
    model = keras.Sequential([keras.Input((8, 8, 1)), base, keras.layers.Dense(5, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(*images(0, 5), epochs=5, verbose=0)
    base.trainable = False
    return base


def build(*, input_shape, head, filters):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, head(trained_base(filters)(inputs, training=False)))


TASK = tj.Task(
    "upper-digits",
    tj.Space(filters=tj.Choice(8, 16), learning_rate=tj.Float(1e-3, 1e-1, log=True)),
    tj.Objective("val_accuracy", "maximize"),
    dataset=load_data,
    protocol=tj.Protocol(epochs=10, patience=3, batch_size=32, validation=0.25),
    build=build,
    encoding=tj.Classes(5, start=5),
)

"""A model written for KerasTuner as a task: its space is found by calling `build(hp)`, its own values are the baseline.

Run it with `tune-jobs launch examples/migrated_keras_tuner.py --trials 20`; `print(FOUND)` shows the space as Python.
"""

import keras

from tune_jobs.migrate import from_keras_tuner
from tune_jobs.search_spaces import Objective, Protocol, Task


def build(hp):
    """Return a compiled model, as KerasTuner asks for one."""
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()])
    for layer in range(hp.Int("layers", 1, 2)):
        model.add(keras.layers.Dense(hp.Int(f"units_{layer}", 16, 64, step=16), activation="relu"))
    if hp.Boolean("dropout"):
        model.add(keras.layers.Dropout(hp.Float("dropout_rate", 0.1, 0.5, step=0.1)))
    model.add(keras.layers.Dense(10, activation="softmax"))
    rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log", default=1e-2)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


FOUND = from_keras_tuner(build)
TASK = Task(
    "digits-migrated",
    FOUND.space,
    Objective("val_accuracy", "maximize"),
    dataset="digits",
    protocol=Protocol(epochs=10, patience=3, validation=0.2),
    baseline=FOUND.baseline,
    build=FOUND.build,
)

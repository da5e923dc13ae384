"""Dense networks on dim rows: easy to train, not so easy that all are right. Each model that is built is noted."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from tune_jobs.models.label_encodings import Classes, Head
from tune_jobs.models.lazy_keras import keras
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task

FOLDER = Path(__file__).parent  # tests name their own at the end

Part = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]  # images (N, 4, 4, 1) and labels (N,)


def images(n: int, seed: int) -> Part:
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    x = generator.integers(0, 120, (n, 4, 4, 1))
    x[np.arange(n), labels] += 40
    return x.astype(np.uint8), labels


def load_data() -> tuple[Part, Part]:
    return images(120, 1), images(90, 2)


def build(*, input_shape: tuple[int, int, int], head: Head, units: int) -> Any:
    """A model; where the file `room` has a number, not before fewer models than that were built."""
    with (FOLDER / "built").open("a") as file:
        file.write(f"{units}\n")
    with (FOLDER / "places").open("a") as file:
        file.write(f"{Path.cwd()} {Path.cwd().stat().st_mode & 0o777:o}\n")
    room = FOLDER / "room"
    while room.exists() and len((FOLDER / "built").read_text().split()) > int(room.read_text() or 0):
        time.sleep(0.02)
    inputs = keras.Input(input_shape, dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, head(keras.layers.Dense(units, activation="relu")(x)))


OWN = Task(
    name="own",
    summary="",
    dataset=load_data,
    space=Space(units=Choice(4, 8), learning_rate=Choice(0.01)),
    objective=Objective("val_accuracy", "maximize"),
    protocol=Protocol(epochs=3, batch_size=16, validation=30),
    baseline={"units": 8, "learning_rate": 0.01},
    build=build,
    encoding=Classes(3),
)

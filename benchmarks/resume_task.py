"""The task of `resume.py`: a space such as networks have, and a training that does nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tune_jobs.search_spaces import Choice, Float, Int, Objective, Params, Protocol, Space, Task, Variants

LEARNING_RATE = Float(1e-5, 1.0, log=True)


def load_data() -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Return a handful of empty images."""
    images, labels = np.zeros((40, 2, 2), np.uint8), np.arange(40) % 2
    return (images, labels), (images, labels)


def train(params: Params, data: Any, *, seed: int, epochs: int) -> Iterator[Mapping[str, float]]:
    """Yield one epoch at once."""
    yield {"val_accuracy": 0.5}


NOTHING = Task(
    name="resume",
    summary="a training that does nothing",
    dataset=load_data,
    space=Space(
        layers=Int(1, 6),
        units=Int(16, 1024, log=True),
        weight_decay=Float(1e-6, 1e-2, log=True),
        optimizer=Variants(
            sgd=Space(learning_rate=LEARNING_RATE, momentum=Float(0.0, 0.99)),
            adam=Space(learning_rate=LEARNING_RATE),
            rmsprop=Space(learning_rate=LEARNING_RATE),
        ),
        dropout=Variants({"without": Space(), "with": Space(dropout_rate=Float(0.05, 0.8))}),
        activation=Choice("relu", "gelu", "tanh"),
    ),
    objective=Objective("val_accuracy", "maximize"),
    protocol=Protocol(epochs=20, validation=0.25),
    baseline={
        "layers": 2,
        "units": 128,
        "weight_decay": 1e-4,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "dropout": "without",
        "activation": "relu",
    },
    train=train,
)

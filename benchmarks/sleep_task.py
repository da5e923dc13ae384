"""The task of `scaling.py`: its training sleeps for half a second an epoch, and needs no processor."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tune_jobs.search_spaces import Float, Objective, Params, Protocol, Space, Task


def load_data() -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Return a handful of empty images."""
    images, labels = np.zeros((40, 2, 2), np.uint8), np.arange(40) % 2
    return (images, labels), (images, labels)


def train(params: Params, data: Any, *, seed: int, epochs: int) -> Iterator[Mapping[str, float]]:
    """Yield an epoch every half second."""
    for epoch in range(1, epochs + 1):
        time.sleep(0.5)
        yield {"score": float(params["x"]) * epoch}  # type: ignore[arg-type]


SLEEP = Task(
    name="sleep",
    summary="a training that sleeps",
    dataset=load_data,
    space=Space(x=Float(0.0, 1.0)),
    objective=Objective("score", "maximize"),
    protocol=Protocol(epochs=8, validation=0.25),
    baseline={"x": 0.5},
    train=train,
)

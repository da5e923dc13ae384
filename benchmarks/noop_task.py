"""The task of `overhead.py`: its training does nothing, so that all the time of a trial is overhead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tune_jobs.search_spaces import Float, Objective, Params, Protocol, Space, Task


def load_data() -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Return a handful of empty images."""
    images, labels = np.zeros((40, 2, 2), np.uint8), np.arange(40) % 2
    return (images, labels), (images, labels)


def train(params: Params, data: Any, *, seed: int, epochs: int) -> Iterator[Mapping[str, float]]:
    """Yield scores that follow from the params alone."""
    for epoch in range(1, epochs + 1):
        yield {"score": float(params["x"]) * epoch / (1 + float(params["y"]))}  # type: ignore[arg-type]


NOOP = Task(
    name="noop",
    summary="a training that does nothing",
    dataset=load_data,
    space=Space(x=Float(0.0, 1.0), y=Float(0.0, 1.0)),
    objective=Objective("score", "maximize"),
    protocol=Protocol(epochs=10, validation=0.25),
    baseline={"x": 0.5, "y": 0.5},
    train=train,
)

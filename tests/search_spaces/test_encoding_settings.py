"""A study knows a fixed encoding by what it was made with, however the encoding keeps it."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from tests.support import small_tasks
from tune_jobs.models import mlp
from tune_jobs.models.label_encodings import Classes
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task


class Named(Classes):
    """Keeps its share under its own name."""

    def __init__(self, share: Any) -> None:
        super().__init__(2)
        object.__setattr__(self, "share", share)


class Renamed(Classes):
    """Keeps its share under another name."""

    def __init__(self, share: float) -> None:
        super().__init__(2)
        object.__setattr__(self, "rest", 1 - share)


class Converted(Classes):
    """Keeps its share as a number of NumPy, under another name."""

    def __init__(self, share: float) -> None:
        super().__init__(2)
        object.__setattr__(self, "kept", np.float32(share))


def digest(encoding: Any) -> str:
    return Task(
        "own",
        Space(units=Choice("4", "8")),
        Objective("val_accuracy", "maximize"),
        dataset=small_tasks.points,
        protocol=Protocol(epochs=1, validation=20),
        build=mlp.build,
        encoding=encoding,
    ).digest()


KINDS = [
    Named,
    Renamed,
    Converted,
    lambda share: Named(np.full(3, share)),
    lambda share: functools.partial(Named, share),
]
KINDS += [lambda share: functools.partial(Named, share=share), lambda share: {"a": Renamed(share)}]


@pytest.mark.parametrize("make", KINDS)
def test_an_encoding_made_otherwise_is_another(make: Any) -> None:
    assert digest(make(0.1)) == digest(make(0.1))
    assert digest(make(0.1)) != digest(make(0.3))

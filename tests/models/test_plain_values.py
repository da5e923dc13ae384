"""Scalars of other libraries are plain values, in label encodings and their scales too."""

from __future__ import annotations

import enum
import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from tune_jobs.models.label_encodings import Classes, MultiLabel
from tune_jobs.models.plain_values import plain
from tune_jobs.models.regression import Regression
from tune_jobs.models.scales import Scale, Slip


class Size(enum.IntEnum):
    SMALL = 3


class Kind(str, enum.Enum):  # noqa: UP042 (people write it so)
    DEEP = "deep"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.1), 0.1),
        (np.float32(0.1), 0.1),
        (np.float16(0.1), 0.1),
        (np.longdouble("0.5"), 0.5),
        (np.int64(3), 3),
        (np.uint8(3), 3),
        (np.bool_(True), True),
        (np.str_("deep"), "deep"),
        (np.array(3), 3),
        (np.array(0.1, np.float32), 0.1),
        (Size.SMALL, 3),
        (Kind.DEEP, "deep"),
    ],
)
def test_a_scalar_of_another_kind_is_the_plain_value_that_it_shows(value: Any, expected: Any) -> None:
    assert (type(plain(value)), plain(value)) == (type(expected), expected)


@pytest.mark.parametrize("value", [None, True, 3, 0.5, "x", (1,), np.arange(2), np.datetime64("2020"), 1j])
def test_anything_else_is_as_it_was(value: Any) -> None:
    assert plain(value) is value


def test_a_tensorflow_scalar_is_a_plain_value() -> None:
    class Tensor:  # of TensorFlow: its shape is a list-like of its own, and `numpy()` gives the value
        shape = ()

        def numpy(self) -> np.float32:
            return np.float32(0.1)

    assert plain(Tensor()) == 0.1


LABELS = np.array([3, 0, 2])
TICKS = np.linspace(0, 1, 3, dtype=np.float32)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: Classes(LABELS.max() + 1), Classes(4)),
        (lambda: Classes(np.int8(3), start=LABELS.min()), Classes(3)),
        (lambda: MultiLabel(np.array(2)), MultiLabel(2)),
        (lambda: Regression("m", close=np.float32(0.1)), Regression("m", close=0.1)),
        (lambda: Slip(np.float32(0.1), np.int64(1), "steps"), Slip(0.1, 1, "steps")),
        (
            lambda: Scale("share", "parts", tuple(TICKS), np.int32(2), decimals=np.int64(1), error_ticks=(TICKS[1],)),
            Scale("share", "parts", (0.0, 0.5, 1.0), 2, decimals=1, error_ticks=(0.5,)),
        ),
    ],
)
def test_encodings_and_scales_of_numpy_values_are_those_of_plain_ones(made: Any, expected: Any) -> None:
    assert repr(made()) == repr(expected)
    assert json.dumps(asdict(made())) == json.dumps(asdict(expected))

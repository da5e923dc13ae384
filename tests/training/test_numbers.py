"""Metrics of any library and shape become floats by name."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tune_jobs.errors import TrialError
from tune_jobs.models.lazy_keras import keras
from tune_jobs.training.numbers import as_numbers


@pytest.mark.parametrize(
    "half",
    [
        0.5,
        np.float16(0.5),
        np.float64(0.5),
        np.array(0.5),
        np.array([0.5]),
        np.array([[0.5]]),
        [0.5],
        Decimal("0.5"),
        Fraction(1, 2),
        tf.constant(0.5),
        tf.constant(0.5, tf.bfloat16),
        tf.Variable(0.5),
        keras.ops.convert_to_tensor([0.5]),
    ],
)
def test_scalars_of_any_kind_are_numbers(half: Any) -> None:
    numbers = as_numbers({"metric": half})
    assert numbers == {"metric": 0.5}
    assert type(numbers["metric"]) is float


@pytest.mark.parametrize("number", [3, True, np.int8(1), np.bool_(True), np.uint64(7), tf.constant(2)])
def test_whole_numbers_and_truths_are_floats(number: Any) -> None:
    assert as_numbers({"metric": number}) == {"metric": float(number)}


@pytest.mark.parametrize("of", [list, tuple, np.array, tf.constant])
def test_a_value_a_class_is_a_metric_a_class(of: Any) -> None:
    assert as_numbers({"f1": of([0.5, 0.25])}) == {"f1/0": 0.5, "f1/1": 0.25}


def test_a_table_has_a_name_for_each_cell() -> None:
    assert as_numbers({"confusion": np.arange(4).reshape(2, 2)}) == {
        "confusion/0/0": 0.0,
        "confusion/0/1": 1.0,
        "confusion/1/0": 2.0,
        "confusion/1/1": 3.0,
    }


def test_the_parts_of_a_mapping_have_their_own_names() -> None:
    assert as_numbers({"all": {"precision": 0.5, "recall": np.array([1.0, 0.0])}, "loss": 2}) == {
        "precision": 0.5,
        "recall/0": 1.0,
        "recall/1": 0.0,
        "loss": 2.0,
    }


def test_none_was_not_measured() -> None:
    assert as_numbers({"val_accuracy": None, "loss": 1.0}) == {"loss": 1.0}


@pytest.mark.parametrize("value", ["0.5", b"0.5", object(), [0.5, "a"], np.array(["a"]), 1j, 10**400])
def test_what_is_no_number_is_refused_with_its_name(value: Any) -> None:
    with pytest.raises(TrialError, match=r"metric 'speed' needs a number; got"):
        as_numbers({"speed": value})

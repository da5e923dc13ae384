"""What a value means for a domain, however it is spelled, and scalars of other libraries as plain values."""

from __future__ import annotations

import enum
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.spaces import scalars
from tune_jobs.search_spaces import Choice, Fixed, Float, Int, OneFactor, Space, narrow
from tune_jobs.search_spaces.scalars import plain
from tune_jobs.search_spaces.values import meant


class Size(enum.IntEnum):
    SMALL = 3


class Kind(str, enum.Enum):  # noqa: UP042 (people write it so)
    DEEP = "deep"


# --- meant ------------------------------------------------------------------------------------------------------------


@given(scalars.flatmap(lambda domain: st.tuples(st.just(domain), st.sampled_from(list(domain.values())))))
def test_a_value_of_the_domain_means_itself(case):
    domain, value = case
    found = meant(domain, value)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("domain", "written", "value"),
    [
        (Float(0.0, 1.0), "1e-3", 0.001),
        (Float(0.0, 2.0), 1, 1.0),
        (Float(0.0, 1.0, step=0.1), 0.1 + 2 * 0.1, 0.3),
        (Int(1, 9), 8.0, 8),
        (Int(1, 10_000), "1e3", 1000),
        (Int(1, 9), np.int64(8), 8),
        (Choice(0.001, 0.01), "1e-3", 0.001),
        (Choice(8, 16), 8.0, 8),
        (Choice(1.0, 2.0), 1, 1.0),
        (Choice("64", "64-32"), 64, "64"),
        (Choice("1e-3", 0.001), "1e-3", "1e-3"),
        (Choice("1e-3", "0.01"), 0.001, "1e-3"),
        (Choice("off", "on"), False, "off"),
        (Choice("no", "yes"), True, "yes"),
        (Choice(False, True), "off", False),
        (Choice("none", "l2"), None, "none"),
        (Choice("null", None), None, None),
        (Choice(None, 0.1), "null", None),
        (Choice("true", "yes"), True, "true"),
    ],
)
def test_a_value_is_taken_for_what_it_means(domain, written, value):
    found = meant(domain, written)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("domain", "written"),
    [
        (Float(0.0, 1.0), "fast"),
        (Float(0.0, 1.0), True),
        (Float(0.0, 1.0), math.nan),
        (Float(0.0, 1.0), 2**2000),
        (Int(1, 9), 8.5),
        (Int(0, 1), False),
        (Int(1, 9), [8]),
        (Choice("on", "off"), "no"),
        (Choice("none", "null"), None),
        (Choice("no", "off"), False),
        (Choice(False, True), 1),
        (Choice(0, 1), True),
    ],
)
def test_what_means_nothing_or_two_things_stays_as_it_came_and_is_refused(domain, written):
    assert meant(domain, written) is written or meant(domain, written) == written
    assert domain.why_not(meant(domain, written)) is not None


def test_set_takes_what_a_word_means_too():
    space = Space(nesterov=Choice(False, True), units=Int(1, 9), rate=Choice(0.001, 0.01))
    kept = narrow(space, {"nesterov": "off", "units": "8.0", "rate": "1e-3"})
    assert list(kept.grid()) == [{"nesterov": False, "units": 8, "rate": 0.001}]


# --- plain ------------------------------------------------------------------------------------------------------------


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
def test_a_scalar_of_another_kind_is_the_plain_value_that_it_shows(value, expected):
    assert (type(plain(value)), plain(value)) == (type(expected), expected)


@pytest.mark.parametrize("value", [None, True, 3, 0.5, "x", (1,), np.arange(2), np.datetime64("2020"), 1j])
def test_anything_else_is_as_it_was(value):
    assert plain(value) is value


def test_a_tensorflow_scalar_is_a_plain_value():
    class Tensor:  # of TensorFlow: its shape is a list-like of its own, and `numpy()` gives the value
        shape = ()

        def numpy(self):
            return np.float32(0.1)

    assert plain(Tensor()) == 0.1


def test_a_space_of_numpy_values_is_the_space_of_plain_ones():
    rates = np.logspace(-4, -1, 4)
    made = Space(
        rate=Choice(*rates),
        units=Int(np.int64(1), np.int32(9), step=np.int64(2)),
        share=Float(np.float32(0.5), np.float64(1.0), step=np.float32(0.25), log=np.bool_(False)),
        held=Fixed(np.int64(4), Int(1, 4)),
    )
    expected = Space(
        rate=Choice(*rates.tolist()),
        units=Int(1, 9, step=2),
        share=Float(0.5, 1.0, step=0.25),
        held=Fixed(4, Int(1, 4)),
    )
    assert repr(made) == repr(expected)
    assert "np." not in "\n".join(made.describe())
    assert made.to_json() == expected.to_json()


def test_one_factor_of_numpy_values_is_that_of_plain_ones():
    made = OneFactor({"rate": np.float64(0.1)}, {"rate": {"low": {"rate": np.float32(0.01)}}})
    assert repr(made) == repr(OneFactor({"rate": 0.1}, {"rate": {"low": {"rate": 0.01}}}))

"""What a value means for a domain, however it is spelled, and spaces of NumPy's values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.spaces import scalars
from tune_jobs.search_spaces import Choice, Fixed, Float, Int, OneFactor, Space, narrow
from tune_jobs.search_spaces.values import meant

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


# --- spaces of NumPy's values ---


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

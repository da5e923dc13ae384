"""Domains of one value: what they refuse when made, what belongs to them, how they read."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_jobs.search_spaces import Choice, Float, Int, SpaceError, params_id


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Float(1e-2, 1e-4), "Float needs low <= high; got 0.01 to 0.0001"),
        (lambda: Float(0, 1, log=True), "Float on a log scale needs low > 0; got 0.0"),
        (lambda: Float(0, math.inf), "Float high needs a finite number; got inf"),
        (lambda: Float(-1e308, 1e308), "Float needs bounds that are apart by less than 1.8e308; got -1e+308 to 1e+308"),
        (
            lambda: Float(1e-300, 1e9, log=True),
            "Float needs bounds whose ratio is below 1.8e308; got 1e-300 to 1000000000.0",
        ),
        (lambda: Float("0", 1), "Float low needs a finite number; got '0'"),
        (lambda: Float(0, 1, step=0.3), "Float needs a step that divides 0.0 to 1.0; got 0.3"),
        (lambda: Float(0, 1, step=-0.5), "Float needs a step that divides 0.0 to 1.0; got -0.5"),
        (lambda: Float(0.1, 1, log=True, step=0.1), "Float takes log or a step, not both; got log=True, step=0.1"),
        (lambda: Float(0, 1, log="no"), "Float needs log True or False; got 'no'"),
        (lambda: Float(0, 1, step="0.1"), "Float step needs a finite number; got '0.1'"),
        (lambda: Int(1, 8, log=None), "Int needs log True or False; got None"),
        (lambda: Int(1, 8, step=None), "Int step needs a whole number; got None"),
        (lambda: Int(3, 1), "Int needs low <= high; got 3 to 1"),
        (lambda: Int(0, 8, log=True), "Int on a log scale needs low > 0; got 0"),
        (lambda: Int(0.0, 8), "Int low needs a whole number; got 0.0"),
        (lambda: Int(0, True), "Int high needs a whole number; got True"),
        (lambda: Int(1, 8, step=2), "Int needs a step that divides 1 to 8; got 2"),
        (lambda: Int(1, 9, log=True, step=2), "Int takes log or a step, not both; got log=True, step=2"),
        (Choice, "Choice needs at least one option; got none"),
        (lambda: Choice("a", "b", "a"), "Choice needs options that differ; got 'a' and 'a'"),
        (lambda: Choice(1, True), "Choice needs options that differ; got 1 and True"),
        (lambda: Choice(7, "7"), "Choice needs options that differ; got 7 and '7'"),
        (lambda: Choice("none", None), "Choice needs options that differ; got 'none' and None"),
        (lambda: Choice((64, 128)), "Choice takes None, bool, int, float and str; got (64, 128)"),
        (lambda: Choice(math.nan), "Choice needs a finite number; got nan"),
    ],
)
def test_a_domain_that_cannot_be_is_refused_with_what_came(make, message):
    with pytest.raises(SpaceError) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("domain", "value"),
    [
        (Float(1e-4, 1e-2, log=True), 1e-4),
        (Float(1e-4, 1e-2, log=True), 1e-2),
        (Float(0.1, 0.5, step=0.1), 0.3),
        (Int(1, 7, step=3), 7),
        (Choice(None, "no", 0.5), None),
    ],
)
def test_bounds_and_options_belong(domain, value):
    assert domain.why_not(value) is None


@pytest.mark.parametrize(
    ("domain", "value", "reason"),
    [
        (Float(0.1, 0.5), 0.6, "is 0.6; allowed: 0.1 to 0.5"),
        (Float(0.1, 0.5), math.nan, "is nan; allowed: 0.1 to 0.5"),
        (Float(0.1, 0.5, step=0.1), 0.25, "is 0.25; allowed: 0.1 to 0.5, in steps of 0.1"),
        (Float(0.1, 0.5, step=0.1), math.inf, "is inf; allowed: 0.1 to 0.5, in steps of 0.1"),
        (Float(0, 2), 1, "is 1; needed: a float, 0.0 to 2.0"),
        (Float(1, 1), 2.0, "is 2.0; allowed: 1.0"),
        (Int(1, 7, step=3), 5, "is 5; allowed: 1 to 7, in steps of 3"),
        (Int(1, 8, log=True), 9, "is 9; allowed: 1 to 8, on a log scale"),
        (Int(1, 7), 2.0, "is 2.0; needed: a whole number, 1 to 7"),
        (Int(0, 1), True, "is True; needed: a whole number, 0 to 1"),
        (Choice("relu", "tanh"), "rely", "is 'rely'; allowed: relu, tanh"),
        (Choice("64", "64-32"), 64, "is 64; allowed: '64', 64-32"),
        (Choice(1.0), 1, "is 1; allowed: 1.0"),
    ],
)
def test_what_does_not_belong_is_told_what_is_allowed(domain, value, reason):
    assert domain.why_not(value) == reason


def test_steps_are_counted_as_they_are_written():
    assert list(Float(0.1, 0.5, step=0.1).values()) == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert Float(0.1, 0.5, step=0.1).size == 5
    assert Float(0.1, 0.1).size == 1
    assert list(Float(0.1, 0.1).values()) == [0.1]
    assert Float(0.1, 0.5).size is None
    assert list(Int(1, 7, step=3).values()) == [1, 4, 7]
    with pytest.raises(SpaceError, match=r"0\.1 to 0\.5 cannot be counted"):
        Float(0.1, 0.5).values()


@given(hundredths=st.integers(-500, 500), step=st.integers(1, 50), steps=st.integers(0, 50))
def test_a_step_computed_in_binary_snaps_to_the_counted_one(hundredths, step, steps):
    """Samplers compute low + i * step in floats, which is not always the number that is written."""
    domain = Float(hundredths / 100, (hundredths + steps * step) / 100, step=step / 100)
    assert domain.size == steps + 1
    for index, counted in enumerate(domain.values()):
        assert counted == (hundredths + index * step) / 100
        assert domain.snap(domain.low + index * (step / 100)) == counted
        assert domain.why_not(counted) is None


def test_snapping_leaves_what_is_between_steps():
    assert Float(0.1, 0.5, step=0.1).snap(0.25) == 0.25
    assert Float(0.0, 1.0).snap(1) == 1.0


def test_choices_of_different_types_differ():
    assert Choice(1) != Choice(1.0)
    assert Choice(0, 2) != Choice(False, 2)
    assert len({Choice(1), Choice(1.0), Choice(True), Choice(1)}) == 3


def test_params_id_ignores_order_and_heeds_types():
    assert params_id({"a": 1, "b": "x"}) == params_id({"b": "x", "a": 1})
    assert params_id({"a": 1}) != params_id({"a": 1.0})
    assert params_id({"a": None}) != params_id({"a": "None"})
    # sha256 of {"a":1}, by sha256sum
    assert params_id({"a": 1}) == "015abd7f5cc5"


@given(st.data())
def test_a_value_lies_at_its_share_whatever_the_scale(data):
    domain = data.draw(
        st.sampled_from(
            [
                Float(0.1, 0.9, step=0.1),
                Int(-3, 9, step=4),
                Int(1, 1024, log=True),
                Choice("a", None, 7),
                Int(5, 5),
                Float(2.0, 2.0),
            ]
        )
    )
    value = data.draw(st.sampled_from(list(domain.values())))
    assert domain.at(domain.share(value)) == value


@given(st.sampled_from([Float(1e-5, 1e-1, log=True), Float(-1.0, 3.0)]), st.floats(0, 1))
def test_the_share_of_a_float_is_where_it_was_taken_from(domain, share):
    assert domain.share(domain.at(share)) == pytest.approx(share, abs=1e-12)

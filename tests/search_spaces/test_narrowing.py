"""Narrowing a space to what `--set` keeps, and opening what it holds Fixed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.spaces import DROPOUT, SPACE, spaces
from tune_jobs.search_spaces import (
    Choice,
    Fixed,
    Float,
    Int,
    Space,
    SpaceError,
    Variants,
    narrow,
    open_all,
    open_parameters,
)


@pytest.mark.slow
@given(spaces)
def test_opening_only_adds_points(space):
    assert all(open_all(space).why_not(point) is None for point in space.grid())
    assert open_all(open_all(space)) == open_all(space)


@pytest.mark.slow
@settings(max_examples=200)
@given(spaces, st.data())
def test_narrowing_to_a_point_keeps_it_and_enlarges_nothing(space, data):
    whole = open_all(space)
    point = data.draw(st.sampled_from(list(whole.grid())))
    settings_ = {name: str(value).lower() for name, value in point.items()}
    narrowed = narrow(space, settings_)
    assert point in list(narrowed.grid())
    assert all(whole.why_not(found) is None for found in narrowed.grid())


@pytest.mark.slow
@given(spaces, st.data())
def test_narrowing_one_open_parameter_never_enlarges(space, data):
    point = data.draw(st.sampled_from(list(space.grid())))
    if not point:
        return
    name = data.draw(st.sampled_from(sorted(point)))
    try:
        narrowed = narrow(space, {name: str(point[name]).lower()})
    except SpaceError:
        raise AssertionError(f"{name}={point[name]} is in the space") from None
    assert narrowed.size <= space.size
    assert all(space.why_not(found) is None for found in narrowed.grid())


def _domain(space, name, option=None):
    domains = dict(space.domains)
    return domains[name] if option is None else dict(dict(domains["optimizer"].options)[option].domains)[name]


def test_narrowing_to_an_option_keeps_its_space():
    narrowed = narrow(SPACE, {"optimizer": "adam"})
    assert _domain(narrowed, "optimizer") == Variants(adam=Space(learning_rate=Choice(1e-3, 1e-2)))
    assert _domain(narrowed, "units") == Choice(64, 128)


def test_several_options_stay_in_declared_order():
    assert [name for name, _ in _domain(narrow(SPACE, {"optimizer": "adam, sgd"}), "optimizer").options] == [
        "sgd",
        "adam",
    ]
    assert _domain(narrow(SPACE, {"units": "128,64"}), "units") == Choice(64, 128)


def test_a_range_keeps_its_scale():
    narrowed = narrow(SPACE, {"learning_rate": "2e-3..5e-2"})
    assert _domain(narrowed, "learning_rate", "sgd") == Float(2e-3, 5e-2, log=True)
    assert narrow(Space(n=Int(1, 64, log=True)), {"n": "2..8"}) == Space(n=Int(2, 8, log=True))
    assert narrow(Space(n=Int(1, 9, step=2)), {"n": "3..7"}) == Space(n=Int(3, 7, step=2))


def test_a_name_under_several_options_is_narrowed_where_the_values_fit():
    narrowed = narrow(SPACE, {"learning_rate": "0.01"})
    assert _domain(narrowed, "learning_rate", "sgd") == Choice(0.01)
    assert _domain(narrowed, "learning_rate", "adam") == Choice(0.01)
    assert _domain(narrowed, "learning_rate", "rmsprop") == Choice(0.001), "nothing fits: left alone"


def test_setting_what_is_held_opens_it_to_these_values():
    narrowed = narrow(SPACE, {"layers": "2,3", "dropout": "with", "dropout_rate": "0.3"})
    assert _domain(narrowed, "layers") == Choice(2, 3)
    assert _domain(narrowed, "dropout") == Variants({"with": Space(dropout_rate=Choice(0.3))})
    assert _domain(narrow(SPACE, {"layers": "1..2"}), "layers") == Int(1, 2)


def test_words_are_read_as_the_options_they_name():
    space = Space(a=Choice("7", 8, 0.5, None, True, "x,y", "1..2"))
    for word, value in [
        ("7", "7"),
        ("8", 8),
        ("5e-1", 0.5),
        ("none", None),
        ("True", True),
        ("x,y", "x,y"),
        ("1..2", "1..2"),
    ]:
        assert narrow(space, {"a": word}) == Space(a=Choice(value))
    assert narrow(space, {"a": "null,8"}) == Space(a=Choice(8, None))


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        (
            {"learnig_rate": "0.1"},
            "no parameter 'learnig_rate' in this space; near it: learning_rate; "
            "it has: units, optimizer, learning_rate, momentum, dropout, dropout_rate, layers, batch_norm",
        ),
        ({"units": "64,65"}, "units=65 is not in this space; allowed: 64, 128"),
        ({"units": "64..128"}, "units=64..128 is not in this space; allowed: 64, 128"),
        ({"optimizer": "adan"}, "optimizer=adan is not in this space; allowed: sgd, rmsprop, adam"),
        ({"layers": "1..4"}, "layers=1..4 is not in this space; allowed: 1 to 3"),
        ({"layers": "1.."}, "layers=1.. is not in this space; allowed: 1 to 3"),
        (
            {"learning_rate": "5"},
            "learning_rate=5 is not in this space; allowed: 0.001 to 0.1, on a log scale; or 0.001; or 0.001, 0.01",
        ),
        (
            {"optimizer": "adam", "learning_rate": "0.05"},
            "learning_rate=0.05 is not in this space; allowed: 0.001, 0.01",
        ),
        ({"optimizer": "adam", "momentum": "0.9"}, "momentum is active only when optimizer is sgd; set that too"),
        ({"dropout_rate": "0.1"}, "dropout_rate is active only when dropout is with; set that too"),
        ({"units": ""}, "units= has an empty value; write units=A, units=A,B or units=LOW..HIGH"),
        ({"units": "64,64"}, "units=64,64 names 64 twice"),
        ({"layers": "3..1"}, "Int needs low <= high; got 3 to 1"),
    ],
)
def test_a_setting_that_cannot_be_is_told_why(settings_, message):
    with pytest.raises(SpaceError) as caught:
        narrow(SPACE, settings_)
    assert str(caught.value) == message


def test_opening_gives_the_whole_domain():
    opened = open_parameters(SPACE, ["layers", "dropout"])
    assert _domain(opened, "layers") == Int(1, 3)
    assert _domain(opened, "dropout") == DROPOUT
    assert opened == open_all(SPACE)


def test_opening_reaches_under_options():
    factor = Fixed(0.01, Float(1e-6, 1e-1, log=True))
    space = Space(regularizer=Fixed("none", Variants(none=Space(), l2=Space(factor=factor))))
    with pytest.raises(SpaceError, match="factor is active only when regularizer is l2; set that too"):
        open_parameters(space, ["factor"])
    assert open_parameters(space, ["regularizer", "factor"]).names() == ("regularizer", "factor")
    assert open_parameters(space, ["regularizer"]).size == 2
    assert open_parameters(space, ["regularizer", "factor"]).size is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("units", "units is not held at a value, so there is nothing to open"),
        ("layer", "no parameter 'layer' in this space; near it: layers; it has: units, "),
    ],
)
def test_what_is_not_held_cannot_be_opened(name, message):
    with pytest.raises(SpaceError) as caught:
        open_parameters(SPACE, [name])
    assert str(caught.value).startswith(message)

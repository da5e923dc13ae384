"""Spaces: their grids, what belongs to them and why not, words and JSON."""

from __future__ import annotations

import json
import pickle
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.spaces import DROPOUT, OPTIMIZERS, SPACE, spaces
from tune_jobs.search_spaces import (
    Choice,
    Fixed,
    Float,
    Int,
    Space,
    SpaceError,
    Variants,
    open_all,
    open_parameters,
    params_id,
)


@pytest.mark.slow
@given(spaces)
def test_every_point_of_a_grid_belongs_and_none_comes_twice(space):
    points = list(space.grid())
    assert [space.why_not(point) for point in points if space.why_not(point)] == []
    assert len({params_id(point) for point in points}) == len(points) == space.size


@pytest.mark.slow
@given(spaces, st.randoms(use_true_random=False))
def test_a_walk_of_any_choices_belongs(space, rng):
    asked = []

    def choose(name, domain, under):
        asked.append((under, name))
        return rng.choice(list(domain.values()))

    point = space.walk(choose)
    assert space.why_not(point) is None
    assert set(point) <= set(space.names())
    assert len(set(asked)) == len(asked)


@pytest.mark.slow
@given(spaces, st.randoms(use_true_random=False))
def test_decisions_are_what_a_walk_was_asked_and_answered(space, rng):
    asked = []

    def choose(name, domain, under):
        asked.append((name, domain, under, rng.choice(list(domain.values()))))
        return asked[-1][-1]

    point = space.walk(choose)
    assert [(choice.name, choice.domain, choice.under, choice.value) for choice in space.decisions(point)] == asked


@pytest.mark.slow
@given(spaces)
def test_json_gives_the_same_space_back(space):
    assert Space.from_json(json.loads(json.dumps(space.to_json(), sort_keys=True))) == space
    assert pickle.loads(pickle.dumps(space)) == space


@pytest.mark.slow
@given(spaces)
def test_a_space_says_every_parameter_in_words(space):
    text = "\n".join(space.describe())
    assert all(f"{name}: " in text for name in open_all(space).names())


@pytest.mark.slow
@given(spaces)
def test_what_is_always_there_is_in_every_point(space):
    assert space.always() == set.intersection(*(set(point) for point in space.grid()))


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_grid_skips_inactive_parameters_and_varies_the_last_fastest():
    space = Space(
        optimizer=Variants(sgd=Space(momentum=Choice(0.0, 0.9)), adam=Space()),
        units=Choice(64, 128),
        layers=Fixed(1, Int(1, 3)),
    )
    assert list(space.grid()) == [
        {"optimizer": "sgd", "momentum": 0.0, "units": 64, "layers": 1},
        {"optimizer": "sgd", "momentum": 0.0, "units": 128, "layers": 1},
        {"optimizer": "sgd", "momentum": 0.9, "units": 64, "layers": 1},
        {"optimizer": "sgd", "momentum": 0.9, "units": 128, "layers": 1},
        {"optimizer": "adam", "units": 64, "layers": 1},
        {"optimizer": "adam", "units": 128, "layers": 1},
    ]
    assert space.size == 6


def test_an_empty_space_has_one_point():
    assert Space().size == 1
    assert list(Space().grid()) == [{}]


def test_a_grid_of_a_range_is_refused_before_its_first_point():
    with pytest.raises(SpaceError) as caught:
        SPACE.grid()
    assert str(caught.value) == (
        "a grid needs values that can be counted, and learning_rate is anything from 0.001 to 0.1, on a log scale: "
        "list some with --set learning_rate=0.001,0.1, or use another search"
    )
    assert SPACE.size is None


def test_a_range_held_at_a_value_can_be_counted():
    space = Space(factor=Fixed(0.01, Float(1e-6, 1e-1, log=True)))
    assert list(space.grid()) == [{"factor": 0.01}]
    assert space.size == 1


def test_an_option_that_is_held_brings_its_space():
    space = Space(dropout=Fixed("with", DROPOUT))
    assert list(space.grid()) == [{"dropout": "with", "dropout_rate": rate} for rate in (0.1, 0.3)]
    assert space.names() == ("dropout", "dropout_rate")
    assert Space(dropout=Fixed("without", DROPOUT)).names() == ("dropout",)


def test_names_may_recur_under_sibling_options():
    assert SPACE.names() == ("units", "optimizer", "learning_rate", "momentum", "dropout", "layers", "batch_norm")


def test_what_is_held_does_not_vary():
    assert SPACE.varied() == ("units", "optimizer", "learning_rate", "momentum", "batch_norm")
    assert open_parameters(SPACE, ["dropout"]).varied()[-3:] == ("dropout", "dropout_rate", "batch_norm")
    assert Space(dropout=Fixed("with", DROPOUT)).varied() == ("dropout_rate",)


def test_decisions_leave_out_what_is_held_missing_or_outside_its_domain():
    space = Space(optimizer=OPTIMIZERS, units=Choice(64, None), layers=Fixed(1, Int(1, 3)))
    params = {"optimizer": "adam", "learning_rate": 0.5, "layers": 2, "momentum": 0.9}
    assert [(choice.name, choice.value) for choice in space.decisions(params)] == [("optimizer", "adam")]
    assert [(choice.name, choice.under) for choice in space.decisions({**params, "learning_rate": 0.01})] == [
        ("optimizer", ""),
        ("learning_rate", "optimizer=adam"),
    ]


def test_walk_asks_in_declared_order_and_says_under_what():
    asked = []

    def first(name, domain, under):
        asked.append((name, under, type(domain).__name__))
        return domain.low if isinstance(domain, Float) else domain.options[0]

    assert SPACE.walk(first) == {
        "units": 64,
        "optimizer": "sgd",
        "learning_rate": 0.001,
        "momentum": 0.0,
        "dropout": "without",
        "layers": 1,
        "batch_norm": False,
    }
    assert asked == [
        ("units", "", "Choice"),
        ("optimizer", "", "Choice"),
        ("learning_rate", "optimizer=sgd", "Float"),
        ("momentum", "optimizer=sgd", "Choice"),
        ("batch_norm", "", "Choice"),
    ]


def test_walk_names_every_option_above_a_parameter():
    asked = []
    inner = Variants(step=Space(rate=Choice(0.1)))
    Space(optimizer=Fixed("sgd", Variants(sgd=Space(schedule=inner), adam=Space()))).walk(
        lambda name, domain, under: asked.append((under, name)) or next(iter(domain.values()))
    )
    assert asked == [("optimizer=sgd", "schedule"), ("optimizer=sgd/schedule=step", "rate")]


def test_walk_refuses_a_choice_from_outside():
    with pytest.raises(SpaceError, match="units was chosen outside its domain: it is 65; allowed: 64, 128"):
        SPACE.walk(lambda name, domain, under: 65)


def test_walk_takes_a_sampled_step_for_the_counted_one():
    space = Space(rate=Float(0.1, 0.5, step=0.1))
    assert space.walk(lambda name, domain, under: 0.1 + 2 * 0.1) == {"rate": 0.3}


def _point(**changes):
    point = {
        "units": 64,
        "optimizer": "adam",
        "learning_rate": 0.01,
        "dropout": "without",
        "layers": 1,
        "batch_norm": True,
        **changes,
    }
    return {name: value for name, value in point.items() if value != "absent"}


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        (_point(), None),
        (
            _point(unist=64),
            "no parameter 'unist' in this space; near it: units; "
            "it has: units, optimizer, learning_rate, momentum, dropout, dropout_rate, layers, batch_norm",
        ),
        (_point(units="absent"), "units is missing; needed: 64, 128"),
        (_point(layers="absent"), "layers is missing; needed: 1"),
        (_point(learning_rate="absent"), "learning_rate is missing; needed: 0.001, 0.01"),
        (_point(units=65), "units is 65; allowed: 64, 128"),
        (_point(learning_rate=0.1), "learning_rate is 0.1; allowed: 0.001, 0.01"),
        (_point(optimizer="adan"), "optimizer is 'adan'; allowed: sgd, rmsprop, adam"),
        (_point(momentum=0.9), "momentum is active only when optimizer is sgd"),
        (_point(layers=2), "layers is 2 and held at 1; --set layers=2 opens it"),
        (_point(layers=4), "layers is 4; allowed: 1 to 3"),
        (_point(dropout="with"), "dropout is 'with' and held at without; --set dropout=with opens it"),
        (_point(dropout_rate=0.1), "dropout_rate is active only when dropout is with"),
        (_point(batch_norm=1), "batch_norm is 1; allowed: false, true"),
    ],
)
def test_why_params_do_not_belong(params, reason):
    assert SPACE.why_not(params) == reason


def test_check_raises_the_reason():
    SPACE.check(_point())
    with pytest.raises(SpaceError, match="units is 65; allowed: 64, 128"):
        SPACE.check(_point(units=65))


# --- declarations that cannot be --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Variants, "Variants needs at least one option; got none"),
        (lambda: Variants({"a": Space()}, a=Space()), "Choice needs options that differ; got 'a' and 'a'"),
        (lambda: Variants({"": Space()}), "an option of Variants needs a name without '='; got ''"),
        (lambda: Space.of(["a"]), "Space.of needs a mapping of names to domains; got ['a']"),
        (lambda: Space(a=Variants(["b"])), "Variants takes its options by name or as a mapping; got ['b']"),
        (lambda: Space(a=Variants(b=Choice(1))), "option 'b' of 'a' needs a Space; got Choice(options=(1,))"),
        (lambda: Space(a=3), "parameter 'a' needs a Float, Int, Choice, Variants or Fixed; got 3"),
        (lambda: Space.of({"a=b": Choice(1)}), "a parameter needs a name without '='; got 'a=b'"),
        (lambda: Space.of({1: Choice(1)}), "a parameter needs a name without '='; got 1"),
        (
            lambda: Space(rate=Choice(1), a=Variants(b=Space(rate=Choice(1)))),
            "parameter 'rate' could be active twice at once: it occurs again at 'a'",
        ),
        (
            lambda: Space(a=Variants(b=Space(a=Choice(1)))),
            "parameter 'a' could be active twice at once: it occurs again at 'a'",
        ),
        (
            lambda: Space(a=Fixed("x", Variants(x=Space(), b=Space(r=Choice(1)))), c=Variants(d=Space(r=Choice(1)))),
            "parameter 'r' could be active twice at once: it occurs again at 'c'",
        ),
        (lambda: Fixed(4, Int(1, 3)), "Fixed needs a value of its domain; it is 4; allowed: 1 to 3"),
        (lambda: Fixed("c", Variants(a=Space())), "Fixed needs a value of its domain; it is 'c'; allowed: a"),
        (lambda: Fixed(1, 1), "Fixed holds a Float, Int, Choice or Variants; got 1"),
        (lambda: Space.from_json({}), "not a space in JSON form: KeyError 'parameters'"),
        (
            lambda: Space.from_json({"parameters": [{"name": "a", "type": "int64"}]}),
            "not a space in JSON form: no domain type 'int64'",
        ),
    ],
)
def test_a_space_that_cannot_be_is_refused_with_what_came(make, message):
    with pytest.raises(SpaceError) as caught:
        make()
    assert str(caught.value) == message


def test_describe_reads_as_declared():
    assert SPACE.describe() == [
        "units: 64, 128",
        "optimizer: sgd, rmsprop, adam",
        "  when optimizer is sgd:",
        "    learning_rate: 0.001 to 0.1, on a log scale",
        "    momentum: 0.0, 0.9",
        "  when optimizer is rmsprop:",
        "    learning_rate: 0.001",
        "  when optimizer is adam:",
        "    learning_rate: 0.001, 0.01",
        "dropout: held at without (openable: without, with)",
        "  when dropout is with:",
        "    dropout_rate: 0.1, 0.3",
        "layers: held at 1 (openable: 1 to 3)",
        "batch_norm: false, true",
    ]


def test_spaces_are_values():
    twin = Space.of(dict(SPACE.domains))
    assert twin == SPACE
    assert hash(twin) == hash(SPACE)
    assert Space(a=Choice(1), b=Choice(2)) != Space(b=Choice(2), a=Choice(1)), "the order is part of the grid"


def test_a_walk_with_a_seeded_generator_repeats():
    def draw(seed):
        rng = random.Random(seed)
        return SPACE.walk(
            lambda name, domain, under: (
                rng.uniform(domain.low, domain.high) if isinstance(domain, Float) else rng.choice(list(domain.values()))
            )
        )

    assert draw(7) == draw(7)

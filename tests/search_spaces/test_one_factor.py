"""One factor at a time: the points, what belongs and why not, narrowing, choosing, words and JSON."""

from __future__ import annotations

import itertools
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_jobs.search_spaces import Choice, OneFactor, Space, SpaceError, narrow, open_all, open_parameters, params_id
from tune_jobs.search_spaces.one_factor import space_from_json

BASELINE = {"units": "512", "optimizer": "sgd", "learning_rate": 0.01, "dropout_rate": 0.5}
FACTORS = {
    "optimizer": {
        "SGD": {},
        "Nesterov": {"momentum": 0.9, "nesterov": True},
        "Adam": {"optimizer": "adam", "learning_rate": 0.001},
    },
    "regularization": {"dropout": {}, "none": {"dropout_rate": None}},
    "width": {"128": {"units": "128"}, "512": {"units": "512"}},
}
SPACE = OneFactor(BASELINE, FACTORS)

NESTEROV = {**BASELINE, "momentum": 0.9, "nesterov": True}
ADAM = {**BASELINE, "optimizer": "adam", "learning_rate": 0.001}
UNDROPPED = {"units": "512", "optimizer": "sgd", "learning_rate": 0.01}
NARROW = {**BASELINE, "units": "128"}

# --- spaces at random -------------------------------------------------------------------------------------------------

names = st.sampled_from(["a", "b", "c", "d"])
values = st.sampled_from([0, 1, 1.0, True, False, 0.5, "1", "relu", "64-32"])
changes = st.dictionaries(names, values | st.none(), max_size=3)
levels = st.dictionaries(st.sampled_from(["x", "y: z", "64, 32", "baseline"]), changes, min_size=1, max_size=3)
baselines = st.dictionaries(names, values | st.none())
factor_names = st.sampled_from(["f", "g h", "baseline", "level"])
wholes = st.builds(OneFactor, baselines, st.dictionaries(factor_names, levels, min_size=1, max_size=3))


def _labels(space):
    (domain,) = {decision.domain for decision in space.decisions(next(space.grid()))}
    return domain.options


@st.composite
def _narrowed(draw):
    whole = draw(wholes)
    labels = draw(st.lists(st.sampled_from(_labels(whole)), min_size=1, unique=True))
    return OneFactor(dict(whole.baseline), _factors(whole), labels)


def _factors(space):
    return {factor: {name: dict(change) for name, change in named} for factor, named in space.factors}


def _point(*parts):
    merged = {name: value for part in parts for name, value in dict(part).items()}
    return {name: value for name, value in merged.items() if value is not None}


spaces = wholes | _narrowed()


@pytest.mark.slow
@given(wholes)
def test_a_grid_is_the_baseline_and_then_each_level_once(space):
    rows = [change for _, named in space.factors for _, change in named]
    expected = {params_id(point): point for point in (_point(space.baseline, row) for row in [(), *rows])}
    assert list(space.grid()) == list(expected.values())
    assert [params_id(point) for point in space.grid()] == list(expected)


@pytest.mark.slow
@given(spaces)
def test_every_point_belongs_and_none_comes_twice(space):
    points = list(space.grid())
    assert [space.why_not(point) for point in points] == [None] * len(points)
    assert len({params_id(point) for point in points}) == len(points) == space.size


@pytest.mark.slow
@given(wholes, st.data())
def test_a_point_of_two_factors_belongs_only_if_it_is_that_of_one(space, data):
    rows = [[change for _, change in named] for _, named in space.factors]
    if len(rows) < 2:
        return
    first, second = data.draw(st.sampled_from(list(itertools.combinations(rows, 2))))
    both = _point(space.baseline, data.draw(st.sampled_from(first)), data.draw(st.sampled_from(second)))
    belongs = params_id(both) in {params_id(point) for point in space.grid()}
    reason = space.why_not(both)
    assert (reason is None) == belongs
    baseline = _point(space.baseline)
    for name in both.keys() | baseline.keys():
        is_same = params_id({"": both.get(name)}) == params_id({"": baseline.get(name)})
        assert belongs or is_same or name in reason


@pytest.mark.slow
@given(spaces)
def test_a_label_leads_to_its_point_and_back(space):
    labels = _labels(space)
    points = [space.walk(lambda name, domain, under, label=label: label) for label in labels]
    assert points == list(space.grid())
    found = [[choice.value for choice in space.decisions(point)] for point in points]
    assert found == [[label] for label in labels]


@pytest.mark.slow
@given(spaces, st.randoms(use_true_random=False))
def test_a_walk_asks_what_its_decisions_say(space, rng):
    asked = []

    def choose(name, domain, under):
        asked.append((name, domain, under, rng.choice(domain.options)))
        return asked[-1][-1]

    point = space.walk(choose)
    assert [(choice.name, choice.domain, choice.under, choice.value) for choice in space.decisions(point)] == asked


@pytest.mark.slow
@given(spaces)
def test_json_gives_the_same_space_back(space):
    written = json.loads(json.dumps(space.to_json(), sort_keys=True))
    assert space_from_json(written) == OneFactor.from_json(written) == space
    assert list(map(params_id, space_from_json(written).grid())) == list(map(params_id, space.grid()))
    assert pickle.loads(pickle.dumps(space)) == space


@pytest.mark.slow
@given(spaces)
def test_names_are_those_of_the_points(space):
    points = list(space.grid())
    assert set(space.names()) == {name for point in points for name in point}
    assert len(set(space.names())) == len(space.names())
    assert space.always() == set.intersection(*(set(point) for point in points))
    spellings = {name: {json.dumps(point.get(name)) for point in points} for name in space.names()}
    assert set(space.varied()) == {name for name, written in spellings.items() if len(written) > 1}


@pytest.mark.slow
@given(spaces, st.data())
def test_narrowing_to_a_value_keeps_the_points_that_have_it(space, data):
    point = data.draw(st.sampled_from(list(space.grid())))
    if not point:
        return
    name = data.draw(st.sampled_from(sorted(point)))
    narrowed = narrow(space, {name: str(point[name]).lower()})
    same = [other for other in space.grid() if name in other and type(other[name]) is type(point[name])]
    expected = {params_id(other) for other in same if other[name] == point[name]}
    kept = {params_id(found) for found in narrowed.grid()}
    assert expected <= kept <= {params_id(other) for other in space.grid() if name in other}


@pytest.mark.slow
@given(spaces, st.data())
def test_what_narrowing_left_out_belongs_no_more(space, data):
    point = data.draw(st.sampled_from(list(space.grid())))
    if not point:
        return
    narrowed = narrow(space, {name: str(value).lower() for name, value in point.items()})
    kept = {params_id(found) for found in narrowed.grid()}
    for other in space.grid():
        assert (narrowed.why_not(other) is None) == (params_id(other) in kept)


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_rows_of_equal_params_count_once_and_none_takes_a_parameter_away():
    assert list(SPACE.grid()) == [BASELINE, NESTEROV, ADAM, UNDROPPED, NARROW]
    assert SPACE.size == 5


def test_names_always_and_varied():
    assert SPACE.names() == ("units", "optimizer", "learning_rate", "dropout_rate", "momentum", "nesterov")
    assert SPACE.always() == {"units", "optimizer", "learning_rate"}
    assert SPACE.varied() == SPACE.names()
    assert narrow(SPACE, {"optimizer": "sgd"}).varied() == ("units", "dropout_rate", "momentum", "nesterov")


def test_levels_are_the_rows_of_a_table_the_repeated_ones_included():
    rows = {factor: {level.name: level.params for level in levels} for factor, levels in SPACE.levels()}
    assert rows == {
        "optimizer": {"SGD": BASELINE, "Nesterov": NESTEROV, "Adam": ADAM},
        "regularization": {"dropout": BASELINE, "none": UNDROPPED},
        "width": {"128": NARROW, "512": BASELINE},
    }


def test_a_point_handed_out_may_be_changed():
    for point in SPACE.grid():
        point["units"] = "7"
    assert next(SPACE.grid()) == BASELINE


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {**ADAM, "units": "128"},
            "one factor at a time may leave the baseline, to a level it has; these differ from it in "
            "units='128', optimizer=adam, learning_rate=0.001",
        ),
        (
            {**UNDROPPED, "momentum": 0.9},
            "one factor at a time may leave the baseline, to a level it has; these differ from it in "
            "no dropout_rate, momentum=0.9",
        ),
        (
            {**BASELINE, "units": 512},
            "one factor at a time may leave the baseline, to a level it has; these differ from it in units=512",
        ),
        (
            {**BASELINE, "learning_rate": float("nan")},
            "one factor at a time may leave the baseline, to a level it has; these differ from it in learning_rate=nan",
        ),
        (
            {**BASELINE, "momentun": 0.9},
            "no parameter 'momentun' in this space; near it: momentum; it has: units, optimizer, learning_rate, "
            "dropout_rate, momentum, nesterov",
        ),
    ],
)
def test_what_does_not_belong_is_told_why(params, message):
    assert SPACE.why_not(params) == message
    assert list(SPACE.decisions(params)) == []
    with pytest.raises(SpaceError) as caught:
        SPACE.check(params)
    assert str(caught.value) == message


def test_a_point_left_out_by_narrowing_is_told_so():
    left = narrow(SPACE, {"optimizer": "adam"})
    reason = "this point was left out when the space was narrowed; left: optimizer: Adam"
    assert [left.why_not(point) for point in (BASELINE, NESTEROV)] == [reason] * 2
    assert left.why_not(ADAM) is None
    assert SPACE.check(ADAM) is None


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, [BASELINE, NESTEROV, ADAM, UNDROPPED, NARROW]),
        ({"optimizer": "adam"}, [ADAM]),
        ({"units": "128"}, [NARROW]),
        ({"units": "128, 512", "optimizer": "sgd"}, [BASELINE, NESTEROV, UNDROPPED, NARROW]),
        ({"learning_rate": "1e-3"}, [ADAM]),
        ({"nesterov": "TRUE"}, [NESTEROV]),
        ({"dropout_rate": ".5", "optimizer": "sgd", "units": "512"}, [BASELINE, NESTEROV]),
    ],
)
def test_narrowing_reads_settings_as_a_space_does(settings, kept):
    assert list(narrow(SPACE, settings).grid()) == kept


def test_a_point_without_a_parameter_does_not_have_its_value_none():
    space = OneFactor({"units": "64"}, {"width": {"no": {"units": "none"}, "absent": {"units": None}}})
    assert list(narrow(space, {"units": "none"}).grid()) == [{"units": "none"}]


def test_narrowing_twice_keeps_what_both_ask_for():
    assert list(narrow(narrow(SPACE, {"optimizer": "sgd"}), {"units": "128"}).grid()) == [NARROW]
    assert narrow(SPACE, {}) is SPACE


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"momentun": "0.9"}, "no parameter 'momentun' in this space; near it: momentum"),
        ({"units": "64,128,32"}, "units=64,32 is not in this space; allowed: '512', '128'"),
        ({"units": "64..512"}, "units=64..512 is not in this space; allowed: '512', '128'"),
        ({"optimizer": ""}, "optimizer= has an empty value; write optimizer=A, optimizer=A,B or optimizer=LOW..HIGH"),
        (
            {"momentum": "0.9", "optimizer": "adam"},
            "these settings leave nothing of the space: one factor at a time leaves its baseline",
        ),
    ],
)
def test_settings_that_fit_nothing_are_refused(settings, message):
    with pytest.raises(SpaceError) as caught:
        narrow(SPACE, settings)
    assert str(caught.value) == message


def test_nothing_is_held_so_nothing_is_opened():
    assert open_parameters(SPACE, []) is open_all(SPACE) is SPACE
    with pytest.raises(SpaceError, match=r"^units is not held at a value, so there is nothing to open$"):
        open_parameters(SPACE, ["units"])


def test_a_label_of_no_point_is_refused():
    with pytest.raises(SpaceError, match=r"^level was chosen outside its domain: it is 'optimizer: SGD'$"):
        SPACE.walk(lambda name, domain, under: "optimizer: SGD")  # its point is the baseline's


def test_the_space_in_words():
    assert SPACE.describe() == [
        "baseline: units='512', optimizer=sgd, learning_rate=0.01, dropout_rate=0.5",
        "optimizer: SGD; Nesterov (momentum=0.9, nesterov=true); Adam (optimizer=adam, learning_rate=0.001)",
        "regularization: dropout; none (no dropout_rate)",
        "width: 128 (units='128'); 512 (units='512')",
    ]
    assert narrow(SPACE, {"units": "128"}).describe()[-1] == "of these only: width: 128"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OneFactor([1], FACTORS), "OneFactor needs its baseline as a mapping of params; got [1]"),
        (lambda: OneFactor({}, [1]), "OneFactor needs factors as a mapping of names to levels; got [1]"),
        (lambda: OneFactor({}, {"f": [1]}), "factor 'f' needs its levels as a mapping of names to changes; got [1]"),
        (
            lambda: OneFactor({}, {"f": {"x": 1}}),
            "factor 'f' needs its levels as a mapping of names to changes; got {'x': 1}",
        ),
        (lambda: OneFactor(BASELINE, {}), "OneFactor needs factors, each with a level or more; got {}"),
        (lambda: OneFactor({}, {"f": {}}), "OneFactor needs factors, each with a level or more; got {'f': ()}"),
        (lambda: OneFactor({}, {"f: g": {"x": {}}}), "a factor needs a name without ':'; got 'f: g'"),
        (lambda: OneFactor({}, {"": {"x": {}}}), "a factor needs a name without ':'; got ''"),
        (lambda: OneFactor({"": 1}, FACTORS), "a parameter needs a name without '='; got ''"),
        (lambda: OneFactor({}, {"f": {"x": {"a=b": 1}}}), "a parameter needs a name without '='; got 'a=b'"),
        (lambda: OneFactor({"a": [1]}, FACTORS), "Choice takes None, bool, int, float and str; got [1]"),
        (lambda: OneFactor({}, {"f": {"x": {"a": float("inf")}}}), "Choice needs a finite number; got inf"),
        (lambda: OneFactor(BASELINE, FACTORS, []), "OneFactor keeps labels of its points, one or more; got ()"),
        (
            lambda: OneFactor(BASELINE, FACTORS, ["baseline", "width: 7"]),
            "OneFactor keeps labels of its points, one or more; got ('baseline', 'width: 7')",
        ),
    ],
)
def test_a_space_that_cannot_be_is_refused(make, message):
    with pytest.raises(SpaceError) as caught:
        make()
    assert str(caught.value) == message


def _damaged(**changes):
    return {"one_factor": {**SPACE.to_json()["one_factor"], **changes}}


@pytest.mark.parametrize(
    "data",
    [
        None,
        3,
        [],
        {},
        "one_factor",
        {"one_factor": None},
        {"one_factor": {}},
        _damaged(baseline=3),
        _damaged(baseline=[["units", [1]]]),
        _damaged(factors=[]),
        _damaged(factors=[{"name": "f"}]),
        _damaged(factors=[{"name": "f", "levels": [{"name": "x", "changes": [["a"]]}]}]),
        _damaged(kept=["no such label"]),
        _damaged(kept=3),
    ],
)
def test_json_of_another_form_is_refused(data):
    with pytest.raises(SpaceError, match="not a space in JSON form"):
        space_from_json(data)


def test_a_space_of_domains_is_read_as_one():
    space = Space(one_factor=Choice(1, 2))
    assert space_from_json(space.to_json()) == space

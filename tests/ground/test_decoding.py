"""JSON becomes the dataclasses that it has to be, or one line says where it does not."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_jobs.decoding import ContentError, decode, decode_json
from tune_jobs.search_spaces import Value


@dataclass(frozen=True)
class Point:
    x: float
    y: float = 0.0

    def __post_init__(self) -> None:
        if self.x == self.y == 13:
            raise ValueError("two times\nthirteen")


@dataclass(frozen=True)
class Shape:
    name: str
    kind: Literal["line", "area"]
    points: tuple[Point, ...]
    size: int | None = None
    is_open: bool = False
    values: Mapping[str, Value] = field(default_factory=dict)
    pair: tuple[int, int] = (0, 0)


SHAPE = Shape("a", "line", (Point(1.5), Point(2.0, 3.0)), 4, True, {"a b": None, "c": 1, "d": 1.0, "e": "1"}, (1, 2))
FORM: dict[str, Any] = json.loads(json.dumps(asdict(SHAPE)))


def test_a_dataclass_is_read_from_its_json() -> None:
    for shape in (decode(Shape, FORM, "it"), decode_json(Shape, json.dumps(FORM), "it")):
        assert shape == SHAPE
        assert list(map(type, shape.values.values())) == [type(None), int, float, str]
    least = {"name": "a", "kind": "area", "points": []}
    assert decode(Shape, least, "it") == Shape("a", "area", ())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 1}, "it: name needs a text; got 1"),
        ({"kind": "dot"}, "it: kind needs 'line' or 'area'; got 'dot'"),
        ({"kind": ["line"]}, "it: kind needs 'line' or 'area'; got a list"),
        ({"points": {}}, "it: points needs a list; got a mapping"),
        ({"points": [{"x": 1}, 7]}, "it: points[1] needs a mapping; got 7"),
        ({"points": [{"x": "1"}]}, "it: points[0].x needs a number; got '1'"),
        ({"points": [{"x": True}]}, "it: points[0].x needs a number; got True"),
        ({"points": [{"x": math.nan}]}, "it: points[0].x needs a number; got nan"),
        ({"points": [{"x": math.inf}]}, "it: points[0].x needs a number; got inf"),
        ({"points": [{"x": 10**400}]}, f"it: points[0].x needs a number; got 1{'0' * 59}…"),
        ({"points": [{"y": 1}]}, "it: points[0] has no 'x'"),
        ({"points": [{"x": 1, "z": 1}]}, "it: points[0] has 'z', which nothing here knows"),
        ({"points": [{"x": 13, "y": 13}]}, "it: points[0]: two times thirteen"),
        ({"size": 1.0}, "it: size needs a whole number; got 1.0"),
        ({"size": True}, "it: size needs a whole number; got True"),
        ({"size": 2**63}, "it: size needs a whole number; got 9223372036854775808"),
        ({"is_open": 1}, "it: is_open needs true or false; got 1"),
        ({"is_opn": True}, "it has 'is_opn', which nothing here knows; near it: is_open"),
        ({"values": {"a": [1]}}, "it: values.a needs a number, a text, true or false; got a list"),
        ({"values": {"a": math.inf}}, "it: values.a needs a number, a text, true or false; got inf"),
        ({"values": {"a": 2**63}}, f"it: values.a needs a number, a text, true or false; got {2**63}"),
        ({"values": {"a\nb": {}}}, r"it: values.'a\nb' needs a number, a text, true or false; got a mapping"),
        ({"values": {3: 1}}, "it: values has the key 3, which needs to be a text"),
        ({3: 1}, "it has the key 3, which needs to be a text"),
        ({"pair": [1]}, "it: pair has too few items"),
        ({"pair": [1, 2, 3]}, "it: pair has more than 2 items"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named_in_one_line(change: dict[Any, Any], message: str) -> None:
    with pytest.raises(ContentError) as caught:
        decode(Shape, FORM | change, "it")
    assert str(caught.value) == message


def test_a_missing_key_is_named_by_its_misspelling_where_there_is_one() -> None:
    form = {name: value for name, value in FORM.items() if name != "kind"}
    with pytest.raises(ContentError, match=r"^it has no 'kind'$"):
        decode(Shape, form, "it")
    with pytest.raises(ContentError, match=r"^it has 'knid', which nothing here knows; near it: kind$"):
        decode(Shape, form | {"knid": "line"}, "it")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "nul", '"\\ud800"'], ids=repr)
def test_what_is_not_json_is_said_in_one_line(text: str) -> None:
    with pytest.raises(ContentError, match=r"^the file is not JSON \(.*\)$"):
        decode_json(Shape, text, "the file")


def test_numbers_need_not_be_finite_where_that_is_said() -> None:
    (nan, infinite) = decode_json(tuple[float, ...], "[NaN, -Infinity]", "it", finite=False)
    assert math.isnan(nan)
    assert infinite == -math.inf


def test_keys_of_json_may_stand_for_whole_numbers() -> None:
    assert decode_json(dict[int, str], '{"3": "x"}', "it") == {3: "x"}
    with pytest.raises(ContentError, match=r"^it has the key 'x', which needs to be a whole number$"):
        decode_json(dict[int, str], '{"x": "x"}', "it")


@pytest.mark.slow
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_floats_are_read_exactly(numbers: list[float]) -> None:
    assert decode_json(tuple[float, ...], json.dumps(numbers), "it") == tuple(numbers)
    assert decode(tuple[float, ...], numbers, "it") == tuple(numbers)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"points": [{"x": "1e-3"}]}, {"points": (Point(0.001),)}),
        ({"size": 8.0}, {"size": 8}),
        ({"size": "1e3"}, {"size": 1000}),
        ({"pair": [1.0, 2]}, {"pair": (1, 2)}),
        ({"values": {"c": "1e-3"}}, {"values": {"c": "1e-3"}}),  # which may be a text: its domain knows
    ],
)
def test_a_number_may_be_written_by_hand(change: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    found = decode(Shape, {**FORM, **change}, "it", by_hand=True)
    assert repr(found) == repr(replace(SHAPE, **expected))
    if "values" not in change:
        with pytest.raises(ContentError):
            decode(Shape, {**FORM, **change}, "it")


@pytest.mark.parametrize("size", [8.5, "8", "many", True, "1e400", "1e-3"])
def test_what_is_no_whole_number_by_hand_is_refused(size: Any) -> None:
    with pytest.raises(ContentError, match="it: size needs a whole number; got"):
        decode(Shape, {**FORM, "size": size}, "it", by_hand=True)

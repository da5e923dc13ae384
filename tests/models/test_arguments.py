from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_jobs.models import arguments


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=8))
def test_a_label_of_widths_is_read_back_as_the_widths_it_joins(widths: list[int]) -> None:
    assert arguments.widths("units", "-".join(str(width) for width in widths)) == tuple(widths)


def test_a_number_is_one_width() -> None:
    assert arguments.widths("units", 128) == (128,)


@pytest.mark.parametrize(
    "value", ["", "0", "64-", "-64", "64--32", "64 32", "64-0", "none", "٣", "64\n", 0, -1, True, 1.5]
)
def test_what_is_no_label_of_widths_is_refused_with_itself_in_the_message(value: int | str) -> None:
    with pytest.raises(ValueError, match="filters must be a width") as refusal:
        arguments.widths("filters", value)
    assert f"got {value!r}" in str(refusal.value)


@pytest.mark.parametrize("value", [0, -3, 1.0, True, "2", None])
def test_whole_refuses_what_is_no_whole_number_or_too_small(value: object) -> None:
    with pytest.raises(ValueError, match="layers must be a whole number of at least 1; "):
        arguments.whole("layers", value, at_least=1)


@pytest.mark.parametrize("value", [0, -0.1, float("inf"), float("nan"), True, "1", None])
def test_positive_refuses_zero_infinity_and_what_is_no_number(value: object) -> None:
    with pytest.raises(ValueError, match="scale must be a finite number above 0; "):
        arguments.positive("scale", value)


@pytest.mark.parametrize("value", [-0.1, 1, 1.5, float("nan"), False])
def test_fraction_refuses_one_and_more(value: object) -> None:
    with pytest.raises(ValueError, match="rate must be at least 0 and below 1; "):
        arguments.fraction("rate", value)


@pytest.mark.parametrize(
    ("checked", "expected"),
    [
        (lambda: arguments.whole("layers", np.int64(2), at_least=1), 2),
        (lambda: arguments.positive("scale", np.float32(0.1)), 0.1),
        (lambda: arguments.fraction("rate", np.array(0.5)), 0.5),
        (lambda: arguments.flag("batch_norm", np.bool_(True)), True),
        (lambda: arguments.widths("units", np.uint8(128)), (128,)),
        (lambda: arguments.shape("input_shape", np.array([28, 28])), (28, 28)),
        (lambda: arguments.ascending("ticks", np.float32([0.1, 2]), at_least=1, at_most=2), (0.1, 2.0)),
    ],
)
def test_scalars_of_numpy_are_the_numbers_that_they_show(checked: Callable[[], object], expected: object) -> None:
    assert repr(checked()) == repr(expected)


def test_bounds_themselves_are_allowed() -> None:
    assert arguments.whole("layers", 1, at_least=1) == 1
    assert arguments.fraction("rate", 0) == 0.0


@pytest.mark.parametrize("value", [0, 1, "yes", None])
def test_a_flag_is_nothing_but_true_or_false(value: object) -> None:
    with pytest.raises(ValueError, match="batch_norm must be True or False; "):
        arguments.flag("batch_norm", value)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"^pooling must be one of max, none; got 'min'$"):
        arguments.one_of("pooling", "min", ["max", "none"])


@pytest.mark.parametrize("value", [(), (28, 0, 1), (None, 28, 1), (28, 28)])
def test_a_shape_must_be_known_and_of_its_rank(value: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="input_shape must be 3 sizes of at least 1; "):
        arguments.shape("input_shape", value, rank=3)

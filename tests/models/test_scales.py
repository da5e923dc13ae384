"""A scale says how its values read, how far they are apart, and refuses what no axis can have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_jobs.models import known_scales
from tune_jobs.models.clock_encodings import SCALE as DIAL
from tune_jobs.models.scales import Scale, Slip, one_two_five

ANGLE = Scale("angle", "degrees", (0.0, 90.0, 180.0, 270.0, 360.0), period=360.0, decimals=1, unit_of_one="degree")
WEIGHT = Scale("weight", "kg", (-2.0, 0.0, 8.0), decimals=2)


@pytest.mark.parametrize(
    ("scale", "value", "text"),
    [
        (DIAL, 0.0, "0:00"),
        (DIAL, 5.4, "0:05"),
        (DIAL, 358.0, "5:58"),
        (DIAL, 719.6, "0:00"),
        (ANGLE, 359.96, "0.0"),
        (ANGLE, -90.0, "270.0"),
        (WEIGHT, -1.234, "-1.23"),
        (replace(WEIGHT, form="h:mm", decimals=0), -61.0, "-1:01"),
    ],
)
def test_a_value_reads_as_text_inside_its_period(scale: Scale, value: float, text: str) -> None:
    assert scale.text(value) == text


def test_the_last_tick_of_a_period_keeps_its_own_value() -> None:
    assert DIAL.tick_texts()[::6] == ("0:00", "6:00", "12:00")
    assert ANGLE.tick_texts()[-1] == "360.0"


def test_an_error_has_its_unit_and_one_has_its_own() -> None:
    assert [DIAL.error_text(error) for error in (60.0, 1.4, 0.2)] == ["60 minutes", "1 minute", "0 minutes"]
    assert WEIGHT.error_text(1.0) == "1.00 kg"


@pytest.mark.slow
@given(st.floats(0, 360), st.floats(0, 360))
def test_an_error_is_the_shorter_way_round_a_period(read: float, true: float) -> None:
    apart = abs(read - true)
    assert ANGLE.errors(np.array([read]), np.array([true]))[0] == pytest.approx(min(apart, 360 - apart), abs=1e-9)
    assert WEIGHT.errors(np.array([read]), np.array([true]))[0] == apart


def test_slips_are_errors_of_whole_steps() -> None:
    errors = np.array([0.0, 9.0, 49.0, 50.0, 60.0, 70.0, 71.0, 185.0])
    assert DIAL.is_slip(errors).tolist() == [False, False, False, True, True, True, False, True]
    assert not WEIGHT.is_slip(errors).any()


def test_marks_of_errors_are_those_of_the_scale_or_one_two_five() -> None:
    assert DIAL.error_marks[-1] == DIAL.reach == 360
    assert WEIGHT.reach == 10.0
    assert WEIGHT.error_marks == (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
    assert one_two_five(3, 30) == (5, 10, 20)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"axis": ""}, "axis must be a text of 1 to 60 letters; got ''"),
        ({"unit": "x" * 61}, "unit must be a text"),
        ({"ticks": (1.0,)}, "ticks must be 2 to 100 ascending finite numbers"),
        ({"ticks": (1.0, 1.0)}, "ticks must be"),
        ({"ticks": (0.0, np.nan)}, "ticks must be"),
        ({"period": 3.0}, "period must reach from the first tick to the last; got 3.0"),
        ({"period": 0.0}, "period must be a finite number above 0"),
        ({"form": "roman"}, "form must be one of number, h:mm; got 'roman'"),
        ({"decimals": 7}, "decimals must be 6 or fewer; got 7"),
        ({"error_ticks": (0.0, 1.0)}, "error_ticks must be above 0; got 0.0"),
        ({"ticks": (0.0, 1e13)}, "a scale must reach 1e-12 to 1e[+]12 kg; got 1e[+]13"),
    ],
)
def test_a_part_that_cannot_be_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(WEIGHT, **changes)


def test_a_slip_needs_a_step() -> None:
    with pytest.raises(ValueError, match="step must be a finite number above 0; got 0"):
        Slip(0, 1, "none")


def test_letters_of_known_scales_stay_what_they_are() -> None:
    """Studies were written with these: a letter is never given to another scale."""
    assert {letter: scale.axis for letter, scale in known_scales.LETTERS.items()} == {"t": "time"}
    assert all(scale.period for scale in known_scales.LETTERS.values())

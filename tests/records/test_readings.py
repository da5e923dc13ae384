"""What a network read on each test image outlives packing, stays small, and is kept of encodings with a scale alone."""

from __future__ import annotations

import json
from dataclasses import asdict

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_jobs.models import clock_encodings
from tune_jobs.models.clock_encodings import SCALE
from tune_jobs.models.label_encodings import Classes
from tune_jobs.models.scales import Scale, Slip
from tune_jobs.records import readings
from tune_jobs.records.readings import Picture, Readings

times = st.lists(st.floats(0, 720, exclude_max=True), min_size=1, max_size=40)


@given(times)
def test_times_come_back_to_within_half_a_second(minutes: list[float]) -> None:
    true, read = np.array(minutes), np.array(minutes[::-1])
    found = readings.unpack(readings.pack(Readings(true, read, SCALE)))
    for kept, was in ((found.true, true), (found.read, read)):
        np.testing.assert_allclose((kept - was + 360) % 720, 360, atol=0.5 / 60)
        assert (kept < 720).all()


def test_whole_minutes_come_back_exactly_and_a_test_split_takes_little_room() -> None:
    rng = np.random.default_rng(0)
    true, read = np.repeat(np.arange(720.0), 5), rng.integers(0, 720, 3600).astype(float)
    text = readings.pack(Readings(true, read, SCALE))
    found = readings.unpack(text)
    np.testing.assert_array_equal(found.true, true)
    np.testing.assert_array_equal(found.read, read)
    assert len(text) < 12_000


@pytest.mark.slow
@given(times)
def test_errors_and_slips_are_those_of_the_encodings(minutes: list[float]) -> None:
    true, read = np.array(minutes), np.array(minutes[::-1])
    found = Readings(true, read, SCALE)
    encoding = clock_encodings.build(encoding="regression")
    dial = [np.stack([each // 60, each % 60], axis=1) for each in (read, true)]
    np.testing.assert_allclose(found.errors, encoding.errors(*dial), atol=1e-9)
    away = np.abs(found.errors % 60 - 30)  # far from where rounding decides
    clear = np.abs(away - 20) > 1e-3
    slips = np.asarray(clock_encodings.is_hour_slip(keras.ops.convert_to_tensor(found.errors.astype("float32"))))
    np.testing.assert_array_equal(found.is_slip[clear], slips[clear])


def images(n: int, side: int = 8) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (n, side, side, 1)).astype(np.uint8)


def test_the_worst_are_kept_with_their_pixels_the_largest_error_first() -> None:
    labels = np.array([(at // 60, at % 60) for at in range(30)])
    off = np.random.default_rng(2).permutation(30)
    predicted = np.stack([(np.arange(30) + off) // 60, (np.arange(30) + off) % 60], axis=1).astype(float)
    pixels = images(30)
    read, worst = readings.pack_evaluation(clock_encodings.build(encoding="regression"), predicted, labels, pixels)
    assert read is not None
    assert worst is not None
    np.testing.assert_array_equal(readings.unpack(read).errors, off)
    pictures = readings.unpack_pictures(worst)
    assert [picture.index for picture in pictures] == list(np.argsort(-off)[: readings.WORST])
    for picture in pictures:
        np.testing.assert_allclose(picture.pixels.astype(int), pixels[picture.index], atol=8.5)  # half a level


def test_large_pictures_are_thinned_and_all_of_them_stay_small() -> None:
    n = readings.WORST
    labels = np.zeros((n, 2), dtype=int)
    predicted = np.stack([np.zeros(n), np.arange(n)], axis=1).astype(float)
    _, worst = readings.pack_evaluation(clock_encodings.build(encoding="regression"), predicted, labels, images(n, 150))
    assert worst is not None
    assert len(worst) < 60_000
    assert {picture.pixels.shape for picture in readings.unpack_pictures(worst)} == {(75, 75, 1)}


def test_other_encodings_and_readings_that_are_no_time_leave_nothing() -> None:
    labels = np.zeros((3, 2), dtype=int)
    clock = clock_encodings.build(encoding="two-hands", decoding="joint")
    assert readings.pack_evaluation(Classes(3), np.zeros(3), np.zeros(3), images(3)) == (None, None)
    assert readings.pack_evaluation(clock, np.full((3, 2), np.nan), labels, images(3)) == (None, None)
    read, worst = readings.pack_evaluation(clock, np.zeros((3, 2)), labels, np.zeros((3, 5)))  # no pictures
    assert (read is None, worst) == (False, None)


GOOD = readings.pack(Readings(np.arange(9.0), np.arange(9.0), SCALE))
GOOD_PICTURES = readings.pack_pictures([Picture(3, images(1)[0])])


@pytest.mark.parametrize("text", ["", "t9:", "t8" + GOOD[2:], "t10" + GOOD[2:], GOOD[:-8], GOOD_PICTURES, "t9:%%%"])
def test_what_are_no_readings_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no packed readings"):
        readings.unpack(text)


def test_a_time_that_is_on_no_dial_is_refused() -> None:
    with pytest.raises(ValueError, match="a time of 1023"):
        readings.unpack("t1:" + readings._packed(bytes([255] * 4)))


@pytest.mark.parametrize("text", ["", GOOD, "p1x9x8x1" + GOOD_PICTURES[8:], "p1x8x8x2" + GOOD_PICTURES[8:]])
def test_what_are_no_pictures_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no packed"):
        readings.unpack_pictures(text)


TEMPERATURES = Scale("temperature", "degrees", (-20.0, 0.0, 40.0), decimals=1, slip=Slip(10.0, 0.5, "whole tens"))


@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=40))
def test_values_of_any_scale_come_back_with_it(values: list[float]) -> None:
    true, read = np.array(values), np.array(values[::-1])
    found = readings.unpack(readings.pack(Readings(true, read, TEMPERATURES)))
    assert found.scale == TEMPERATURES
    np.testing.assert_array_equal(found.true, true)
    np.testing.assert_array_equal(found.read, read)
    np.testing.assert_array_equal(found.errors, np.abs(read - true))


def test_readings_of_earlier_studies_are_times() -> None:
    """As version 0.1 wrote them: minutes since twelve, in 64ths."""
    text = "t2:" + readings._packed(np.array([0, 64 * 90, 32, 64 * 719], "<u2").tobytes())
    found = readings.unpack(text)
    assert found.scale == SCALE
    assert (found.true.tolist(), found.read.tolist()) == ([0.0, 90.0], [0.5, 719.0])
    assert readings.pack(found) == text


def other(**changes: object) -> str:
    """Readings of a scale of its own, of which some parts are wrong."""
    form = json.dumps(asdict(TEMPERATURES) | changes).encode()
    return f"v1x{len(form)}:{readings._packed(form + bytes(8))}"


@pytest.mark.parametrize(
    "text",
    [
        other(ticks=[1.0]),
        other(ticks=[0.0, float("inf")]),
        other(ticks="no ticks"),
        other(axis=3),
        other(axis="x" * 100),
        other(decimals=1000),
        other(decimals=True),
        other(form="{0:999999999d}"),
        other(period=1.0),
        other(ticks=[0.0, 1e300]),
        other(error_ticks=[-1.0]),
        other(slip={"step": 0.0, "tolerance": 1.0, "words": "no step"}),
        "v1x2:" + readings._packed(b"[]" + bytes(8)),
        "z1:" + readings._packed(bytes(4)),
    ],
)
def test_a_scale_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no packed readings") as refused:
        readings.unpack(text)
    assert "\n" not in str(refused.value)


def test_a_value_that_is_not_finite_is_refused() -> None:
    form = json.dumps(asdict(TEMPERATURES)).encode()
    infinite = readings._packed(form + np.array([0, np.inf], "<f4").tobytes())
    with pytest.raises(ValueError, match="a value is not finite"):
        readings.unpack(f"v1x{len(form)}:{infinite}")

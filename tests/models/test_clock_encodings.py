"""Laws of every encoding of the time, and what is particular to each."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_jobs.models import clock_encodings
from tune_jobs.models.clock_encodings import DIAL, ClockEncoding, build

ALL_TIMES = np.array([(hour, minute) for hour in range(12) for minute in range(60)])  # (720, 2)
MINUTES = np.arange(720, dtype=np.float32)

SETTINGS: dict[str, dict[str, Any]] = {
    "regression": {"encoding": "regression"},
    "24 classes": {"encoding": "classes", "classes": 24},
    "72 classes": {"encoding": "classes", "classes": 72},
    "720 classes": {"encoding": "classes"},
    "multi-head": {"encoding": "multi-head"},
    "hour hand, tanh": {"encoding": "hour-hand", "output_activation": "tanh"},
    "hour hand, linear": {"encoding": "hour-hand"},
    "periodic sine": {"encoding": "periodic-sine"},
    "two hands, plain": {"encoding": "two-hands"},
    "two hands, joint": {"encoding": "two-hands", "decoding": "joint"},
    "two hands, consistent": {"encoding": "two-hands", "decoding": "joint", "consistency_weight": 0.1},
    "soft classes": {"encoding": "soft-classes"},
}
WIDTH = {"24 classes": 30, "72 classes": 10}  # minutes that one class stands for; 1 elsewhere

every_encoding = pytest.mark.parametrize("name", SETTINGS)


def encoding_of(name: str) -> ClockEncoding:
    return build(**SETTINGS[name])


def perfect(name: str) -> np.ndarray:
    """What a network that knows every time would answer, `(720, K)`, worked out from the reports' definitions."""
    hour, minute = ALL_TIMES[:, 0], ALL_TIMES[:, 1]
    hour_angle, minute_angle = 2 * math.pi * MINUTES / 720, 2 * math.pi * minute / 60
    hour_hand = np.stack([np.sin(hour_angle), np.cos(hour_angle)], axis=1)
    minute_hand = np.stack([np.sin(minute_angle), np.cos(minute_angle)], axis=1)
    match SETTINGS[name]["encoding"]:
        case "regression":
            outputs = (hour + minute / 60)[:, None]
        case "classes" | "soft-classes":
            classes = SETTINGS[name].get("classes", 720)
            outputs = 20.0 * np.eye(classes)[np.arange(720) * classes // 720]
        case "multi-head":
            outputs = np.concatenate([20.0 * np.eye(12)[hour], minute[:, None] / 60], axis=1)
        case "hour-hand":
            outputs = hour_hand
        case "periodic-sine":
            outputs = MINUTES[:, None]
        case _:
            outputs = np.concatenate([hour_hand, minute_hand], axis=1)
    return outputs.astype(np.float32)


def losses(encoding: ClockEncoding, minutes: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    return np.asarray(encoding.loss_of(keras.ops.convert_to_tensor(minutes), keras.ops.convert_to_tensor(outputs)))


@every_encoding
def test_a_perfect_output_is_read_as_its_time(name: str) -> None:
    encoding = encoding_of(name)
    errors = encoding.errors(encoding.decode(perfect(name)), ALL_TIMES)
    assert errors.shape == (720,)
    assert errors.max() <= (WIDTH.get(name, 1) - 1) / 2 + 0.01


@every_encoding
def test_a_perfect_output_loses_less_than_that_of_another_time(name: str) -> None:
    encoding, outputs = encoding_of(name), perfect(name)
    others = np.roll(outputs, 180 + 7, axis=0)  # three hours and some minutes away
    assert (losses(encoding, MINUTES, outputs) < losses(encoding, MINUTES, others)).all()


@every_encoding
def test_targets_are_minutes_and_labels_come_back(name: str) -> None:
    encoding = encoding_of(name)
    targets = encoding.targets(ALL_TIMES)
    assert targets.dtype == np.float32
    np.testing.assert_array_equal(targets, np.arange(720))


@pytest.mark.slow
@every_encoding
def test_a_network_learns_by_it(name: str) -> None:
    """Gradients reach the features: a few steps on four times lower the loss."""
    keras.utils.set_random_seed(0)
    encoding = encoding_of(name)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, encoding.head(inputs))
    model.compile(keras.optimizers.Adam(0.05), encoding.loss(), metrics=encoding.metrics(), run_eagerly=True)
    labels = np.array([(0, 10), (3, 20), (6, 35), (9, 50)])
    x, y = np.eye(4, dtype=np.float32), encoding.targets(labels)
    before = model.evaluate(x, y, verbose=0, return_dict=True)
    model.fit(x, y, epochs=6, verbose=0)
    after = model.evaluate(x, y, verbose=0, return_dict=True)
    assert after["loss"] < before["loss"]
    both = {f"{way}_{what}" for way in ("plain", "joint") for what in ("error_minutes", "hour_slips")}
    assert set(after) == (both if encoding.other_decoders else set()) | {
        "loss",
        "median_minutes",
        "error_minutes",
        "within_1_minute",
        "within_5_minutes",
        "within_10_minutes",
        "hour_slips",
    }


@every_encoding
def test_its_metrics_are_means_of_its_errors(name: str) -> None:
    encoding = encoding_of(name)
    outputs = np.random.default_rng(1).normal(size=(64, encoding.outputs)).astype(np.float32)
    labels = ALL_TIMES[np.random.default_rng(2).integers(0, 720, 64)]
    errors = encoding.errors(encoding.decode(outputs), labels)
    measured = {}
    for metric in encoding.metrics():
        metric.update_state(encoding.targets(labels), outputs)
        measured[metric.name] = float(metric.result())
    slips = [round(error / 60) >= 1 and abs(error - 60 * round(error / 60)) <= 10 for error in errors]
    assert measured["error_minutes"] == pytest.approx(errors.mean(), abs=1e-2)
    assert measured["within_10_minutes"] == pytest.approx((errors <= 10).mean())
    assert measured["median_minutes"] == pytest.approx(np.sort(errors)[31], abs=0.03)  # the lower of the middle two
    assert measured["hour_slips"] == pytest.approx(np.mean(slips), abs=1 / 64)


@pytest.mark.slow
@given(st.integers(0, 719), st.integers(0, 719))
def test_an_error_is_the_shorter_way_round_the_dial(first: int, second: int) -> None:
    encoding = encoding_of("regression")
    apart = abs(first - second)
    predicted, label = np.array([divmod(first, 60)]), np.array([divmod(second, 60)])
    assert encoding.errors(predicted, label)[0] == min(apart, 720 - apart)


def test_five_to_twelve_and_five_past_are_ten_minutes_apart() -> None:
    encoding = encoding_of("two hands, joint")
    assert encoding.errors(np.array([(11, 55)]), np.array([(0, 5)]))[0] == 10


def test_read_jointly_a_small_error_of_the_hour_hand_is_no_hour() -> None:
    """Report B's two circles near the full hour: 5:58, the hour hand read four minutes too far."""
    outputs = perfect("two hands, plain")[[5 * 60 + 58]]
    outputs[:, :2] = perfect("hour hand, linear")[[6 * 60 + 2]]
    label = np.array([(5, 58)])
    plain, joint = encoding_of("two hands, plain"), encoding_of("two hands, joint")
    assert plain.errors(plain.decode(outputs), label)[0] == pytest.approx(60, abs=0.01)
    assert joint.errors(joint.decode(outputs), label)[0] <= 1


def test_both_readings_of_two_hands_are_measured_on_the_same_outputs() -> None:
    outputs = perfect("two hands, plain")
    outputs[:, :2] = np.roll(outputs[:, :2], -4, axis=0)  # the hour hand read four minutes too far
    plain, joint = encoding_of("two hands, plain"), encoding_of("two hands, joint")
    measured = []
    for encoding in (plain, joint):
        metrics = {metric.name: metric for metric in encoding.metrics()}
        for metric in metrics.values():
            metric.update_state(MINUTES, outputs)
        measured.append({name: float(metric.result()) for name, metric in metrics.items()})
    for name in ("error_minutes", "hour_slips"):
        assert measured[0][name] == measured[0][f"plain_{name}"] == measured[1][f"plain_{name}"]
        assert measured[1][name] == measured[1][f"joint_{name}"] == measured[0][f"joint_{name}"]
    assert measured[0]["hour_slips"] > 0.03  # three of sixty minutes: the hand half a minute's room has
    assert measured[1]["hour_slips"] == 0


def test_a_median_is_counted_over_batches_and_forgotten_on_reset() -> None:
    metric = next(each for each in encoding_of("regression").metrics() if each.name == "median_minutes")
    for errors in ([0.0, 1.0], [2.0], [360.0, 3.0]):
        metric.update_state(np.zeros(len(errors), np.float32), np.array(errors, np.float32)[:, None] / 60)
    assert float(metric.result()) == 2
    metric.reset_state()
    metric.update_state(np.zeros(1, np.float32), np.zeros((1, 1), np.float32))
    assert float(metric.result()) == 0


def test_consistency_costs_hands_that_do_not_belong_together() -> None:
    loose, strict = build(encoding="two-hands"), encoding_of("two hands, consistent")
    outputs = perfect("two hands, plain")
    np.testing.assert_allclose(losses(strict, MINUTES, outputs), losses(loose, MINUTES, outputs), atol=1e-4)
    outputs[:, 2:] = np.roll(outputs[:, 2:], 15, axis=0)  # the minute hand a quarter of a turn off
    assert (losses(strict, MINUTES, outputs) > losses(loose, MINUTES, outputs) + 0.1).all()


def test_a_wider_target_forgives_more() -> None:
    narrow, wide = build(encoding="soft-classes", width_minutes=2.0), build(encoding="soft-classes", width_minutes=20.0)
    near = np.roll(perfect("soft classes"), 10, axis=0)
    right = perfect("soft classes")
    lost = [losses(each, MINUTES, near).mean() - losses(each, MINUTES, right).mean() for each in (narrow, wide)]
    assert lost[1] < lost[0]


def test_the_minute_weighs_what_it_is_told_to() -> None:
    outputs = perfect("multi-head")
    outputs[:, 12] += 0.5
    light, heavy = (losses(build(encoding="multi-head", minute_weight=w), MINUTES, outputs) for w in (1.0, 3.0))
    np.testing.assert_allclose(heavy - light, 2 * 0.25, atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"encoding": "clasess"}, "encoding must be one of regression, classes"),
        ({"encoding": "classes", "classes": 7}, "classes must divide 720 minutes; got 7"),
        ({"encoding": "regression", "classes": 24}, "classes is for classes; got 24 with regression"),
        ({"encoding": "hour-hand", "decoding": "joint"}, "decoding is for two-hands"),
        ({"encoding": "two-hands", "minute_weight": 0.0}, "minute_weight must be a finite number above 0"),
        ({"encoding": "two-hands", "consistency_weight": -1.0}, "consistency_weight must be a finite number above 0"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        build(**settings)


@pytest.mark.parametrize("labels", [np.array([(12, 0)]), np.array([(0, 60)]), np.array([(-1, 0)])])
def test_a_label_that_is_no_time_is_refused(labels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="hours 0 to 11 and minutes 0 to 59"):
        encoding_of("regression").targets(labels)


def test_labels_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(N, 2\); got int64 of \(3,\)"):
        encoding_of("regression").targets(np.arange(3))


def test_every_encoding_has_a_name_of_its_own() -> None:
    names = [encoding_of(name).name for name in SETTINGS]
    assert len(set(names)) == len(names)
    assert {settings["encoding"] for settings in SETTINGS.values()} == set(clock_encodings.ENCODINGS)
    assert DIAL == 720

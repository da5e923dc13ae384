"""What an encoding does not say of its labels has a default; what it says is taken as it is."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tune_jobs.models import clock_encodings
from tune_jobs.models.label_encodings import Classes
from tune_jobs.models.presentation import Presentation


class Bare:
    """An encoding of numbers that has only what every encoding needs."""

    name = "bare"

    def head(self, features: Any) -> Any:
        raise NotImplementedError

    targets = loss = metrics = decode = head

    def errors(self, predicted: Any, labels: Any) -> Any:
        return np.abs(predicted - labels)


BARE, CLASSES = Presentation(Bare()), Presentation(Classes(3))  # type: ignore[arg-type]
CLOCK = Presentation(clock_encodings.build(encoding="two-hands", decoding="joint"))


def test_an_encoding_that_says_nothing_has_defaults() -> None:
    assert (BARE.error_unit, BARE.close, BARE.scale) == ("", 0.0, None)
    assert BARE.probability(np.zeros((13, 1))) is None
    assert BARE.mean_of("error") is None
    np.testing.assert_array_equal(BARE.positions(np.array([1, 2])), [1.0, 2.0])
    with pytest.raises(ValueError, match=r"one number for each of 3 labels; got \(3, 2\)"):
        BARE.positions(np.zeros((3, 2)))


@pytest.mark.parametrize("predicted", [(3,), (3, 1)])
@pytest.mark.parametrize("labels", [(3,), (3, 1)])
def test_errors_are_one_an_image_where_only_an_axis_of_one_differs(
    predicted: tuple[int, ...], labels: tuple[int, ...]
) -> None:
    errors = BARE.errors(np.array([1.0, 2.0, 4.0]).reshape(predicted), np.array([1, 3, 2]).reshape(labels))
    np.testing.assert_array_equal(errors, [0.0, 1.0, 2.0])


def test_errors_that_are_more_than_one_an_image_are_refused() -> None:
    with pytest.raises(ValueError, match=r"errors must be one number for each of 3 labels; got \(3, 2\)"):
        BARE.errors(np.zeros((3, 2)), np.zeros((3, 2)))


def test_positions_of_a_column_are_one_a_label() -> None:
    np.testing.assert_array_equal(BARE.positions(np.array([[1], [2]])), [1.0, 2.0])


@pytest.mark.parametrize(
    ("label", "text", "fact"),
    [
        (np.float32(0.5), "0.5", 0.5),
        (np.int64(1234567), "1234567", 1234567),
        (np.array([3.0, 0.25]), "3 0.25", [3.0, 0.25]),
        (np.str_("cat"), "cat", "cat"),
    ],
)
def test_a_label_reads_as_its_numbers(label: Any, text: str, fact: object) -> None:
    assert BARE.label_text(label) == text
    assert json.loads(json.dumps(BARE.facts(label))) == {"label": fact}


def test_a_class_is_its_number_with_the_mean_softmax_over_the_views() -> None:
    logits = np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    first, second = (np.exp(row) / np.exp(row).sum() for row in logits)
    assert CLASSES.probability(logits) == pytest.approx((first[1] + second[1]) / 2)
    assert (CLASSES.label_text(np.int64(1)), CLASSES.facts(np.int64(1))) == ("1", {"label": 1})
    assert (CLASSES.close, CLASSES.error_unit, CLASSES.scale) == (0.0, "", None)
    assert (CLASSES.mean_of("accuracy"), CLASSES.mean_of("loss")) == ("right", None)


@pytest.mark.parametrize(
    ("minutes", "text"),
    [(0.0, "00:00"), (0.6, "00:01"), (608.3, "10:08"), (719.4, "11:59"), (719.6, "00:00")],
)
def test_a_time_is_on_a_dial_of_twelve_hours(minutes: float, text: str) -> None:
    label = np.array([minutes // 60, minutes % 60])
    assert CLOCK.label_text(label) == text
    assert CLOCK.facts(label) == {"time": text, "minutes": pytest.approx(minutes)}
    assert CLOCK.positions(label[None])[0] == pytest.approx(minutes)


def test_an_error_of_a_time_is_in_minutes_and_five_are_close() -> None:
    assert (CLOCK.error_unit, CLOCK.close) == ("minutes", 5.0)
    assert CLOCK.scale == clock_encodings.SCALE
    assert CLOCK.probability(np.zeros((13, 4))) is None


@pytest.mark.parametrize("encoding", [clock_encodings.build(encoding="classes", classes=24), Classes(3)])
def test_what_a_metric_is_said_to_be_the_mean_of_it_is(encoding: Any) -> None:
    """Every metric that the encoding declares, against its own errors."""
    outputs = np.random.default_rng(0).normal(size=(50, getattr(encoding, "outputs", 3))).astype(np.float32)
    is_clock = encoding.name != "classes-3"
    labels = np.random.default_rng(1).integers(0, 12 if is_clock else 3, (50, 2) if is_clock else 50)
    errors = encoding.errors(encoding.decode(outputs), labels)
    means = {"error": errors.mean(), "right": 1 - errors.mean()}
    declared = {}
    for metric in encoding.metrics():
        if (mean_of := Presentation(encoding).mean_of(metric.name)) is not None:
            metric.update_state(encoding.targets(labels), outputs)
            declared[metric.name] = (float(metric.result()), means[mean_of])
    assert len(declared) == 1
    for measured, mean in declared.values():
        assert measured == pytest.approx(mean, abs=1e-3)

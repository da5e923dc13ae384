from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_jobs.models import mlp
from tune_jobs.models.label_encodings import Classes, LabelEncoding


@dataclass(frozen=True)
class Case:
    """An encoding with all its labels, and the outputs that say exactly these labels."""

    encoding: LabelEncoding
    labels: np.ndarray
    perfect: Callable[[np.ndarray], np.ndarray]


CASES = [
    Case(Classes(n), np.arange(n), lambda labels, n=n: 20.0 * np.eye(n, dtype=np.float32)[labels]) for n in (2, 10)
]
over_all_encodings = pytest.mark.parametrize("case", CASES, ids=lambda case: case.encoding.name)


@over_all_encodings
def test_decoding_a_perfect_output_gives_the_label_back(case: Case) -> None:
    decoded = case.encoding.decode(case.perfect(case.labels))
    np.testing.assert_array_equal(decoded, case.labels)
    np.testing.assert_array_equal(case.encoding.errors(decoded, case.labels), 0.0)


@over_all_encodings
def test_a_perfect_output_loses_less_than_any_wrong_one(case: Case) -> None:
    loss = case.encoding.loss()
    for right in range(len(case.labels)):
        targets = case.encoding.targets(case.labels[right : right + 1])
        losses = [float(loss(targets, case.perfect(case.labels[one : one + 1]))) for one in range(len(case.labels))]
        assert losses[right] == min(losses)
        assert losses.count(min(losses)) == 1


@over_all_encodings
def test_every_wrong_label_is_an_error_above_zero(case: Case) -> None:
    for shift in range(1, len(case.labels)):
        errors = case.encoding.errors(np.roll(case.labels, shift), case.labels)
        assert errors.shape == case.labels.shape
        assert (errors > 0).all()


@over_all_encodings
def test_the_head_fits_the_loss_and_gradients_reach_every_weight(case: Case) -> None:
    keras.utils.set_random_seed(2)
    model = mlp.build(input_shape=(3, 3, 1), head=case.encoding.head, units=8, activation="tanh")
    model.compile(optimizer="sgd", loss=case.encoding.loss(), metrics=case.encoding.metrics())
    before = model.get_weights()
    images = np.random.default_rng(0).integers(0, 256, (len(case.labels), 3, 3, 1), dtype=np.uint8)
    history = model.fit(images, case.encoding.targets(case.labels), epochs=1, verbose=0).history
    assert all((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))
    assert {"loss", "accuracy"} <= set(history)
    assert case.encoding.decode(model.predict(images, verbose=0)).shape == case.labels.shape


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.integers(0, 9), min_size=1, max_size=50))
def test_targets_of_classes_are_the_labels_as_int32(labels: list[int]) -> None:
    targets = Classes(10).targets(np.array(labels, dtype=np.uint8))
    assert targets.dtype == np.int32
    np.testing.assert_array_equal(targets, labels)


def test_the_accuracy_of_classes_is_the_part_that_is_decoded_right() -> None:
    encoding = Classes(10)
    outputs = np.random.default_rng(4).normal(size=(200, 10)).astype(np.float32)
    labels = np.arange(200) % 10
    (accuracy,) = encoding.metrics()
    accuracy.update_state(encoding.targets(labels), outputs)
    assert float(accuracy.result()) == pytest.approx(1 - encoding.errors(encoding.decode(outputs), labels).mean())


def test_the_loss_of_classes_is_the_cross_entropy_of_the_softmax() -> None:
    outputs = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    wanted = np.mean([np.log(np.exp([1.0, 2.0, 3.0]).sum()) - 2.0, np.log(3.0)])
    assert float(Classes(3).loss()(np.array([1, 0]), outputs)) == pytest.approx(wanted, rel=1e-5)


def test_the_head_of_classes_is_named_logits() -> None:
    model = mlp.build(input_shape=(3,), head=Classes(4).head)
    assert model.layers[-1].name == "logits"
    assert model.output.shape == (None, 4)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 3, 7], r"labels must be from 0 to 2; got 3 \(2 out of range\)"),
        ([0, -1], r"labels must be from 0 to 2; got -1 \(1 out of range\)"),
        ([0.0, 1.0], r"labels must be whole numbers of shape \(N,\); got float64 of \(2,\)"),
        ([[0, 1], [1, 0]], r"labels must be whole numbers of shape \(N,\); got int64 of \(2, 2\)"),
    ],
)
def test_a_label_that_is_no_class_is_refused_with_itself_in_the_message(labels: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Classes(3).targets(np.array(labels))


def test_classes_in_a_column_are_those_of_flat_labels() -> None:
    flat = np.array([0, 2, 1])
    np.testing.assert_array_equal(Classes(3).targets(flat[:, np.newaxis]), flat)
    np.testing.assert_array_equal(Classes(3).errors(np.array([0, 1, 1]), flat[:, np.newaxis]), [0.0, 1.0, 0.0])


def test_one_class_is_no_classification() -> None:
    with pytest.raises(ValueError, match="n must be a whole number of at least 2; got 1"):
        Classes(1)


def test_encodings_are_values() -> None:
    assert Classes(10) == Classes(10)
    assert len({Classes(10), Classes(10), Classes(2)}) == 2
    assert Classes(10).name != Classes(2).name

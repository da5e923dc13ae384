from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_jobs.models import mlp
from tune_jobs.models.label_encodings import Binary, Classes, LabelEncoding, MultiLabel, fitted, metric_names
from tune_jobs.models.presentation import Presentation
from tune_jobs.models.regression import Regression
from tune_jobs.models.several_outputs import PerOutput


@dataclass(frozen=True)
class Case:
    """An encoding with all its labels, and the outputs that say exactly these labels."""

    encoding: LabelEncoding
    labels: np.ndarray
    perfect: Callable[[np.ndarray], np.ndarray]


WORDS = ("cat", "dog", "ox")
CASES = [
    *(
        Case(
            Classes(n, start),
            np.arange(n) + start,
            lambda labels, n=n, a=start: 20.0 * np.eye(n, dtype="f4")[labels - a],
        )
        for n, start in ((2, 0), (10, 0), (3, 1), (2, -1))
    ),
    Case(
        Classes(names=WORDS),
        np.array(WORDS, object),
        lambda labels: 20.0 * (labels[:, None] == WORDS).astype(np.float32),
    ),
    Case(Binary(), np.arange(2), lambda labels: (40.0 * labels[:, None] - 20).astype(np.float32)),
    Case(
        Binary("ham", "spam"), np.array(["ham", "spam"], object), lambda labels: 40.0 * (labels[:, None] == "spam") - 20
    ),
    Case(MultiLabel(2), np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), lambda labels: (40.0 * labels - 20).astype("f4")),
    Case(Regression("euros"), np.array([-3.0, 0.5, 100.0]), lambda labels: labels[:, None].astype(np.float32)),
    Case(Regression(criterion="huber"), np.array([[1.0, 2.0], [3.0, 4.0]]), lambda labels: labels.astype(np.float32)),
]
over_all_encodings = pytest.mark.parametrize("case", CASES, ids=lambda case: case.encoding.name)


@over_all_encodings
def test_decoding_a_perfect_output_gives_the_label_back(case: Case) -> None:
    decoded = case.encoding.decode(case.perfect(case.labels))
    np.testing.assert_array_equal(decoded, case.labels)
    np.testing.assert_array_equal(case.encoding.errors(decoded, case.labels), 0.0)


def test_a_metric_of_one_output_is_the_mean_of_its_errors() -> None:
    encoding = PerOutput((("size", Regression("cm")), ("size_kind", Classes(2))))
    labels = {"size": np.array([1.0, 2.0]), "size_kind": np.array([0, 1])}
    read = {"size": np.array([1.5, 2.0]), "size_kind": np.array([1, 1])}
    assert [encoding.mean_of(metric) for metric in ("size_mae", "size_kind_accuracy", "size_r2", "loss")] == [
        *("error", "right", None, None)
    ]
    shown = Presentation(encoding)
    assert shown.errors_of("size_mae", read, labels).tolist() == [0.5, 0]
    assert shown.errors_of("size_kind_accuracy", read, labels).tolist() == [1, 0]
    assert shown.errors_of("loss", read, labels).tolist() == [1.5, 0]
    assert Presentation(Classes(2)).errors_of("accuracy", read["size_kind"], labels["size_kind"]).tolist() == [1, 0]


@over_all_encodings
def test_its_metrics_have_the_names_that_it_says(case: Case) -> None:
    assert metric_names(case.encoding) == tuple(metric.name for metric in case.encoding.metrics())


def test_a_subclass_with_metrics_of_its_own_says_nothing_of_their_names() -> None:
    class Other(Classes):
        def metrics(self) -> list[keras.metrics.Metric]:
            return []

    class Same(Classes):
        pass

    assert (metric_names(Other(2)), metric_names(Same(2))) == (None, ("accuracy",))


@over_all_encodings
def test_a_perfect_output_loses_less_than_any_wrong_one(case: Case) -> None:
    loss = case.encoding.loss()
    for right in range(len(case.labels)):
        targets = case.encoding.targets(case.labels[right : right + 1])
        outputs = [case.perfect(case.labels[one : one + 1]) for one in range(len(case.labels))]
        losses = [float(np.mean(loss(targets, output))) for output in outputs]
        assert losses[right] == min(losses)
        assert losses.count(min(losses)) == 1


@over_all_encodings
def test_every_wrong_label_is_an_error_above_zero(case: Case) -> None:
    for shift in range(1, len(case.labels)):
        errors = case.encoding.errors(np.roll(case.labels, shift, axis=0), case.labels)
        assert errors.shape == (len(case.labels),)
        assert (errors > 0).all()


@pytest.mark.slow
@over_all_encodings
def test_the_head_fits_the_loss_and_gradients_reach_every_weight(case: Case) -> None:
    keras.utils.set_random_seed(2)
    encoding = fitted(case.encoding, case.labels)
    model = mlp.build(input_shape=(3, 3, 1), head=encoding.head, units=8, activation="tanh")
    model.compile(optimizer="sgd", loss=encoding.loss(), metrics=encoding.metrics())
    before = model.get_weights()
    images = np.random.default_rng(0).integers(0, 256, (len(case.labels), 3, 3, 1), dtype=np.uint8)
    history = model.fit(images, case.encoding.targets(case.labels), epochs=1, verbose=0).history
    assert all((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))
    assert set(history) >= ({"loss", "mae", "rmse", "r2"} if isinstance(encoding, Regression) else {"loss", "accuracy"})
    assert case.encoding.decode(model.predict(images, verbose=0)).shape == case.labels.shape


@pytest.mark.slow
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


@over_all_encodings
def test_an_accuracy_or_mean_error_is_the_mean_of_errors(case: Case) -> None:
    """What an encoding says of its metrics is so."""
    said = {
        metric.name: mean_of
        for metric in case.encoding.metrics()
        if (mean_of := Presentation(case.encoding).mean_of(metric.name))
    }
    assert len(said) == 1
    outputs = np.random.default_rng(1).normal(size=case.perfect(case.labels).shape).astype(np.float32)
    errors = case.encoding.errors(case.encoding.decode(outputs), case.labels)
    for metric in case.encoding.metrics():
        if metric.name in said:
            metric.update_state(case.encoding.targets(case.labels), outputs)
            mean = errors.mean() if said[metric.name] == "error" else 1 - errors.mean()
            assert float(metric.result()) == pytest.approx(mean, rel=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Classes(1), "n must be a whole number of at least 2; got 1"),
        (lambda: Classes(names=("a", "a")), "names must be different texts; got ('a', 'a')"),
        (lambda: Classes(names="ab"), "names must be different texts; got 'ab'"),
        (lambda: Classes(3, names=("a", "b")), "names go without n and start; got 2 names, n=3, 0"),
        (lambda: Classes(2, start=0.5), "start must be a whole number; got 0.5"),
        (lambda: Binary("ham"), "names must be different texts; got ('ham', '')"),
        (lambda: MultiLabel(3, names=("a",)), "names must be one for each of 3 labels; got 1"),
        (lambda: Regression(criterion="mean"), "criterion must be "),
        (lambda: Regression(close=-1), "close must be 0 or more; got -1"),
    ],
)
def test_an_encoding_that_cannot_be_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        make()
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("encoding", "labels", "message"),
    [
        (Classes(3, start=1), np.array([0, 1]), "labels must be from 1 to 3; got 0 (1 out of range)"),
        (
            Classes(names=WORDS),
            np.array(["cat", "cow"], object),
            "labels must be one of cat, dog, ox; got 'cow' (1 unk",
        ),
        (
            Classes(2),
            np.array(["b", "a"], object),
            "labels must be whole numbers, and are texts: Classes(names=('a', 'b'",
        ),
        (Binary(), np.array([0, 2]), "labels must be booleans, or 0 and 1; got 2 (1 others)"),
        (Binary(), np.array(["a"], object), "labels must be booleans, or 0 and 1; got texts"),
        (Binary("ham", "spam"), np.array(["eggs"], object), "labels must be one of ham, spam; got 'eggs' (1 unknown)"),
        (Binary(), np.zeros((3, 2)), "labels must be one an image, of shape (N,) or (N, 1); got (3, 2)"),
        (MultiLabel(3), np.zeros((2, 2)), "labels must be of shape (N, 3); got (2, 2)"),
        (Regression(), np.array(["a"], object), "labels must be numbers of shape (N,) or (N, k); got object of (1,)"),
        (PerOutput((("a", Binary()),)), np.zeros(2), "labels must be a mapping with a; got no mapping"),
        (
            PerOutput((("a", Binary()),)),
            {"a": np.array([3])},
            "a: labels must be booleans, or 0 and 1; got 3 (1 others)",
        ),
    ],
)
def test_labels_that_do_not_fit_are_refused(encoding: LabelEncoding, labels: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        encoding.targets(labels)
    assert str(refused.value).startswith(message)


def test_booleans_are_two_classes_and_yes_or_no() -> None:
    flags = np.array([True, False])
    assert Classes(2).targets(flags).tolist() == [1, 0]
    assert Binary().targets(flags).tolist() == [[1.0], [0.0]]
    assert Binary().errors(np.array([1, 1]), flags).tolist() == [0.0, 1.0]


def test_encodings_that_train_differently_have_different_names() -> None:
    encodings = [
        *(Classes(3), Classes(3, start=1), Classes(names=("a", "b", "c")), Classes(names=("a", "c", "b"))),
        *(Binary(), Binary("a", "b"), MultiLabel(2), Regression(), Regression(criterion="mae")),
        *(PerOutput((("a", Binary()),)), PerOutput((("b", Binary()),))),
    ]
    assert len({encoding.name for encoding in encodings}) == len(encodings)
    assert Classes(10).name == "classes-10"  # it counts in the digests of begun studies


def test_a_regression_learns_scaled_labels_and_answers_in_their_unit() -> None:
    labels = np.array([[1000.0, 1.0], [3000.0, 1.0]])
    encoding = Regression("euros").fitted(labels)
    assert (encoding.mean, encoding.std) == ((2000.0, 1.0), (1000.0, 1.0))  # a constant is not scaled
    outputs = encoding.head(np.zeros((1, 4), np.float32))
    np.testing.assert_array_equal(outputs, [[2000.0, 1.0]])
    loss = np.asarray(encoding.loss()(encoding.targets(labels), labels + np.array([500.0, 0.0])))
    np.testing.assert_allclose(loss, [0.125, 0.125])
    shown = Presentation(encoding)
    assert (shown.unit_of("mae"), shown.unit_of("rmse"), shown.unit_of("r2")) == ("euros", "euros", "")
    assert shown.label_text(labels[1]) == "3000 1 euros"


@pytest.mark.slow
def test_each_output_has_a_head_a_loss_and_metrics_of_its_own() -> None:
    labels = {"kind": np.array([0, 1, 1]), "pet": np.array(["cat", "ox", "dog"], object), "size": np.array([1.0, 2, 6])}
    encoding = PerOutput((("kind", Binary()), ("pet", Classes(names=WORDS)), ("size", Regression("cm")))).fitted(labels)
    inputs = keras.Input((2,))
    others = {name: encoding.head[name](inputs) for name in ("kind", "pet")}
    model = keras.Model(inputs, {**others, "size": encoding.head["size"](keras.layers.Dense(2)(inputs))})
    assert set(encoding.head(inputs)) == set(labels)
    model.compile("sgd", encoding.loss(), metrics=encoding.metrics())
    history = model.fit(np.zeros((3, 2)), encoding.targets(labels), verbose=0).history
    assert {"loss", "kind_accuracy", "pet_accuracy", "size_mae"} <= set(history)
    read = encoding.decode(model.predict(np.zeros((3, 2)), verbose=0))
    assert {name: part.shape for name, part in read.items()} == {"kind": (3,), "pet": (3,), "size": (3,)}
    np.testing.assert_array_equal(encoding.errors(labels, labels), 0)
    assert (encoding.unit_of("size_mae"), encoding.unit_of("kind_accuracy"), encoding.unit_of("loss")) == ("cm", "", "")


def test_several_labels_are_shown_by_their_names() -> None:
    assert MultiLabel(names=WORDS).label_text(np.array([1, 0, 1])) == "cat ox"
    assert MultiLabel(2).label_text(np.array([0, 0])) == "none"


def test_the_probability_of_yes_or_no_is_that_of_the_first_reading() -> None:
    assert Binary().probability(np.array([[0.0 + 1e-9], [np.log(3)]])) == pytest.approx((0.5 + 0.75) / 2)
    assert Binary().probability(np.array([[-np.log(3)]])) == pytest.approx(0.75)

"""Data that a task cannot be trained on are refused in one line, with the first bad value and its place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from tune_jobs import datasets
from tune_jobs.datasets.dataset import Array
from tune_jobs.errors import DataError
from tune_jobs.models.label_encodings import Classes
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task, TaskError
from tune_jobs.search_spaces.tasks.digits import DIGITS_MLP

N, N_TEST = 40, 12


class Degrees(Classes):
    """An encoding of a user's own, which refuses what is not an angle."""

    def targets(self, labels: Array) -> Array:
        if (labels > 180).any():
            raise IndexError("beyond half a turn")
        return labels


class Blind(Classes):
    """An encoding that takes labels and measures nothing."""

    def decode(self, outputs: Array) -> Array:
        raise AssertionError

    loss = metrics = errors = head = decode  # type: ignore[assignment]


class Greedy(Classes):
    def targets(self, labels: Array) -> Array:
        return labels[:3]


class Careless(Classes):
    def targets(self, labels: Array) -> Array:
        labels -= 1
        return labels


def build(*, input_shape: Any, head: Any, units: int) -> Any:
    raise NotImplementedError


def train(params: Any, data: Any, *, seed: int, epochs: int) -> Any:
    yield {"val_accuracy": 0.5}


def task(**arrays: Any) -> Task:
    """A task of two classes over the arrays of two balanced classes, with these in their place."""
    usual = {
        "x_train": np.ones((N, 3), np.float32),
        "y_train": np.arange(N) % 2,
        "x_test": np.ones((N_TEST, 3), np.float32),
        "y_test": np.arange(N_TEST) % 2,
    }
    encoding = arrays.pop("encoding", Classes(2))

    def load_own() -> Any:
        x, y, x_test, y_test = (usual | arrays).values()
        return (x, y), (x_test, y_test)

    return Task(
        name="own",
        summary="two classes",
        dataset=load_own,
        space=Space(units=Choice(2, 4)),
        objective=Objective("val_accuracy", "maximize"),
        protocol=Protocol(epochs=1, validation=0.2),
        baseline={"units": 2},
        build=build,
        encoding=encoding,
    )


def at(place: Any, value: Any, shape: tuple[int, ...] = (N, 3), dtype: Any = np.float32) -> Array:
    array = np.ones(shape, dtype)
    array[place] = value
    return array


ANGLES = np.arange(N) * 5.0
WORDS = np.where(np.arange(N) % 2, "dog", "cat")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"y_train": np.arange(N) % 2 + 1},
            "y_train[1] is 2: labels must be from 0 to 1; got 2 (20 out of range); y_train - 1 would fit",
        ),
        ({"y_train": at(7, -1, (N,), int)}, "y_train[7] is -1: labels must be from 0 to 1; got -1 (1 out of range)"),
        (
            {"y_test": at(3, 2, (N_TEST,), int), "y_train": np.ones(N, int)},
            "y_test[3] is 2: labels must be from 0 to 1",
        ),
        (
            {"y_train": (np.arange(N) % 2).astype(float), "y_test": (np.arange(N_TEST) % 2).astype(float)},
            "y_train[0] is 0.0: labels must be whole numbers of shape (N,); got float64 of (40,); "
            "y_train.astype(int) would fit",
        ),
        ({"y_train": at(5, np.nan, (N,)), "y_test": at(0, 1, (N_TEST,))}, "y_train[5] is nan: a network needs finite"),
        (
            {"y_train": WORDS, "y_test": WORDS[:N_TEST]},
            "y_train[0] is 'cat': labels must be whole numbers, and are texts: Classes(names=('cat', 'dog', …)) has",
        ),
        ({"x_train": np.array(["a", "b", None] * 14, object)[:N]}, "x_train[2] is None: x_train needs texts"),
        ({"y_train": np.array([0, 1, None] + [1] * (N - 3), object)}, "y_train[2] is None: y_train needs numbers"),
        (
            {"y_train": np.arange(N - 1) % 2},
            "x_train and y_train: there must be one label an image: 40 images came with",
        ),
        ({"y_test": np.arange(5) % 2}, "x_test and y_test: there must be one label an image: 12 images came with 5"),
        ({"x_test": np.ones((N_TEST, 3), np.float64)}, "x_train and x_test must be alike, and are (40, 3) float32 and"),
        (
            {"x_test": np.ones((N_TEST, 3, 1), np.float32)},
            "x_train and x_test must be alike, and are (40, 3) float32 and",
        ),
        ({"y_test": (np.arange(N_TEST) % 2).astype(np.int8)}, "y_train and y_test must be alike, and are (40,) int64"),
        ({"x_train": at((4, 1), np.nan)}, "x_train[4, 1] is nan: a network needs finite numbers (1 of 120 are not)"),
        ({"x_train": at((slice(6, None), 2), -np.inf)}, "x_train[6, 2] is -inf: a network needs finite numbers (34 of"),
        (
            {"x_train": at((2, 1), 1.7e308, dtype=np.float64), "x_test": np.ones((N_TEST, 3))},
            "x_train[2, 1] is 1.7e+308: a network needs numbers below 3.4e38 (1 of 120 are not)",
        ),
        (
            {"x_train": np.ones((N, 0)), "x_test": np.ones((N_TEST, 0))},
            "x_train has shape (40, 0): a network needs numbers",
        ),
        (
            {"x_train": np.ma.masked_greater(at((7, 0), 9.0), 5.0)},
            "x_train[7, 0] is masked: x_train needs numbers; x_train.filled(0) has them",
        ),
        ({"x_test": at((0, 0), np.inf, (N_TEST, 3))}, "x_test[0, 0] is inf: a network needs finite numbers"),
        (
            {"y_train": (np.arange(N) % 2).astype(object)},
            "got an array of object; y_train.astype(int) makes one of it",
        ),
        (
            {"y_train": (np.arange(N) / 2).astype(object)},
            "got an array of object; y_train.astype(float) makes one of it",
        ),
        ({"x_train": [[1, 2], [3]]}, "x_train has rows of different shapes: keras.utils.pad_sequences makes one"),
        ({"x_train": np.array([[1, 2], [3]], object)}, "x_train has rows of different shapes"),
        ({"x_train": [np.ones((N, 2)), np.ones((N, 3))]}, "several inputs are a tuple or a mapping of arrays"),
        (
            {"x_train": csr_matrix(np.ones((N, 3)))},
            "x_train is a csr_matrix: x_train needs to be an array; x_train.toarray() makes one of it",
        ),
        ({"y_train": np.array([b"cat", b"dog"] * N)}, "y_train has bytes: y_train needs numbers or texts; np.char.dec"),
        ({"y_train": np.arange(N) % 2 - 1, "y_test": np.arange(N_TEST) % 2 - 1}, "y_train + 1 would fit"),
        (
            {"y_train": np.eye(2)[np.arange(N) % 2], "y_test": np.eye(2)[np.arange(N_TEST) % 2]},
            "y_train[0] is [1.0, 0.0]: labels must be whole numbers of shape (N,); got float64 of (40, 2); "
            "y_train.argmax(axis=1) would fit",
        ),
        (
            {"y_train": np.arange(N) % 2 * 2 - 1, "y_test": np.arange(N_TEST) % 2 * 2 - 1},
            "np.unique(y_train, return_inverse=True)[1] would fit",
        ),
        ({"x_train": np.full((N, 3), 1j)}, "x_train[0, 0] is 1j: x_train needs numbers"),
        ({"x_train": {"a": 1}}, "x_train and y_train: x['a'] must hold one entry an image; its shape is ()"),
        (
            {"encoding": Degrees(2), "y_train": ANGLES, "y_test": np.zeros(N_TEST)},
            "y_train[37] is 185.0: IndexError: bey",
        ),
        ({"encoding": Greedy(2)}, "the encoding needs one target a label; got 3"),
        ({"encoding": Careless(2)}, "read-only"),
    ],
)
def test_data_that_cannot_be_trained_on_are_refused_with_the_first_bad_value(
    arrays: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as refused:
        datasets.load_for_task(task(**arrays), tmp_path)
    assert str(refused.value).startswith("the data set load_own cannot be used: ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_weight_that_is_not_finite_is_refused_with_its_place(tmp_path: Path) -> None:
    def load_own() -> Any:
        x, y = np.ones((N, 3), np.float32), np.arange(N) % 2
        return (x, y, at(3, np.nan, (N,))), (x[:8], y[:8])

    with pytest.raises(
        DataError, match=r"load_own .*: w_train\[3\] is nan: a network needs finite .*\(1 of 40 are not"
    ):
        datasets.load_for_task(replace(task(), dataset=load_own), tmp_path)


def test_data_that_fit_are_taken(tmp_path: Path) -> None:
    fitting = task(y_train=(np.arange(N) % 2).astype(np.uint8), y_test=(np.arange(N_TEST) % 2).astype(np.uint8))
    assert len(datasets.load_for_task(fitting, tmp_path).train) == 32


def test_the_check_looks_at_types_and_values_of_the_test_part_and_scores_nothing(tmp_path: Path) -> None:
    datasets.load_for_task(task(encoding=Blind(3)), tmp_path)


def test_a_training_loop_of_ones_own_judges_its_data_itself(tmp_path: Path) -> None:
    """It may fill what is missing, and its labels may be anything."""
    own = replace(task(x_train=at(0, np.nan), y_train=np.arange(N) + 7), build=None, encoding=None, train=train)
    assert len(datasets.load_for_task(own, tmp_path).train) == 32


def test_a_named_data_set_is_held_against_the_encoding_too(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"the data set digits cannot be used: y_train\[\d+\] is \d: labels must be from 0"
    ):
        datasets.load_for_task(replace(DIGITS_MLP, encoding=Classes(3)), tmp_path)


def refusing(units: int) -> Classes:
    return Classes(units - 2)


def test_an_encoding_that_cannot_be_made_for_the_baseline_is_one_line(tmp_path: Path) -> None:
    refused = replace(task(), build=lambda *, input_shape, head: None, encoding=refusing)
    with pytest.raises(TaskError, match="task 'own': its encoding cannot be made for the baseline: ValueError: n "):
        datasets.load_for_task(refused, tmp_path)


@pytest.mark.parametrize(("validation", "message"), [(0.001, "not 0.001, which is 0"), (40, "not 40"), (0.99, "is 40")])
def test_a_validation_part_that_leaves_nothing_is_one_line(validation: float, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        datasets.load_for_task(replace(task(), protocol=Protocol(epochs=1, validation=validation)), tmp_path)
    assert str(refused.value).startswith("cannot take a validation part from load_own: ")
    assert message in str(refused.value)

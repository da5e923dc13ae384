"""Labels of a task without an encoding are held against the model's output before it is trained."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tests.support import small_tasks
from tests.support.sweeping import data_of
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task
from tune_jobs.training import sparse_labels
from tune_jobs.training.runs import run_trial


def model(loss: Any) -> keras.Model:
    made = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2, activation="softmax")])
    made.compile(loss=loss)
    return made


@pytest.mark.parametrize(
    ("loss", "labels", "says"),
    [
        ("sparse_categorical_crossentropy", [1, 2, 1], "for labels from 0 to 1, and a label is 2"),
        (keras.losses.SparseCategoricalCrossentropy(), [0, -1], "a label is -1"),
        (keras.losses.sparse_categorical_crossentropy, [[0], [2]], "a label is 2"),
    ],
)
def test_labels_that_the_output_has_no_unit_for_are_refused(loss: Any, labels: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        sparse_labels.check(model(loss), np.array(labels))


@pytest.mark.parametrize(
    ("loss", "labels"),
    [
        ("sparse_categorical_crossentropy", [0, 1]),
        ("sparse_categorical_crossentropy", np.zeros(0, int)),
        (keras.losses.SparseCategoricalCrossentropy(ignore_class=255), [0, 255]),
        ("mse", [5, 6]),
        ("sparse_categorical_crossentropy", [0.0, 1.0]),
    ],
)
def test_other_labels_are_taken(loss: Any, labels: Any) -> None:
    sparse_labels.check(model(loss), np.array(labels))


def from_one() -> Any:
    (x, y), (x_test, y_test) = small_tasks.points()
    return (x, y + 1), (x_test, y_test + 1)


def build(*, input_shape: tuple[int, ...], units: int) -> keras.Model:
    return keras.Sequential([keras.Input(input_shape), keras.layers.Dense(units, activation="softmax")])


@pytest.mark.parametrize(("units", "state"), [(2, "failed"), (3, "complete")])
def test_a_trial_says_which_label_does_not_fit(units: int, state: str) -> None:
    task = Task(
        "from-one",
        Space(units=Choice(2, 3)),
        Objective("val_accuracy", "maximize"),
        dataset=from_one,
        protocol=Protocol(epochs=1, batch_size=16, validation=20),
        build=build,
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    result = run_trial(task, {"units": units}, data_of(task), seed=0)
    assert result.state == state
    if state == "failed":
        assert (result.reason, "a label is 2" in str(result.message)) == ("invalid", True)

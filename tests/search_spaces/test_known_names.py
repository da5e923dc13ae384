"""Names of Keras in a task: all that Keras has are known, and a misspelt one is refused with the nearest."""

from __future__ import annotations

from typing import Any

import pytest

from tune_jobs.models import keras_names
from tune_jobs.models.label_encodings import Classes
from tune_jobs.models.regression import Regression
from tune_jobs.search_spaces import Choice, Float, Objective, OneFactor, Protocol, Space, Task, TaskError, Variants
from tune_jobs.search_spaces.known_names import check, declared_metrics, values_of

MAE = Objective("val_mae", "minimize")


def build(*, input_shape: Any) -> Any:
    raise AssertionError("nothing is built")


def build_with_head(*, input_shape: Any, head: Any) -> Any:
    raise AssertionError("nothing is built")


def build_with_optimizer(*, input_shape: Any, optimizer: str) -> Any:
    raise AssertionError("nothing is built")


def own_metric(targets: Any, outputs: Any) -> Any:
    raise AssertionError("nothing is measured")


def task(space: Any = None, **changes: Any) -> Task:
    given = {"build": build, "loss": "mse", "metrics": ["mae"]} | changes
    return Task(
        "t", space or Space(learning_rate=Choice(0.1)), MAE, dataset="digits", protocol=Protocol(epochs=1), **given
    )


@pytest.mark.parametrize("kind", ["losses", "metrics"])
def test_the_names_are_those_of_keras(kind: str) -> None:
    import importlib

    known = importlib.import_module(f"keras.src.{kind}").ALL_OBJECTS_DICT
    assert {"losses": keras_names.LOSSES, "metrics": keras_names.METRICS}[kind] == set(known)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"loss": "mze"}, "there is no loss named 'mze'; near it: mse"),
        ({"loss": {"a": "mse", "b": "maee"}}, "there is no loss named 'maee'; near it: mae"),
        ({"metrics": ["mae", "acuracy"]}, "there is no metric named 'acuracy'; near it: accuracy"),
        ({"metrics": {"a": ["qqqqq"]}}, "there is no metric named 'qqqqq'$"),
        ({"space": Space(optimizer=Choice("adam", "admo"))}, "there is no optimizer named 'admo'; near it: adam"),
        (
            {"space": Space(optimizer=Variants(adam=Space(), lionn=Space(beta_1=Float(0.5, 0.9))))},
            "there is no optimizer named 'lionn'; near it: Lion",
        ),
        ({"space": Space(schedule=Choice("constant", "cosin"))}, "there is no schedule named 'cosin'; near it: cosine"),
        (
            {"space": OneFactor({"optimizer": "adam"}, {"o": {"x": {"optimizer": "sdg"}}})},
            "there is no optimizer named 'sdg'",
        ),
        ({"space": Space(loss=Choice("mse", "mze")), "loss": None}, "there is no loss named 'mze'; near it: mse"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_nearest(changes: Any, words: str) -> None:
    with pytest.raises(TaskError, match=f"^task 't': {words}"):
        check(task(**changes))


def test_names_of_keras_and_names_of_ones_own_are_taken() -> None:
    check(task(loss=own_metric, metrics=[own_metric, "acc", "MeanSquaredError"]))
    check(task(Space(optimizer=Choice("adam", "Lion", "SGD", "sgd", "rmsprop"))))
    check(task(Space(optimizer=Choice("mine", "yours")), build=build_with_optimizer))
    check(task(loss=None, metrics=None, build=build_with_head, encoding=Classes(10)))


def test_values_are_those_of_all_choices() -> None:
    space = Space(a=Variants(x=Space(b=Choice(1, 2)), y=Space(b=Choice(3))))
    assert sorted(values_of(space, "b")) == [1, 2, 3]  # type: ignore[type-var]


def test_the_metrics_that_a_task_says_it_has() -> None:
    assert declared_metrics(task(metrics=["mae", own_metric])) == {"loss", "mae", "own_metric"}
    of_classes = task(loss=None, metrics=None, build=build_with_head, encoding=Classes(10))
    assert declared_metrics(of_classes) == {"loss", "accuracy"}
    several = {"kind": Classes(2), "size": Regression("cm")}
    of_several = task(loss=None, metrics=None, build=build_with_head, encoding=several)
    assert declared_metrics(of_several) == {
        *("loss", "kind_loss", "kind_accuracy", "size_loss", "size_mae", "size_rmse", "size_r2")
    }

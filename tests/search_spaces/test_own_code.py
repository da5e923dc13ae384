"""A task that runs any function is checked when it is made, and needs no more than a space and an objective."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tune_jobs.models import mlp
from tune_jobs.models.label_encodings import Classes
from tune_jobs.search_spaces import Choice, Fixed, Float, Int, Objective, OneFactor, Protocol, Space, Task, TaskError
from tune_jobs.search_spaces.own_code import taken_by_run

SPACE = Space(kind=Choice("b", "a"), size=Int(1, 9), rate=Float(1e-4, 1e-2, log=True), held=Fixed(3, Int(1, 5)))
LOSS = Objective("loss", "minimize")


def loss(params: Any) -> float:
    return float(params["rate"])


def steps(params: Any, *, seed: int, checkpoint: Path) -> Iterator[float]:
    yield from (params["rate"] / step for step in range(1, 4))


def needs_data(params: Any, data: Any) -> float:
    raise NotImplementedError


def test_a_name_a_space_an_objective_and_a_function_are_a_task() -> None:
    task = Task("small", SPACE, LOSS, run=loss)
    assert task.baseline == {"kind": "b", "size": 5, "rate": 0.001, "held": 3}
    assert (task.summary, task.dataset, task.dataset_name, task.protocol.epochs) == ("", None, "none", None)
    assert (task.trains_itself, task.can_resume) == (True, False)
    assert Task("small", SPACE, LOSS, run=steps).can_resume
    assert Task("small", SPACE, LOSS, run=steps).digest() != task.digest()


def test_the_baseline_of_one_factor_at_a_time_is_its_own() -> None:
    space = OneFactor({"size": 2, "rate": 0.1}, {"size": {"large": {"size": 4}}})
    assert Task("small", space, LOSS, run=lambda params: 0.0).baseline == {"size": 2, "rate": 0.1}


def test_a_function_takes_by_name_what_it_wants() -> None:
    assert taken_by_run(loss) == ()
    assert taken_by_run(steps) == ("seed", "checkpoint")
    assert taken_by_run(lambda params, artifacts, seed=0: 0.0) == ("seed", "artifacts")
    assert taken_by_run(lambda seed, /: 0.0) == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"run": needs_data},
            "run needs to take (params) and no more than seed, checkpoint, artifacts beside it: missing",
        ),
        (
            {"run": lambda: 0.0},
            "run needs to take (params) and no more than seed, checkpoint, artifacts beside it: too",
        ),
        ({"run": 3}, "run needs a function; got 3"),
        ({"run": None}, "needs build, train or run; got none of them"),
        ({"build": mlp.build}, "needs build, train or run; got build and run"),
        ({"encoding": Classes(2)}, "has a function of its own, which reads labels itself: it needs no encoding"),
        ({"dataset": "digits"}, "dataset digits is for build and train: the function loads what it needs"),
        (
            {"protocol": Protocol(images=9, batch_size=2)},
            "that its protocol could be about: leave batch_size and images",
        ),
        ({"protocol": Protocol(deterministic=True)}, "has a function of its own, which chooses its numbers itself"),
        ({"baseline": {"rate": 1.0}}, "the baseline does not belong to the space: kind is missing"),
    ],
)
def test_a_function_that_cannot_be_run_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError) as refused:
        Task("small", SPACE, LOSS, **{"run": loss} | changes)
    assert message in str(refused.value)


def test_a_task_with_data_needs_epochs() -> None:
    with pytest.raises(TaskError, match=r"task 'small': its protocol needs epochs, as in Protocol\(epochs=10\)"):
        Task("small", Space(units=Choice(1)), LOSS, dataset="digits", build=mlp.build, encoding=Classes(10))
    with pytest.raises(TaskError, match="dataset needs a name or a function that loads it; got None"):
        Task("small", Space(units=Choice(1)), LOSS, build=mlp.build, encoding=Classes(10))

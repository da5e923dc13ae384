"""Any function is a trial: what it returns or yields is scored, its files are kept, and it goes on from its own."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tune_jobs.records.trials import Segment, TrialResult
from tune_jobs.search_spaces import Float, Objective, Protocol, Space, Task
from tune_jobs.training.checkpoints import Checkpoint
from tune_jobs.training.runs import rerun, run_trial
from tune_jobs.training.trial import Copy, TrialRun

LOSS = Objective("loss", "minimize")


def task_of(run: Callable[..., Any], **changes: Any) -> Task:
    return replace(Task("own", Space(x=Float(0.0, 1.0)), LOSS, run=run), **changes)


def result_of(run: Callable[..., Any], **changes: Any) -> TrialResult:
    return run_trial(task_of(run, **changes), {"x": 0.5}, None, seed=7)


def countdown(params: Any, *, checkpoint: Path, artifacts: Path) -> Iterator[float]:
    """Steps from 4 down to 1, from where an earlier run left."""
    state = checkpoint / "deep" / "left.json"
    left = json.loads(state.read_text()) if state.exists() else 4
    while left:
        state.parent.mkdir(exist_ok=True)
        state.write_text(json.dumps(left - 1))
        (artifacts / "last.txt").write_text(f"at {left}")
        yield left * params["x"]
        left -= 1


@pytest.mark.parametrize(
    ("value", "metrics"),
    [
        (0.25, {"loss": 0.25}),
        (np.float32(0.5), {"loss": 0.5}),
        (np.array(2), {"loss": 2.0}),
        (True, {"loss": 1.0}),
        ({"loss": 1, "by_class": [0.5, 1.5]}, {"loss": 1.0, "by_class/0": 0.5, "by_class/1": 1.5}),
    ],
)
def test_a_number_is_the_objective_and_a_mapping_has_its_metrics(value: Any, metrics: dict[str, float]) -> None:
    result = result_of(lambda params: value)
    assert (result.state, result.score, result.best_epoch) == ("complete", metrics["loss"], 1)
    assert result.metrics == metrics
    assert (result.history, result.weights, result.errors) == ((metrics,), None, None)


def test_what_it_yields_are_steps_of_which_the_best_counts() -> None:
    def steps(params: Any) -> Iterator[Any]:
        yield 0.3
        yield {"other": 1.0}
        yield {"loss": 0.1, "other": 2.0}
        yield 0.2

    result = result_of(steps)
    assert (result.score, result.best_epoch, len(result.history)) == (0.1, 3, 4)
    last = result_of(steps, protocol=Protocol(scored_epoch="last"))
    assert (last.score, last.best_epoch) == (0.2, 4)
    assert len(result_of(steps, protocol=Protocol(epochs=2)).history) == 2
    assert result_of(lambda params: iter([0.4, 0.5]), protocol=Protocol(patience=1)).score == 0.4


def test_it_gets_its_params_and_the_seed_only_if_it_takes_one() -> None:
    assert result_of(lambda params, seed: params["x"] + seed).score == 7.5
    assert result_of(lambda params, **more: len(more)).score == 0


@pytest.mark.parametrize(
    ("value", "reason", "message"),
    [
        ("good", "invalid", "needs to return or yield a number, or a mapping of metrics; it gave 'good'"),
        (None, "invalid", "needs to return or yield a number, or a mapping of metrics; it gave None"),
        ([0.1, 0.2], "invalid", "needs to return or yield a number, or a mapping of metrics; it gave [0.1, 0.2]"),
        ({"error": 1.0}, "invalid", "no metric 'loss' to judge by; the trial has error"),
        ({"loss": "low"}, "invalid", "metric 'loss' needs a number; got 'low'"),
        (iter(()), "invalid", "the task's own code ended without an epoch"),
        (math.nan, "diverged", "loss was nan in epoch 1"),
        ({"loss": math.inf}, "diverged", "loss was inf in epoch 1"),
    ],
)
def test_what_cannot_be_scored_fails_with_its_reason(value: Any, reason: str, message: str) -> None:
    result = result_of(lambda params: value)
    assert (result.state, result.reason, result.score) == ("failed", reason, None)
    assert message in str(result.message)


def test_what_raises_fails_with_its_reason() -> None:
    def full(params: Any) -> float:
        raise MemoryError("no room")

    def exits(params: Any) -> float:
        raise SystemExit(3)

    assert (result_of(full).reason, result_of(exits).reason) == ("out-of-memory", "crashed")
    assert result_of(lambda params: params["y"]).message == "KeyError: 'y'"


def test_its_files_are_there_until_the_trial_is_released() -> None:
    run = TrialRun(task_of(countdown), {"x": 0.5}, None, seed=0)
    assert [metrics["loss"] for _, metrics in run] == [2.0, 1.5, 1.0, 0.5]
    folder = run.artifacts
    assert folder is not None
    assert [file.name for file in folder.iterdir()] == ["last.txt"]
    run.release()
    assert run.artifacts is None
    assert not folder.exists()


def test_it_goes_on_from_the_files_that_it_left() -> None:
    task, params = task_of(countdown), {"x": 0.5}
    first, content = TrialRun(task, params, None, seed=0), b""
    for epoch, _ in first:
        if epoch == 2:
            checkpoint = first.checkpoint()
            assert checkpoint is not None
            content = checkpoint.to_bytes()
    second = TrialRun(task, params, None, seed=0, start=Checkpoint.from_bytes(content))
    assert [epoch for epoch, _ in second] == [3, 4]
    assert second.result.history == first.result.history
    copied = TrialRun(task, {"x": 1.0}, None, seed=0, start=Copy(Checkpoint.from_bytes(content)))
    assert [metrics["loss"] for _, metrics in copied] == [2.0, 1.0]


def test_a_member_of_a_population_is_run_again_from_its_first_ancestor_on() -> None:
    task, first, then = task_of(countdown), {"x": 0.5}, {"x": 1.0}
    course = (Segment(1, first, 0, parent=7), Segment(3, then, 0, parent=7))
    run = rerun(task, 8, first, 0, course, None)
    assert [(epoch, metrics["loss"]) for epoch, metrics in run] == [(3, 2.0), (4, 1.0)]
    assert [metrics["loss"] for metrics in run.result.history] == [2.0, 1.5, 2.0, 1.0]


def test_a_step_without_a_score_can_be_gone_on_from() -> None:
    def rarely(params: Any, checkpoint: Path) -> Iterator[Any]:
        file = checkpoint / "seen"
        if not file.exists():
            file.touch()
            yield {"other": 1.0}
        yield 0.5

    run = TrialRun(task_of(rarely), {"x": 0.5}, None, seed=0)
    next(iter(run))
    checkpoint = run.checkpoint()
    assert checkpoint is not None
    start = Checkpoint.from_bytes(checkpoint.to_bytes())
    again = TrialRun(task_of(rarely), {"x": 0.5}, None, seed=0, start=start)
    assert (list(again), again.result.best_epoch) == ([(2, {"loss": 0.5})], 2)


def test_what_is_no_state_of_its_own_is_not_gone_on_from() -> None:
    wrong = Checkpoint((np.zeros(3, np.uint8),), (), 1, ({"loss": 2.0},), 1.0)
    run = TrialRun(task_of(countdown), {"x": 0.5}, None, seed=0, start=wrong)
    assert len(list(run)) == 4
    assert TrialRun(task_of(lambda params: 1.0), {"x": 0.5}, None, seed=0).checkpoint() is None


def test_generators_that_nobody_seeds_give_each_trial_what_they_give_it_alone() -> None:
    def draws(params: Any) -> float:
        return random.random() + float(np.random.random()) + float(keras.random.uniform(()))

    first = result_of(draws).score
    assert result_of(draws).score == first
    assert run_trial(task_of(draws), {"x": 0.5}, None, seed=8).score != first


def test_no_framework_is_imported_to_be_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(keras.utils, "set_random_seed", lambda seed: pytest.fail("it imports TensorFlow"))
    assert result_of(lambda params: random.random()).score == random.Random(7).random()


def test_what_code_does_to_its_params_stays_there() -> None:
    params = {"x": 0.5}
    assert run_trial(task_of(lambda own: own.pop("x")), params, None, seed=7).score == 0.5
    assert params == {"x": 0.5}

"""A trial that trains on more images rung after rung ends as one that was trained on all of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tests.support.trials import trial_record
from tune_jobs import datasets
from tune_jobs.datasets import TrainingData
from tune_jobs.records.trials import Rung, TrialRecord
from tune_jobs.search_spaces import Choice, Data, Objective, Protocol, Space, Task
from tune_jobs.training.rungs import RungRun
from tune_jobs.training.runs import new_run, run_trial

RNG = np.random.default_rng(0)
X = RNG.normal(size=(91, 3))
LABELS = (X.sum(axis=1) + RNG.normal(size=91) > 0).astype(int)


def load() -> Any:
    return Data((X, LABELS), (X[:10], LABELS[:10]))


def mean_rule(params: Mapping[str, Any], data: TrainingData, *, seed: int, epochs: int) -> Iterator[dict[str, float]]:
    """A threshold at the mean of what is trained on; the second epoch is the best."""
    if len(data.train) == params.get("fails_at"):
        raise RuntimeError("no luck")
    middle = data.train.x.sum(axis=1).mean()
    right = (data.validation.x.sum(axis=1) > middle) == (data.validation.labels > 0)
    for epoch in range(1, epochs + 1):
        yield {"val_accuracy": float(right.mean()) - 0.1 * abs(epoch - 2), "rows": float(len(data.train))}


TASK = Task(
    name="rule",
    source="none",
    dataset=load,
    space=Space(fails_at=Choice(0, 30)),
    baseline={"fails_at": 0},
    objective=Objective("val_accuracy", "maximize"),
    protocol=Protocol(epochs=3, validation=0.25),
    train=mean_rule,
)
DATA = datasets.load_for_task(TASK, None).training  # type: ignore[arg-type]


def run_of(fails_at: int = 0) -> RungRun:
    run = new_run(TASK, {"fails_at": fails_at}, DATA, seed=0, rungs=(10, 30))
    assert isinstance(run, RungRun)
    return run


def images_of(history: Any) -> set[float]:
    return {epoch["rows"] for epoch in history}


def test_a_trial_that_goes_on_at_each_rung_ends_as_one_without_rungs() -> None:
    run = run_of()
    epochs = list(run)
    plain = run_trial(TASK, {"fails_at": 0}, DATA, seed=0)
    assert replace(run.result, rungs=(), train_seconds=0.0) == replace(plain, train_seconds=0.0)
    assert epochs == list(enumerate(plain.history, start=1))
    assert [(rung.images, rung.epochs) for rung in run.result.rungs] == [(10, 3), (30, 3)]


def test_a_trial_that_ends_on_a_rung_has_the_result_of_that() -> None:
    run = run_of()
    rungs = [pulse for pulse in run.pulses if isinstance(pulse, Rung) and (run.stop() or True) and pulse.images == 10]
    assert len(rungs) == 1
    assert run.result.rungs == tuple(rungs)
    assert (run.result.state, run.result.score, run.result.best_epoch) == ("stopped", rungs[0].score, 2)
    assert images_of(run.result.history) == {10.0}
    assert run.partial_result.state == "stopped"
    record = trial_record(0, {}, state="stopped", score=rungs[0].score, history=run.result.history, rungs=tuple(rungs))
    assert record.n_epochs == 3


def test_each_rung_adds_images_to_those_before_it() -> None:
    few, more = (datasets.some_of(DATA, n).train.x for n in (10, 30))
    assert {*map(tuple, few)} < {*map(tuple, more)} < {*map(tuple, DATA.train.x)}
    assert [len(few), len(more)] == [10, 30]


def test_a_trial_that_fails_on_a_rung_says_on_which() -> None:
    run = run_of(fails_at=30)
    assert list(run) == []
    assert run.result.state == "failed"
    assert run.result.message == "on 30 images: RuntimeError: no luck"
    assert isinstance(run.error, RuntimeError)
    failed = TrialRecord(0, {}, 0, "failed", result=trial_record(0, {}, state="failed", rungs=run.result.rungs).result)
    assert failed.n_epochs == 3

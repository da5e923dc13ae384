"""Trial records for tests, which say only what they are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from tune_jobs.records.trials import FINISHED, RecordedResult, State, TrialRecord
from tune_jobs.search_spaces import Task, Value

if TYPE_CHECKING:
    from tune_jobs.datasets import TrainingData
    from tune_jobs.training.trial import TrialRun

_OF_RESULT = {field.name for field in fields(RecordedResult)} - {"state"}


def trial_record(
    number: int, params: Mapping[str, Value], seed: int = 0, state: State = "complete", **known: Any
) -> TrialRecord:
    """Make a trial. `known` may name fields of its result, which only a finished one has."""
    of_result = {name: known.pop(name) for name in _OF_RESULT & known.keys()}
    if state not in FINISHED:
        return TrialRecord(number, params, seed, state, **known)
    result = RecordedResult(state, **{"finished": 0.0} | of_result)  # type: ignore[arg-type]
    return TrialRecord(number, params, seed, state, result=result, **known)


def changed(trial: TrialRecord, **changes: Any) -> TrialRecord:
    """Return the finished trial with other values, its own or its result's."""
    assert trial.result is not None
    of_result = {name: changes.pop(name) for name in _OF_RESULT & changes.keys()}
    state = changes.get("state", trial.state)
    return replace(trial, result=replace(trial.result, state=state, **of_result), **changes)


def trained(task: Task, params: Any, data: TrainingData, seed: int) -> TrialRun:
    """Train a trial to its end, here."""
    from tune_jobs.training.trial import TrialRun

    run = TrialRun(task, params, data, seed=seed)
    for _ in run:
        pass
    return run

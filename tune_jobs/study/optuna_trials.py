"""A trial as Optuna stores it: the one translation of its states and attributes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

import optuna
from optuna.trial import FrozenTrial, TrialState

from tune_jobs.records.trials import State
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.study.contents import TrialContent
from tune_jobs.study.optuna_form import OptunaForm

_STATES: dict[TrialState, State] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
}
_OPTUNA_STATES = {state: optuna_state for optuna_state, state in _STATES.items()}


def content_of(trial: FrozenTrial) -> TrialContent:
    """Return what is kept of a trial; params or a seed that are missing are None, which no reader takes."""
    attributes = trial.user_attrs
    return TrialContent(
        state=_STATES[trial.state],
        params=cast("Params", attributes.get("params")),
        seed=cast("int", attributes.get("seed")),
        attempt=attributes.get("attempt"),
        result=attributes.get("result"),
        intermediate=dict(sorted(trial.intermediate_values.items())),
    )


def frozen_trial(form: OptunaForm, trial: TrialContent) -> FrozenTrial:
    """Return the trial as Optuna stores it, with its params in this form.

    Its times are those of the attempt and the result; nothing of ours reads them.

    Raises:
        ValueError, TypeError, KeyError: Optuna refuses a value.
    """
    attributes = {"params": dict(trial.params), "seed": trial.seed, "attempt": trial.attempt, "result": trial.result}
    state, value = _OPTUNA_STATES[trial.state], None
    if trial.result is not None and state.is_finished():
        state, value = outcome_of(trial.result)
    frozen = optuna.trial.create_trial(
        state=state,
        value=value,
        params=form.params,
        distributions=form.distributions,
        user_attrs={name: value for name, value in attributes.items() if value is not None},
        intermediate_values=dict(trial.intermediate),
    )
    if trial.attempt is not None and trial.state != "waiting":
        frozen.datetime_start = datetime.fromtimestamp(trial.attempt["started"])
    if trial.result is not None and state.is_finished():
        frozen.datetime_complete = datetime.fromtimestamp(trial.result["finished"])
    return frozen


def outcome_of(result: Mapping[str, Any]) -> tuple[TrialState, float | None]:
    """Return the state in which Optuna stores a trial with this result, and the trial's value there."""
    return _OPTUNA_STATES[result["state"]], None if result["state"] == "failed" else result["score"]

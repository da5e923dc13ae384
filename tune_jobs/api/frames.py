"""Trials and leaderboards as pandas DataFrames; the only file that imports pandas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from tune_jobs.exports.board import Board
from tune_jobs.exports.data import row_fields
from tune_jobs.records import fold_rows
from tune_jobs.records.trials import TrialRecord

_FIRST = ("number", "state", "score", "seed", "best_epoch")
_LAST = ("train_seconds", "seconds", "weights", "attempts", "reason", "message", "params_id")


def trials_frame(trials: Sequence[TrialRecord]) -> pd.DataFrame:
    """Return a row for each trial: its params as `params.NAME`, the metrics of its best epoch as `metrics.NAME`."""
    params = _columns("params", (trial.params for trial in trials))
    metrics = _columns("metrics", (trial.metrics for trial in trials))
    return pd.DataFrame(
        [_fields_of_trial(trial) for trial in trials],
        columns=[*_FIRST, *params, *metrics, "epochs", "started", *_LAST],
    )


def leaderboard_frame(board: Board) -> pd.DataFrame:
    """Return a row for each configuration: its params as `params.NAME`, its several objectives as `values.NAME`."""
    return pd.DataFrame([_fields_of_row(board, at) for at in range(len(board.shown))])


def _fields_of_trial(trial: TrialRecord) -> dict[str, Any]:
    return {
        **{name: getattr(trial, name) for name in (*_FIRST, *_LAST)},
        **_prefixed("params", trial.params),
        **_prefixed("metrics", trial.metrics),
        "epochs": fold_rows.epochs_of(trial.history) or len(trial.history),
        "started": None if trial.started is None else datetime.fromtimestamp(trial.started, UTC),
    }


def _fields_of_row(board: Board, at: int) -> dict[str, Any]:
    row = board.shown[at]
    values = {objective.metric: value for objective, value in zip(board.objectives, row.values, strict=False)}
    return {**row_fields(row), **_prefixed("values", values), **_prefixed("params", row.params)}


def _columns(prefix: str, mappings: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the prefixed names of some mappings, in the order in which they first come."""
    return list(dict.fromkeys(f"{prefix}.{name}" for mapping in mappings for name in mapping))


def _prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{name}": value for name, value in values.items()}

"""The leaderboard for programs, as CSV and JSON: every number exact, nothing shortened."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from tune_jobs.exports.board import Board
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.search_spaces.scalars import Value


def json_text(board: Board) -> str:
    """Return an array with an object for each row; with several objectives it has its value in each, as `values`."""
    rows = [
        row_fields(row) | _marks(board, row) | _values(board, row) | {"params": dict(row.params)} for row in board.shown
    ]
    return json.dumps(rows, indent=2) + "\n"


def csv_text(board: Board) -> str:
    """Return a line for each row and a column for each parameter, empty if a row does not have it.

    `trials`, `seeds` and `best_epochs` are numbers with spaces between. Of several objectives the first is the score;
    each other one has a column, unless a column has its name already. Where there are limits, `broken` has those that a
    row breaks. A parameter with the name of another column is
    headed `params.NAME`.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    metrics = [objective.metric for objective in board.objectives]
    further = {metric: index for index, metric in enumerate(metrics) if index and metric not in _COLUMNS}
    marks = _marks(board, board.rows[0]) if board.rows else {}
    columns = (*_COLUMNS, *marks, *further)
    headings = [*columns, *(f"params.{name}" if name in columns else name for name in board.names)]
    writer.writerow(map(cell, headings))
    for row in board.shown:
        fields = row_fields(row) | _marks(board, row) | {name: row.values[index] for name, index in further.items()}
        writer.writerow(
            [*(cell(fields[name]) for name in columns), *(_param_cell(row.params, name) for name in board.names)]
        )
    return file.getvalue()


def _marks(board: Board, row: Row) -> dict[str, Any]:
    """Return which limits a row breaks, in words, of a study that has limits; and whether it is outside of the space of
    a study that has had several."""
    limits: dict[str, Any] = {"broken": row.broken} if board.study.constraints else {}
    return limits | ({"outside": board.is_outside(row)} if board.study.spaces else {})


def _values(board: Board, row: Row) -> dict[str, Any]:
    if not board.objectives:
        return {}
    values = zip(board.objectives, row.values, strict=True)
    return {"values": {objective.metric: value for objective, value in values}}


_COLUMNS = (
    *("rank", "score", "std", "n", "tied", "interval_low", "interval_high", "p_best", "first_place", "last_place"),
    *("test_score", "test_n", "test_interval_low", "test_interval_high"),
    *("state", "best_epochs", "train_seconds", "weights", "trials", "seeds", "params_id"),
)


def row_fields(row: Row) -> dict[str, Any]:
    """Return a row's values by the names that CSV and JSON have for them."""
    none = (None, None)
    low, high = row.interval or none
    first, last = row.places or none
    test_low, test_high = (row.tested.interval or none) if row.tested else none
    parts = {
        "interval_low": low,
        "interval_high": high,
        "first_place": first,
        "last_place": last,
        "test_score": row.tested.score if row.tested else None,
        "test_n": row.tested.n if row.tested else None,
        "test_interval_low": test_low,
        "test_interval_high": test_high,
    }
    return {name: parts[name] if name in parts else getattr(row, name) for name in _COLUMNS}


def _param_cell(params: Mapping[str, Value], name: str) -> str:
    if name not in params:
        return ""
    value = params[name]
    return "none" if value is None else cell(value)


def cell(value: object) -> str:
    """Return a value as CSV text. A spreadsheet runs text that begins like a formula: such text gets an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        between = "; " if any(isinstance(part, str) for part in value) else " "
        return between.join("" if part is None else str(part) for part in value)
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        value = f"'{value}"
    return str(value).replace("\r", "\n")  # Python 3.11 leaves a bare carriage return unquoted

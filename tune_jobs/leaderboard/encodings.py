"""A study by its label encodings: the best configuration of each.

Pure functions over a record. The caller says which params are the encoding's.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tune_jobs.leaderboard import ranking
from tune_jobs.leaderboard.factors import Curve, curve_of
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces.scalars import Params


@dataclass(frozen=True)
class Entry:
    """An encoding with its best configuration; `metrics` are means over its seeds, on the validation split."""

    name: str
    row: Row
    configurations: int  # of the encoding that completed, of which it is the best
    metrics: Mapping[str, float]
    curve: Curve | None  # of the objective


def encoding_name(params: Params, names: Sequence[str]) -> str:
    """Return an encoding's name: those of its params, which `names` lists, that are words or counts.

    `classes 720`, `two-hands joint`; without a word `bins=20`. Weights and widths are tuned within an encoding: they
    are in its name only if there is nothing else.
    """
    own = {name: params[name] for name in names if name in params}
    settings = {name: value for name, value in own.items() if not isinstance(value, float)} or own
    if any(isinstance(value, str) for value in settings.values()):
        return " ".join(map(str, settings.values()))
    return " ".join(f"{name}={value}" for name, value in settings.items()) or "its own"


def ranked_rows(study: StudyRecord, names: Sequence[str]) -> tuple[Row, ...]:
    """Return the configurations in order, each with its uncertainty beside those of its own encoding alone.

    The spread over seeds of a network that does not learn is a hundred times that of one that does, so encodings
    cannot lend each other theirs.
    """
    objective = study.terms.objective
    rows = ranking.rank(study.trials, objective)
    known = {
        row.params_id: row
        for group in _groups(rows, names).values()
        for row in ranking.with_uncertainty(group, study.trials, objective)
    }
    return tuple(known[row.params_id] for row in rows)


def entries(study: StudyRecord, names: Sequence[str]) -> tuple[Entry, ...]:
    """Return the encodings that have a complete configuration, the one with the best score first."""
    groups = _groups(ranked_rows(study, names), names)
    best = {name: row for name, rows in groups.items() if (row := ranking.best(rows)) is not None}
    unordered = [_entry(study, name, row, _n_complete(groups[name])) for name, row in best.items()]
    is_reversed = study.terms.objective.direction == "maximize"
    return tuple(sorted(unordered, key=lambda entry: entry.row.score, reverse=is_reversed))


def evaluated(study: StudyRecord, row: Row) -> TrialRecord | None:
    """Return the first trial of a configuration that kept what it read on the test split, not its luckiest seed."""
    with_readings = [trial for trial in study.trials if trial.tested is not None and trial.tested.readings is not None]
    return next((trial for trial in with_readings if trial.number in row.trials), None)


def means(measured: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each metric that all have."""
    names = set.intersection(*(set(metrics) for metrics in measured)) if measured else set()
    return {name: statistics.mean(metrics[name] for metrics in measured) for name in sorted(names)}


def _groups(rows: Sequence[Row], names: Sequence[str]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(encoding_name(row.params, names), []).append(row)
    return groups


def _n_complete(rows: Sequence[Row]) -> int:
    return sum(row.state == "complete" for row in rows)


def _entry(study: StudyRecord, name: str, row: Row, configurations: int) -> Entry:
    trials = [trial for trial in study.trials if trial.number in row.trials]
    curve = curve_of(trials, study.terms)
    return Entry(name, row, configurations, means([trial.metrics for trial in trials]), curve)

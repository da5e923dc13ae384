"""The trials of a study for programs, as CSV: a line for each trial, and a line for each of their epochs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from tune_jobs.exports.data import cell
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord

_FIRST = ("number", "state", "score", "best_epoch", "seed")
_LAST = ("train_seconds", "seconds", "weights", "attempts", "place", "reason", "message", "params_id")


def trials_csv(study: StudyRecord) -> str:
    """Return a line for each trial: its params as `params.NAME`, the metrics of its best epoch as `metrics.NAME`."""
    trials = study.trials
    params, metrics = _names(trial.params for trial in trials), _names(trial.metrics for trial in trials)
    head = [*_FIRST, "started", *_LAST, *_prefixed("params", params), *_prefixed("metrics", metrics)]
    return _text(head, (_line(trial, params, metrics) for trial in trials))


def _line(trial: TrialRecord, params: Sequence[str], metrics: Sequence[str]) -> list[object]:
    started = None if trial.started is None else datetime.fromtimestamp(trial.started, UTC).isoformat()
    own = [getattr(trial, name) for name in _FIRST], [started], [getattr(trial, name) for name in _LAST]
    values = [_param(trial, name) for name in params]
    return [*(value for part in own for value in part), *values, *(trial.metrics.get(name) for name in metrics)]


def _param(trial: TrialRecord, name: str) -> object:
    """Return a param's value, and the word `none` for one whose value is None."""
    return "none" if name in trial.params and trial.params[name] is None else trial.params.get(name)


def epochs_csv(study: StudyRecord) -> str:
    """Return a line for each epoch, or fold, of each trial, with its metrics."""
    metrics = _names(epoch for trial in study.trials for epoch in trial.history)
    lines = (
        [trial.number, number, *(epoch.get(name) for name in metrics)]
        for trial in study.trials
        for number, epoch in enumerate(trial.history, start=1)
    )
    return _text(["trial", study.terms.protocol.step, *metrics], lines)


def _names(mappings: Iterable[Mapping[str, object]]) -> list[str]:
    """Return the names of some mappings, in the order in which they first come."""
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def _prefixed(prefix: str, names: Iterable[str]) -> list[str]:
    return [f"{prefix}.{name}" for name in names]


def _text(head: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(cell, head))
    writer.writerows([cell(value) for value in line] for line in lines)
    return file.getvalue()

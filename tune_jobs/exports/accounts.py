"""What studies took of the machines, by study, user and month: sums of what their trials have recorded.

Studies of earlier versions recorded less: the seconds that a trial held its CPUs follow from its start, its end and its
CPUs; whether it had a GPU, and whose it was, is not known. What no trial of a line has recorded is None.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from tune_jobs.exports.data import cell
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord, total

Key = Literal["study", "user", "month"]
KEYS: tuple[Key, ...] = get_args(Key)


@dataclass(frozen=True)
class Account:
    """The sums of some trials. Idle is the share of the seconds held in which nothing was computed."""

    trials: int
    cpu_seconds: float | None  # held, whether they were used or not
    cpu_idle: float | None
    gpu_seconds: float | None
    gpu_idle: float | None
    energy_wh: float | None  # of GPUs
    unrecorded: int  # trials of earlier versions, of which some figures are missing


COLUMNS = tuple(field.name for field in fields(Account))


@dataclass(frozen=True)
class _Use:
    """What is known of one trial; seconds of devices, and joules."""

    cpu_held: float | None
    gpu_held: float | None
    cpu_used: float | None = None
    gpu_used: float | None = None
    joules: float | None = None


def accounts(studies: Iterable[StudyRecord], by: Sequence[Key] = KEYS) -> list[Mapping[str, Any]]:
    """Return the sums of all trials that have ended, with their values of `by`, in the order of these.

    The records have the trials of all versions. The month is that of a trial's end, in UTC. A trial that was retried
    counts, as its retry does.
    """
    groups: dict[tuple[str | None, ...], list[TrialRecord]] = {}
    for study in studies:
        for trial in counted(study):
            groups.setdefault(tuple(_value(key, study, trial) for key in by), []).append(trial)
    ordered = sorted(groups.items(), key=lambda item: tuple(value or "" for value in item[0]))
    return [dict(zip(by, values, strict=True)) | vars(account(trials)) for values, trials in ordered]


def counted(study: StudyRecord) -> list[TrialRecord]:
    """Return the trials that have ended and were begun: of others nothing is known."""
    return [trial for trial in study.trials if trial.is_finished and trial.started is not None]


def _value(key: Key, study: StudyRecord, trial: TrialRecord) -> str | None:
    if key == "study":
        return study.name
    if key == "user":
        return trial.user
    return None if trial.finished is None else datetime.fromtimestamp(trial.finished, UTC).strftime("%Y-%m")


def account(trials: Sequence[TrialRecord]) -> Account:
    """Return the sums of these trials."""
    uses = [_use(trial) for trial in trials]
    joules = total(use.joules for use in uses)
    return Account(
        trials=len(trials),
        cpu_seconds=total(use.cpu_held for use in uses),
        cpu_idle=_idle((use.cpu_held, use.cpu_used) for use in uses),
        gpu_seconds=total(use.gpu_held for use in uses),
        gpu_idle=_idle((use.gpu_held, use.gpu_used) for use in uses),
        energy_wh=None if joules is None else joules / 3600,
        unrecorded=sum(trial.spent is None for trial in trials),
    )


def _use(trial: TrialRecord) -> _Use:
    if trial.spent is not None:
        return _Use(**vars(trial.spent))
    seconds, cpus, gpus = trial.seconds, trial.cpus, trial.gpus
    if seconds is None or cpus is None:
        return _Use(None, None)
    has_no_gpu = trial.place is not None and "GPU" not in trial.place
    return _Use(seconds * cpus, seconds * gpus if gpus else 0.0 if has_no_gpu else None)


def _idle(pairs: Iterable[tuple[float | None, float | None]]) -> float | None:
    """Return the share of the time held that was not used, over the trials that have both."""
    known = [(held, used) for held, used in pairs if held and used is not None]
    held = sum(one for one, _ in known)
    return max(0.0, 1 - sum(used for _, used in known) / held) if held else None


def json_text(lines: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(lines, indent=2) + "\n"


def csv_text(lines: Sequence[Mapping[str, Any]], by: Sequence[Key]) -> str:
    """Return a row for each line; what was not recorded is empty."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow((*by, *COLUMNS))
    writer.writerows([cell(line[name]) for name in (*by, *COLUMNS)] for line in lines)
    return file.getvalue()

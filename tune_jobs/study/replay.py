"""Read a study's records in a fraction of the time: one for each trial, with all that later ones say of it.

Optuna copies a trial for each record about it, and most records are about an epoch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tune_jobs.study.lines import ATTRIBUTE, CREATE_STUDY, CREATE_TRIAL, DELETE_STUDY, EPOCH, NOTE, STATE

_RUNNING, _WAITING = 0, 4  # Optuna's numbers of states; the others are those of an end
_STATES = range(5)
_OF_TRIALS, _OF_STUDIES = (EPOCH, ATTRIBUTE, STATE), (CREATE_STUDY, DELETE_STUDY, NOTE)

Record = dict[str, Any]


class UnknownRecordError(ValueError):
    """A record that nothing here knows, which Optuna may."""


def condensed(records: Iterable[Record]) -> list[Record]:
    """Return records that say the same as these to who has read none, with a single one for each trial.

    Raises:
        UnknownRecordError: there is a record of another kind.
        KeyError, TypeError: a record lacks something.
    """
    content = _Content()
    for record in records:
        content.take(record)
    return content.records


class _Content:
    """What a file has: its studies, of which all but the last were deleted, and their trials by Optuna's ids."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._trials: list[Record] = []
        self._studies: dict[int, str] = {}
        self._n_studies = 0

    def take(self, record: Record) -> None:
        code = record["op_code"]
        if code in _OF_TRIALS:
            if record["trial_id"] < len(self._trials):
                _update(self._trials[record["trial_id"]], record)
        elif code == CREATE_TRIAL:
            if record["study_id"] in self._studies:
                self._trials.append(record)
                self.records.append(record)
        elif code in _OF_STUDIES:
            self._note_study(record)
            self.records.append(record)
        else:
            raise UnknownRecordError(f"a record of kind {code}")

    def _note_study(self, record: Record) -> None:
        if record["op_code"] == DELETE_STUDY:
            self._studies.pop(record["study_id"], None)
        elif record["op_code"] == CREATE_STUDY and record["study_name"] not in self._studies.values():
            self._studies[self._n_studies] = record["study_name"]
            self._n_studies += 1


def _update(trial: Record, record: Record) -> None:
    """Note in the record that begins a trial what a later one says. Nothing changes a trial that has ended."""
    before = trial.get("state", _RUNNING)
    if before not in (_RUNNING, _WAITING):
        return
    if record["op_code"] == EPOCH:
        trial.setdefault("intermediate_values", {})[record["step"]] = record["intermediate_value"]
    elif record["op_code"] == ATTRIBUTE:
        trial.setdefault("user_attrs", {}).update(record["user_attr"])
    elif record["state"] not in _STATES:
        raise UnknownRecordError(f"a state {record['state']}")
    elif not before == record["state"] == _RUNNING:
        _set_state(trial, record)


def _set_state(trial: Record, record: Record) -> None:
    state = trial["state"] = record["state"]
    if state == _RUNNING:
        trial["datetime_start"] = record["datetime_start"]
    elif state != _WAITING:
        trial["datetime_complete"] = record["datetime_complete"]
    if record["values"] is not None:
        trial |= {"value": None, "values": record["values"]}

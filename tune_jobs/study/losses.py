"""What goes with the records that a study's file has lost, and what stands in for them.

A trial whose beginning is lost keeps its number: a failed trial without params stands there. One whose result is lost
runs again. What the study is nothing without is in the file twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from tune_jobs.errors import StudyError
from tune_jobs.records.studies import Evaluation
from tune_jobs.records.trials import LOST, RecordedResult
from tune_jobs.search_spaces.scalars import params_id
from tune_jobs.study import contents
from tune_jobs.study.contents import COPY, VITAL, plain
from tune_jobs.study.lines import ATTRIBUTE, CREATE_STUDY, CREATE_TRIAL, DELETE_STUDY, EPOCH, NOTE, STATE, Subject
from tune_jobs.study.optuna_trials import outcome_of

_RUNNING, _FAILED, _WAITING = 0, 3, 4  # Optuna's numbers of states
_DIRECTIONS = {"minimize": 1, "maximize": 2}  # and of directions
_OF_TRIALS = (STATE, EPOCH, ATTRIBUTE)
_BACKUP = "restore the file from a backup"

Record = dict[str, Any]
_WRITER: Record = {"worker_id": "doctor"}


@dataclass(frozen=True)
class Settled:
    """The records that make a whole study, and what is lost and done, a line each."""

    records: list[Record]
    changes: list[str]


def settled(records: Mapping[int, Record], lost: Mapping[int, Subject | None], name: str) -> Settled:
    """Return what is left of the study `name`; `records` and what the lost ones were about are by their numbers.

    Raises:
        StudyError: what is lost is something that the rest cannot do without.
    """
    left = _Left(records, lost, _begun(records, lost))
    return Settled(left.whole(name), [*left.losses(), *left.consequences()])


def _begun(records: Mapping[int, Record], lost: Mapping[int, Subject | None]) -> dict[int, int]:
    """Return the numbers of the records that begin trials, by Optuna's ids of these."""
    begun: dict[int, int] = {}
    count: int | None = 0  # None after a lost record that may have begun a trial
    for number in sorted((*records, *lost)):
        what = lost.get(number)
        if number in records and records[number]["op_code"] == CREATE_TRIAL:
            trial = records[number].get("trial", count)
            if trial is None:  # written before ids were
                raise StudyError(f"which trial record {number + 1} begins is lost with records before it: {_BACKUP}")
            begun[trial], count = number, trial + 1
        elif number in lost and (what is None or what.op_code is None):
            count = None
        elif what is not None and what.op_code == CREATE_TRIAL and count is not None:
            count += 1
    return begun


@dataclass(frozen=True)
class _Left:
    """What is left of a file. It may have studies that were deleted before the one that counts; trials go by Optuna's
    ids, which count all of them."""

    records: Mapping[int, Record]
    lost: Mapping[int, Subject | None]
    begun: Mapping[int, int]

    @cached_property
    def current(self) -> dict[int, Record]:
        """The records of the study that counts, in their order."""
        deleted = max((n for n, record in self.records.items() if record["op_code"] == DELETE_STUDY), default=-1)
        return {number: self.records[number] for number in sorted(self.records) if number > deleted}

    @cached_property
    def first(self) -> int:
        """The first trial of that study."""
        return max((trial for trial, number in self.begun.items() if number not in self.current), default=-1) + 1

    @cached_property
    def missing(self) -> list[int]:
        """The trials whose beginning is lost: others come later, or something else is about them."""
        about = {record["trial_id"] for record in self.records.values() if record["op_code"] in _OF_TRIALS}
        n_trials = max((*self.begun, *about), default=-1) + 1
        if n_trials - len(self.begun) > len(self.lost):
            raise StudyError(f"there are records of trials that never began: {_BACKUP}")
        return [trial for trial in range(n_trials) if trial not in self.begun]

    @cached_property
    def notes(self) -> dict[str, Any]:
        notes: dict[str, Any] = {}
        for record in self.current.values():
            if record["op_code"] == NOTE:
                notes |= record["user_attr"]
        return notes

    @cached_property
    def attributes(self) -> dict[int, dict[str, Any]]:
        """What is kept of each trial of the study that has its beginning."""
        begun = {trial: self.records[number] for trial, number in self.begun.items() if trial >= self.first}
        kept = {trial: dict(record.get("user_attrs", {})) for trial, record in begun.items()}
        for record in self.current.values():
            if record["op_code"] == ATTRIBUTE and record["trial_id"] in kept:
                kept[record["trial_id"]] |= record["user_attr"]
        return kept

    @cached_property
    def ended(self) -> dict[int, int]:
        """The trials that have a state after their end, each with the number of that record."""
        states = {n: record for n, record in self.current.items() if record["op_code"] == STATE}
        return {record["trial_id"]: n for n, record in states.items() if record["state"] != _RUNNING}

    @cached_property
    def lost_tests(self) -> tuple[str, ...]:
        """The notes on the test split about trials that are not complete any more."""
        results = {trial - self.first: kept.get("result") or {} for trial, kept in self.attributes.items()}
        complete = {number for number, result in results.items() if result.get("state") == "complete"}
        numbers = {name: contents.tested_number(name) for name in self.notes}
        return tuple(name for name, number in numbers.items() if number is not None and number not in complete)

    @cached_property
    def lost_results(self) -> set[int]:
        """The trials that have ended, with a result that is lost."""
        return {trial for trial, kept in self.attributes.items() if trial in self.ended and "result" not in kept}

    @cached_property
    def lost_starts(self) -> set[int]:
        """The trials that were started, and of which nothing says when."""
        progressed = {record["trial_id"] for record in self.current.values() if record["op_code"] in (STATE, EPOCH)}
        progressed |= {trial for trial, kept in self.attributes.items() if "result" in kept}
        return {trial for trial in progressed & self._added if "attempt" not in self.attributes[trial]}

    @property
    def _added(self) -> set[int]:
        """The trials that were waiting when they began: all but those of an import."""
        return {trial for trial in self.attributes if self.records[self.begun[trial]].get("state") == _WAITING}

    @cached_property
    def lost_readings(self) -> list[Record]:
        """The readings of the test split that only their results tell of: how often it was read has to stay known."""
        tested: dict[int, list[int]] = {}
        for name, note in self.notes.items():
            number = contents.tested_number(name)
            if number is not None and note.get("reading") is not None:
                tested.setdefault(note["reading"], []).append(number)
        lost = range(len(self.notes.get("readings", ())) + 1, max(tested, default=0) + 1)
        return [
            plain(Evaluation(time.time(), "not known any more", tuple(tested.get(reading, ())))) for reading in lost
        ]

    @property
    def untold_tests(self) -> list[int]:
        """The trials that the test split was read with, and of which nothing says what came of it."""
        read = {number for reading in self.notes.get("readings", ()) for number in reading["trials"]}
        return sorted(number for number in read if contents.note_of_test(number) not in self.notes)

    def losses(self) -> Iterator[str]:
        """Yield what is lost, by records."""
        for number, what in self.lost.items():
            named = "" if what is None or what.op_code is None else f", {what},"
            is_of_unknown = not named or (what is not None and what.op_code in _OF_TRIALS and what.trial is None)
            perhaps = f"; it was {self._perhaps(number)}" if is_of_unknown else ""
            yield f"record {number + 1}{named} is lost{perhaps}"

    def _perhaps(self, number: int) -> str:
        """Say which trials had begun and not ended at a record, so that it may have been of these."""
        running = {trial for trial, began in self.begun.items() if began < number < self.ended.get(trial, number + 1)}
        names = [self._name(trial) for trial in sorted({*running, *self.missing}) if trial >= self.first]
        return " or ".join([*(f"of {name}" for name in names), "a note, as of a result on the test split"])

    def consequences(self) -> Iterator[str]:
        """Yield what becomes of the study and its trials."""
        yield from (f"the note {name} is restored from its copy" for name in self._restored)
        for trial in self.missing:
            if trial >= self.first:
                yield f"{self._name(trial)} is lost; a failed trial without params stands in its place"
        for trial in sorted(self.lost_results):
            yield f"{self._name(trial)} has lost its result and runs again"
        for trial in sorted(self.lost_starts - self.lost_results):
            yield f"{self._name(trial)} has lost its start" + (
                "" if "result" in self.attributes[trial] else " and runs again"
            )
        for number in {*self.untold_tests, *map(contents.tested_number, self.lost_tests)}:
            yield f"trial {number} has no result on the test split any more"
        if self.lost_readings:
            yield "how often the test split was read is known by its results; by whom and when is lost"

    def _name(self, trial: int) -> str:
        return f"trial {trial - self.first}"

    def whole(self, name: str) -> list[Record]:
        """Return the records that stay, with those that stand in for what is lost."""
        whole, missing = self._beginning(name), list(self.missing)
        begun = {number: trial for trial, number in self.begun.items()}
        for number in sorted(self.records):
            record = self.records[number]
            while missing and missing[0] < begun.get(number, -1):
                whole.append(_stand_in(missing.pop(0), record["study_id"]))
            if self._stays(record):
                whole.append(record)
        return [*whole, *(_stand_in(trial, self._study) for trial in missing), *self._corrections()]

    @property
    def _study(self) -> int:
        """Optuna's id of the study that counts."""
        return next((record["study_id"] for record in self.current.values() if "study_id" in record), 0)

    def _stays(self, record: Record) -> bool:
        """Return True if a record means something without those that are lost."""
        if record["op_code"] == NOTE:
            return self.lost_tests == () or next(iter(record["user_attr"]), None) not in self.lost_tests
        if record["op_code"] not in _OF_TRIALS:
            return True
        trial = record["trial_id"]
        if record["op_code"] == STATE and record["state"] != _RUNNING and trial in self.lost_results:
            return False
        never_ran = trial in self.lost_starts and "result" not in self.attributes[trial]
        return trial in self.begun and not (never_ran and record["op_code"] in (STATE, EPOCH))

    @cached_property
    def _restored(self) -> dict[str, Any]:
        """What is lost and the study is nothing without, from its copy."""
        copy = self.notes.get(COPY, {})
        lost = [note for note in VITAL if note not in self.notes]
        if gone := [note for note in lost if note not in copy]:
            raise StudyError(f"the study's note {gone[0]} is lost, and it is nothing without: {_BACKUP}")
        if len(self.notes.get("changes", ())) < len(copy.get("changes", ())):
            lost.append("changes")
        return {note: copy[note] for note in lost}

    def _beginning(self, name: str) -> list[Record]:
        """Return the record that begins the study, if it is lost."""
        if any(record["op_code"] == CREATE_STUDY for record in self.records.values()):
            return []
        terms = (self._restored | self.notes)["terms"]
        directions = [_DIRECTIONS[terms["objective"]["direction"]]]
        return [_WRITER | {"op_code": CREATE_STUDY, "study_name": name, "directions": directions}]

    def _corrections(self) -> Iterator[Record]:
        """Yield what makes the rest agree with what is lost."""
        yield from (_note(self._study, name, value) for name, value in self._restored.items())
        running = {record["trial_id"] for record in self.current.values() if record["op_code"] == STATE}
        for trial in sorted(self._added):
            kept = self.attributes[trial]
            if "result" in kept and trial not in self.ended:
                yield _end(trial, kept["result"])
            elif "attempt" in kept and trial not in running:
                yield _start(trial, kept["attempt"])
        known = {params_id(kept["params"]) for kept in self.attributes.values()}
        replication, courses = self.notes.get("replication"), self.notes.get("courses", {})
        if replication is not None and not known.issuperset(replication["params_ids"]):
            ids = [identity for identity in replication["params_ids"] if identity in known]
            yield _note(self._study, "replication", replication | {"params_ids": ids})
        gone = {str(trial - self.first) for trial in self.missing}
        if gone & courses.keys():
            left = {number: course for number, course in courses.items() if number not in gone}
            yield _note(self._study, "courses", left)
        if self.lost_readings:
            yield _note(self._study, "readings", [*self.notes.get("readings", ()), *self.lost_readings])


def _note(study: int, name: str, value: Any) -> Record:
    return _WRITER | {"op_code": NOTE, "study_id": study, "user_attr": {name: value}}


def _start(trial: int, attempt: Mapping[str, Any]) -> Record:
    began = _written(attempt["started"])
    return _WRITER | {"op_code": STATE, "trial_id": trial, "state": _RUNNING, "values": None, "datetime_start": began}


def _end(trial: int, result: Mapping[str, Any]) -> Record:
    state, value = outcome_of(result)
    return _WRITER | {
        "op_code": STATE,
        "trial_id": trial,
        "state": state.value,
        "values": None if value is None else [value],
        "datetime_complete": _written(result["finished"]),
    }


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _stand_in(trial: int, study: int) -> Record:
    """Return the record of a trial that failed, in place of one whose beginning is lost."""
    now = time.time()
    message = "its record was lost with a part of the study's file"
    result = RecordedResult("failed", reason=LOST, message=message, finished=now)
    return _WRITER | {
        "op_code": CREATE_TRIAL,
        "study_id": study,
        "datetime_start": _written(now),
        "datetime_complete": _written(now),
        "state": _FAILED,
        "user_attrs": {"params": {}, "seed": trial, "result": contents.note_of_result(result)},
    }

"""What a storage holds of a study, as JSON values, and how it is read as a record.

The names under which a study's notes are kept are written here; `study.py` stores them, `file.py` writes them into a
file. JSON values stay as they were stored, so that a study exports to the same bytes wherever it lies.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from tune_jobs.decoding import ContentError, decode
from tune_jobs.errors import StudyError
from tune_jobs.records.priors import Prior
from tune_jobs.records.studies import Change, Evaluation, Launch, Replication, StudyRecord, StudyTerms, Transfer
from tune_jobs.records.trials import Lineage, RecordedResult, State, TestResult, TrialRecord
from tune_jobs.search_spaces.scalars import Params, Value

_LATER = ("reference", "code", "with_paths", "constraints", "numerics")  # of a launch
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TEST = re.compile(r"test:(0|[1-9][0-9]{0,8})")
_SPARSEST = 1000  # epochs for each that was scored


@dataclass(frozen=True, kw_only=True)
class _NamedNotes:
    """The notes that a study has once, by their names."""

    created: float
    identity: str
    terms: StudyTerms
    launch: Launch | None = None
    replication: Replication | None = None
    readings: tuple[Evaluation, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    courses: Mapping[str, Lineage] = field(default_factory=dict)  # by the numbers of trials
    changes: tuple[Change, ...] = ()
    prior: Prior | None = None
    enqueued: tuple[Params, ...] = ()  # points that waited when the study was exported


@dataclass(frozen=True, kw_only=True)
class Notes(_NamedNotes):
    """All notes of a study: those on the test split lie under a name for each trial."""

    tests: Mapping[int, TestResult]

    @property
    def last_terms(self) -> StudyTerms:
        """The terms on which the study goes on."""
        return self.changes[-1].terms if self.changes else self.terms


NOTES = tuple(note.name for note in fields(_NamedNotes))
VITAL = ("created", "identity", "terms")  # of these, what a study is nothing without
COPIED = (*VITAL, "changes")  # and what its scores mean nothing without
COPY = "copy"  # what holds these once more, for a repair


@dataclass(frozen=True)
class _Attempt:
    number: int
    started: float
    place: str | None = None


@dataclass(frozen=True)
class _TrialAttributes:
    params: Params
    seed: int
    attempt: _Attempt | None  # the last one
    result: RecordedResult | None  # there before the state says so


@dataclass(frozen=True)
class TrialContent:
    """What is kept of one trial, as JSON values; its number is its place in the study."""

    state: State
    params: Mapping[str, Value]
    seed: int
    attempt: Mapping[str, Any] | None = None  # of `_Attempt`
    result: Mapping[str, Any] | None = None  # of `RecordedResult`
    intermediate: Mapping[int, float] = field(default_factory=dict)  # the objective after each epoch


@dataclass(frozen=True)
class StudyContent:
    """What is kept of a study: its notes by their names, and its trials in the order they were begun."""

    name: str
    notes: Mapping[str, Any]
    trials: tuple[TrialContent, ...]

    @cached_property
    def record(self) -> StudyRecord:
        """The study as everything else knows it.

        Raises:
            ContentError: a note or a trial is of another type.
        """
        trials = tuple(trial_record(number, trial) for number, trial in enumerate(self.trials))
        return study_record(self.name, notes_of(self.notes), trials)


def check_name(name: str) -> None:
    """Refuse what neither a study nor its file can be called.

    Raises:
        StudyError: the name has another character in it, or is too long.
    """
    if not is_name(name):
        raise StudyError(f"a study's name is letters, digits, '.', '_' and '-', at most 100; got {name!r}")


def is_name(name: str) -> bool:
    """Return True if a study, and its file, can be called so."""
    return _NAME.fullmatch(name) is not None


def note_of_test(number: int) -> str:
    """Return the name of the note that a study keeps on what a trial reached on the test split."""
    return f"test:{number}"


def tested_number(key: str) -> int | None:
    """Return the trial that a note of this name is about; None for a note of another kind."""
    match = _TEST.fullmatch(key)
    return None if match is None else int(match[1])


def only_notes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the notes among a study's attributes."""
    return {name: note for name, note in attributes.items() if name in NOTES or tested_number(name) is not None}


def why_unreadable(name: str, notes: Mapping[str, Any], error: ContentError) -> str:
    """Return why a study cannot be read, in words. A field more or less is another version's, for which the rest may
    mean something else too."""
    return (
        f"study {name!r} was written by another version of tune-jobs ({_version_of(notes)}), or is damaged ({error}): "
        "open it with that version, or restore it from a backup"
    )


def _version_of(notes: Mapping[str, Any]) -> str:
    """Return the version of this program that last ran a study, of notes that may be damaged."""
    launch = notes.get("launch")
    versions = launch.get("versions") if isinstance(launch, dict) else None
    return str(versions.get("tune-jobs", "unknown"))[:20] if isinstance(versions, dict) else "unknown"


def notes_of(values: Mapping[str, Any]) -> Notes:
    """Read a study's notes.

    Raises:
        ContentError: one of them is of another type, unknown or missing.
    """
    numbers = {name: tested_number(name) for name in values}
    tests = {n: decode(TestResult, values[name], name, finite=False) for name, n in numbers.items() if n is not None}
    named = decode(_NamedNotes, {name: note for name, note in values.items() if numbers[name] is None}, "the study")
    return Notes(**vars(named), tests=tests)


def study_record(name: str, notes: Notes, trials: tuple[TrialRecord, ...]) -> StudyRecord:
    """Return a study's notes with the records of all its trials."""
    return StudyRecord(
        name=name,
        identity=notes.identity,
        terms=notes.last_terms,
        launch=notes.launch,
        created=notes.created,
        trials=tuple(with_notes(trial, notes) for trial in trials),
        replication=notes.replication,
        readings=notes.readings,
        transfers=notes.transfers,
        begun=notes.terms if notes.changes else None,
        changes=notes.changes,
        prior=notes.prior,
    )


def with_notes(trial: TrialRecord, notes: Notes) -> TrialRecord:
    """Return the trial with its course, and with what it reached on the test split."""
    course, tested = notes.courses.get(str(trial.number), ()), notes.tests.get(trial.number)
    return replace(trial, course=course, tested=tested) if course or tested is not None else trial


def trial_record(number: int, trial: TrialContent) -> TrialRecord:
    """Read a trial, without what the study's notes say about it.

    Raises:
        ContentError: a part of it is of another type.
    """
    values = {"params": trial.params, "seed": trial.seed, "attempt": trial.attempt, "result": trial.result}
    attributes = decode(_TrialAttributes, values, f"trial {number}")
    attempt = attributes.attempt
    return TrialRecord(
        number=number,
        params=attributes.params,
        seed=attributes.seed,
        state=trial.state,
        attempts=0 if attempt is None else attempt.number,
        started=None if attempt is None else attempt.started,
        place=None if attempt is None else attempt.place,
        result=attributes.result,
        scores=_scores(trial.intermediate),
    )


def _scores(intermediate: Mapping[int, float]) -> tuple[float, ...]:
    """Return the objective after each epoch up to the last that was scored; NaN for one between them that was not."""
    last = max(intermediate, default=0)
    if last > _SPARSEST * len(intermediate):  # no loop does that, and a damaged file must not fill the memory
        return tuple(score for _, score in sorted(intermediate.items()))
    return tuple(intermediate.get(epoch, math.nan) for epoch in range(1, last + 1))


def note_of_launch(launch: Launch) -> dict[str, Any]:
    """Return a launch as it is kept, without what came later and is not used."""
    note: dict[str, Any] = plain(launch)
    if launch.scheduling.resource == "epochs":
        del note["scheduling"]["resource"]
    return {name: part for name, part in note.items() if part or name not in _LATER}


def note_of_replication(replication: Replication) -> dict[str, Any]:
    """Return a replication as it is kept, without what came later and is not used: the baseline."""
    note: dict[str, Any] = plain(replication)
    return {name: part for name, part in note.items() if part or name != "baseline"}


def note_of_result(result: RecordedResult) -> dict[str, Any]:
    """Return a result as it is kept, without what came later and is not used."""
    later = {"gpus": None, "pictures": None, "progress": (), "user": None, "spent": None, "rungs": ()}
    return {name: value for name, value in asdict(result).items() if name not in later or value != later[name]}


def plain(value: Any) -> Any:
    """Return a value as JSON gives it back: tuples become lists, dataclasses mappings."""
    return json.loads(json.dumps(value, default=asdict))

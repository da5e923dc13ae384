"""What a storage holds of a study, as JSON values, and how it is read as a record.

The names under which a study's notes are kept are written here; storing them is `study.py`'s, moving them from one
storage to another `portable.py`'s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tune_jobs.errors import StudyError
from tune_jobs.records import objectives
from tune_jobs.records.studies import (
    Budget,
    Evaluation,
    Launch,
    Replication,
    Scheduling,
    StudyRecord,
    StudyTerms,
    Transfer,
)
from tune_jobs.records.trials import Lineage, Segment, State, TestResult, TrialRecord
from tune_jobs.search_spaces.one_factor import space_from_json
from tune_jobs.search_spaces.protocol import Objective, Protocol
from tune_jobs.search_spaces.scalars import Value

# The names of a study's notes; those of `note_of_test` are further ones.
NOTES = ("created", "identity", "terms", "launch", "replication", "readings", "transfers", "courses")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TEST = re.compile(r"test:(0|[1-9][0-9]{0,8})")
_FURTHER = "further_objectives"
_RESULT_FIELDS = ("score", "best_epoch", "reason", "message", "finished", "train_seconds", "weights", "errors", "cpus")


@dataclass(frozen=True)
class TrialContent:
    """What is kept of one trial; its number is its place in the study."""

    state: State
    params: Mapping[str, Value]
    seed: int
    attempt: Mapping[str, Any] | None = None  # the last one: its number and when it was started
    result: Mapping[str, Any] | None = None  # there before the state says so
    intermediate: Mapping[int, float] = field(default_factory=dict)  # the objective after each epoch


@dataclass(frozen=True)
class StudyContent:
    """What is kept of a study: its notes by their names, and its trials in the order they were begun."""

    name: str
    notes: Mapping[str, Any]
    trials: tuple[TrialContent, ...]

    @property
    def record(self) -> StudyRecord:
        """The study as everything else knows it."""
        trials = tuple(trial_record(number, trial) for number, trial in enumerate(self.trials))
        return study_record(self.name, self.notes, trials)


def check_name(name: str) -> None:
    """Whether a study, and its file, can be called so.

    Raises:
        StudyError: if not.
    """
    if not is_name(name):
        raise StudyError(f"a study's name is letters, digits, '.', '_' and '-', at most 100; got {name!r}")


def is_name(name: str) -> bool:
    """Whether a study, and its file, can be called so."""
    return _NAME.fullmatch(name) is not None


def note_of_test(number: int) -> str:
    """The name of the note that a study keeps of what a trial came to on the test split."""
    return f"test:{number}"


def tested_number(key: str) -> int | None:
    """The trial that a note of this name is about; None for a note of another kind."""
    match = _TEST.fullmatch(key)
    return None if match is None else int(match[1])


def is_note(name: str) -> bool:
    return name in NOTES or tested_number(name) is not None


def version_of(notes: Mapping[str, Any]) -> str:
    """The version of this program that last ran a study, of whose notes nothing is taken for granted."""
    launch = notes.get("launch")
    versions = launch.get("versions") if isinstance(launch, dict) else None
    return str(versions.get("tune-jobs", "unknown"))[:20] if isinstance(versions, dict) else "unknown"


def study_record(name: str, notes: Mapping[str, Any], trials: tuple[TrialRecord, ...]) -> StudyRecord:
    """A study's notes, with its trials' records."""
    courses = courses_of(notes)
    return StudyRecord(
        name=name,
        terms=terms_of(notes),
        identity=notes["identity"],
        launch=launch_of(notes),
        created=notes["created"],
        trials=tuple(with_course(_with_test(trial, notes), courses) for trial in trials),
        replication=_replication(notes),
        transfers=tuple(Transfer(**saved) for saved in notes.get("transfers", ())),
        readings=tuple(_reading(saved) for saved in notes.get("readings", ())),
    )


def trial_record(number: int, trial: TrialContent) -> TrialRecord:
    """A trial's record, without what came of the test split: that is the study's note."""
    attempt, result = trial.attempt or {}, trial.result or {}
    history = tuple(result.get("history", ())) or tuple(
        {"score": value} for _, value in sorted(trial.intermediate.items())
    )
    kept: dict[str, Any] = {name: result.get(name) for name in _RESULT_FIELDS}
    return TrialRecord(
        number=number,
        params=trial.params,
        seed=trial.seed,
        state=trial.state,
        attempts=attempt.get("number", 0),
        started=attempt.get("started"),
        history=history,
        metrics=result.get("metrics", {}),
        **kept,
    )


def terms_of(notes: Mapping[str, Any]) -> StudyTerms:
    """What a study was begun on."""
    saved = notes["terms"]
    made = {
        "objective": Objective(**saved["objective"]),
        "protocol": Protocol(**saved["protocol"]),
        "further_objectives": tuple(Objective(**one) for one in saved.get("further_objectives", ())),
    }
    return StudyTerms(**{**saved, **made})


def note_of_terms(terms: StudyTerms) -> dict[str, Any]:
    """The terms as they are kept: those of a study with one objective say nothing of others, and a protocol nothing of
    what came later and is not used."""
    note: dict[str, Any] = plain(terms) | {"protocol": plain(terms.protocol.to_dict())}
    return note if terms.further_objectives else {name: part for name, part in note.items() if name != _FURTHER}


def launch_of(notes: Mapping[str, Any]) -> Launch | None:
    """How a study was last run; None for one that was not."""
    saved = notes.get("launch")
    if saved is None:
        return None
    nested = {"scheduling": Scheduling(**saved.get("scheduling", {})), "budget": Budget(**saved.get("budget", {}))}
    return Launch(**{**saved, **nested})


def courses_of(notes: Mapping[str, Any]) -> dict[int, Lineage]:
    """How the params of a population's trials changed in flight, by the trials' numbers."""
    saved = notes.get("courses", {})
    return {int(number): tuple(Segment(**stretch) for stretch in course) for number, course in saved.items()}


def with_course(trial: TrialRecord, courses: Mapping[int, Lineage]) -> TrialRecord:
    """The trial with its course, if it has one."""
    return replace(trial, course=courses[trial.number]) if trial.number in courses else trial


def difference(begun: StudyTerms, now: StudyTerms) -> str | None:
    """The first thing that is not what a study was begun on, in words; None where nothing is."""
    named = {
        "task": "for task {}, and this is {}",
        "dataset": "on dataset {}, and this task's is {}",
        "data_digest": "on data {}, and they are now {}",
        "objectives": "with the objective {}, and it is now {}",
        "protocol": "with the protocol {}, and it is now {}",
        "space": "with another search space than {} (see `tune-jobs show`); what differs: {}",
        "task_digest": "on version {} of its task, which is now {}",
        "seed": "with --seed {}, and this asks for {}",
    }
    for name, words in named.items():
        old, new = plain(getattr(begun, name)), plain(getattr(now, name))
        if old != new:
            if name == "space":
                return words.format("this", ", ".join(_changed(old, new)))
            return words.format(_words(getattr(begun, name)), _words(getattr(now, name)))
    return None


def plain(value: Any) -> Any:
    """As JSON gives it back: tuples become lists, dataclasses mappings."""
    return json.loads(json.dumps(value, default=asdict))


def _with_test(trial: TrialRecord, notes: Mapping[str, Any]) -> TrialRecord:
    saved = notes.get(note_of_test(trial.number))
    return trial if saved is None else replace(trial, tested=TestResult(**saved))


def _replication(notes: Mapping[str, Any]) -> Replication | None:
    saved = notes.get("replication")
    return None if saved is None else Replication(**{**saved, "params_ids": tuple(saved["params_ids"])})


def _reading(saved: Mapping[str, Any]) -> Evaluation:
    return Evaluation(**{**saved, "trials": tuple(saved["trials"])})


def _changed(old: Any, new: Any) -> list[str]:
    """The names of the domains that differ between two spaces in JSON form."""
    before, after = (space_from_json(form) for form in (old, new))
    lines = set(before.describe()) ^ set(after.describe())
    return sorted({line.strip().split(":")[0].split(" ")[0] for line in lines}) or ["the order"]


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return objectives.words(value, " and ")
    if isinstance(value, Protocol):
        return ", ".join(f"{name} {part}" for name, part in value.to_dict().items())
    return str(value)

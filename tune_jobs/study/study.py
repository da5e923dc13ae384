"""The durable record of a search, on an Optuna storage: what finished here is never lost, run twice or counted twice.

By default a study is one journal file in the home folder, which measured several times faster than SQLite and outlives
a cut at any byte (benchmarks/storage.py, tests); any Optuna storage URL serves as well. One process writes a study at
a time (`locks.py`); anybody may read it meanwhile.

A trial is durable before it starts. Its result is written before its state: a trial found running with a result has
ended, one without was interrupted and runs again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from typing import Any, cast

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tune_jobs.errors import StudyError
from tune_jobs.records.studies import Evaluation, Launch, Replication, StudyRecord, StudyTerms, Transfer
from tune_jobs.records.trials import Lineage, State, TestResult, TrialRecord, TrialResult
from tune_jobs.search_spaces.one_factor import AnySpace, space_from_json
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.search_spaces.spelling import near
from tune_jobs.settings import Settings
from tune_jobs.study import checking, contents, journal
from tune_jobs.study.contents import StudyContent, TrialContent, note_of_test, plain
from tune_jobs.study.locks import Holder, StudyLock, lock_of
from tune_jobs.study.optuna_form import optuna_form
from tune_jobs.study.storage import journal_file, open_storage, study_id, study_names, writing

_STATES: dict[TrialState, State] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
}
_ENDED = {state: optuna_state for optuna_state, state in _STATES.items()}
_IMPORTING = "importing"  # noted before all else of a study that comes from a file, whose terms are noted last

optuna.logging.set_verbosity(optuna.logging.ERROR)


class Study:
    """One study: opened for reading with `open`, or for writing with `hold`."""

    def __init__(self, name: str, storage: BaseStorage, lock: StudyLock) -> None:
        self.name = name
        self._storage = storage
        self._lock = lock
        self._id = study_id(storage, name)
        self._is_begun = False  # once it is, it stays so: a database that is away is not asked when a hold ends
        self._ids: dict[int, int] = {}  # trial numbers to Optuna's trial ids
        self._clocks: dict[int, float] = {}  # by trials begun here, what the monotonic clock is ahead of their start
        self._sound: Mapping[str, Any] = {}  # the notes that were last found to be as they must
        self._ended: dict[int, TrialRecord] = {}  # records that do not change any more

    @classmethod
    def open(cls, name: str, settings: Settings) -> Study:
        """The study `name`, for reading.

        Raises:
            StudyError: if there is none, it was never begun, or its file is damaged.
        """
        names = study_names(settings)
        if name not in names:
            raise StudyError(f"no study named {name!r}{near(name, names)}. `tune-jobs studies` lists all")
        study = cls(name, open_storage(name, settings), lock_of(name, settings))
        if not study.has_begun:
            what = "was killed before it began: launch it again"
            if _IMPORTING in study._attributes:
                what = "is half there, for its import was killed: import it again"
            raise StudyError(f"study {name!r} {what}")
        return study

    @classmethod
    @contextmanager
    def hold(cls, name: str, settings: Settings) -> Iterator[Study]:
        """The study `name`, for writing, until the block ends; `begin` makes it where there is none yet.

        Raises:
            StudyError: if another process holds it, its file is damaged, or the name cannot be a file's.
        """
        contents.check_name(name)
        path = journal_file(name, settings)
        with writing(name, settings) as (server, lock), lock.hold():
            journal.cut_half_written_line(path)
            study = cls(name, server or open_storage(name, settings), lock)
            study._drop_half_import()
            try:
                yield study
            finally:
                if not study.has_begun:
                    study._drop_half_import()
                    path.unlink(missing_ok=True)

    def begin(self, terms: StudyTerms) -> None:
        """Makes the study on these terms, or holds them against those it was begun on.

        Raises:
            StudyError: if they differ; the message says in what.
        """
        self._make(terms.objective)
        if not self.has_begun:
            self._note("created", time.time())
            self._note("identity", uuid.uuid4().hex)
            self._note("terms", contents.note_of_terms(terms))
        self._is_begun = True
        difference = contents.difference(self.terms, terms)
        if difference:
            raise StudyError(f"study {self.name!r} was begun {difference}: start another with --study NAME")

    def import_content(self, content: StudyContent) -> None:
        """Makes the study of a content that `checking.check` has passed, under this study's own name. Whoever kills
        this leaves no study: the next to hold it drops what is there.

        Raises:
            StudyError: if there is one already, or Optuna cannot keep one of its trials.
        """
        terms = contents.terms_of(content.notes)
        if self.has_begun or (self._id is not None and self._storage.get_all_trials(self._id, deepcopy=False)):
            raise StudyError(f"there is another study {self.name!r} in this storage already")
        self._make(terms.objective)
        self._note(_IMPORTING, content.notes["identity"])
        space = space_from_json(terms.space)
        for number, trial in enumerate(content.trials):
            self._make_trial(number, trial, space)
        for name in sorted(content.notes, key=lambda name: (name == "terms", name)):
            self._note(name, content.notes[name])

    @property
    def terms(self) -> StudyTerms:
        return contents.terms_of(self._attributes)

    @property
    def identity(self) -> str:
        """What tells this study from every other, whatever its name."""
        return str(self._attributes["identity"])

    @property
    def has_begun(self) -> bool:
        self._is_begun = self._is_begun or "terms" in self._attributes
        return self._is_begun

    @property
    def _begun_id(self) -> int:
        assert self._id is not None, f"study {self.name} was not begun"
        return self._id

    @property
    def _attributes(self) -> dict[str, Any]:
        found = {} if self._id is None else dict(self._storage.get_study_user_attrs(self._id))
        if "terms" in found and found != self._sound:
            self._check(
                partial(checking.check_notes, {name: found[name] for name in found if contents.is_note(name)}), found
            )
            self._sound = found
        return found

    def _check(self, check: Callable[[], None], notes: Mapping[str, Any]) -> None:
        """A field more or less is another version's, for whom the rest may mean something else too."""
        try:
            check()
        except checking.ContentError as error:
            version = contents.version_of(notes)
            raise StudyError(
                f"study {self.name!r} was written by another version of tune-jobs ({version}), or is damaged "
                f"({error}): open it with that version, or restore it from a backup"
            ) from error

    def delete(self) -> None:
        """The study is no more, nor what was kept of it in its storage."""
        self._storage.delete_study(self._begun_id)
        self._id, self._is_begun = None, False

    def holder(self) -> Holder | None:
        """The process on this machine that writes the study now, if there is one."""
        return self._lock.holder()

    def record(self) -> StudyRecord:
        """A snapshot of the study and its trials."""
        attributes = self._attributes
        trials = self._storage.get_all_trials(self._begun_id, deepcopy=False)
        return contents.study_record(self.name, attributes, tuple(self._trial(trial) for trial in trials))

    def content(self) -> StudyContent:
        """All that is kept of the study, as it is now."""
        notes = {
            name: value for name, value in self._attributes.items() if contents.is_note(name)
        }  # before its trials:
        trials = self._storage.get_all_trials(self._begun_id, deepcopy=False)  # none of them is about a later one
        return StudyContent(self.name, notes, tuple(_content(trial) for trial in trials))

    def note_launch(self, launch: Launch) -> None:
        """How the study is run from now on."""
        self._note("launch", plain(launch))

    def note_replication(self, replication: Replication) -> None:
        """What is to be trained with further seeds."""
        self._note("replication", plain(replication))

    def note_transfers(self, transfers: Sequence[Transfer]) -> None:
        """What comes from other studies, with the places it has there now."""
        new = {(transfer.study, transfer.params_id): plain(transfer) for transfer in transfers}
        saved = {(old["study"], old["params_id"]): old for old in self._attributes.get("transfers", [])}
        self._note("transfers", list((saved | new).values()))

    def note_courses(self, courses: Mapping[int, Lineage]) -> None:
        """How the params of a population's trials go on."""
        saved = self._attributes.get("courses", {})
        new = {str(number): [plain(stretch) for stretch in course] for number, course in courses.items()}
        self._note("courses", saved | new)

    def note_reading(self, reading: Evaluation) -> None:
        """The test split is about to be read; durable when this returns."""
        self._note("readings", [*self._attributes.get("readings", ()), plain(reading)])

    def note_test(self, number: int, result: TestResult) -> None:
        """What a finished trial came to on the test split. The trial itself does not change any more, so this is the
        study's note."""
        self._note(note_of_test(number), plain(result))

    def add(self, space: AnySpace, params: Params, seed: int) -> TrialRecord:
        """A new trial, waiting; durable when this returns."""
        form = optuna_form(space, params)
        template = optuna.trial.create_trial(
            state=TrialState.WAITING,
            params=form.params,
            distributions=form.distributions,
            user_attrs={"params": dict(params), "seed": seed},
        )
        trial_id = self._storage.create_new_trial(self._begun_id, template_trial=template)
        number = self._storage.get_trial_number_from_id(trial_id)
        self._ids[number] = trial_id
        return TrialRecord(number=number, params=dict(params), seed=seed, state="waiting")

    def start(self, trial: TrialRecord) -> TrialRecord:
        """The trial begins on a worker, perhaps not for the first time."""
        trial_id = self._trial_id(trial.number)
        attempt = {"number": trial.attempts + 1, "started": time.time()}
        self._clocks[trial.number] = time.monotonic() - attempt["started"]  # before a write that may take its time
        self._storage.set_trial_user_attr(trial_id, "attempt", attempt)
        if trial.state == "waiting":
            self._storage.set_trial_state_values(trial_id, TrialState.RUNNING)
        return replace(trial, state="running", attempts=trial.attempts + 1, started=attempt["started"])

    def note_epoch(self, number: int, epoch: int, score: float) -> None:
        """A running trial's objective after an epoch, for those who watch from outside."""
        self._storage.set_trial_intermediate_value(self._trial_id(number), epoch, score)

    def finish(self, trial: TrialRecord, result: TrialResult, cpus: float) -> TrialRecord:
        """What became of a trial: its result first, then its state. It ended as long after its start as it took,
        whatever the machine's clock did meanwhile."""
        trial_id = self._trial_id(trial.number)
        ahead = self._clocks.pop(trial.number, None)
        finished = time.time() if ahead is None else time.monotonic() - ahead
        self._storage.set_trial_user_attr(trial_id, "result", {**asdict(result), "finished": finished, "cpus": cpus})
        self._settle(trial_id)
        return self._trial(self._storage.get_trial(trial_id))

    def unfinished(self) -> tuple[TrialRecord, ...]:
        """The trials to run again: interrupted or never started. One that has its result is settled here instead."""
        again, courses = [], contents.courses_of(self._attributes)
        for trial in self._storage.get_all_trials(self._begun_id, deepcopy=False):
            if trial.state.is_finished():
                continue
            if "result" in trial.user_attrs:
                self._settle(trial._trial_id)
            else:
                again.append(contents.with_course(self._trial(trial), courses))
        return tuple(again)

    def _make(self, objective: Objective) -> None:
        if self._id is None:
            direction = StudyDirection.MAXIMIZE if objective.direction == "maximize" else StudyDirection.MINIMIZE
            self._id = int(self._storage.create_new_study([direction], self.name))

    def _make_trial(self, number: int, trial: TrialContent, space: AnySpace) -> None:
        try:
            self._storage.create_new_trial(self._begun_id, template_trial=_frozen(space, trial))
        except (ValueError, TypeError, KeyError) as error:
            raise StudyError(f"trial {number} cannot be kept: {type(error).__name__}: {error}") from error

    def _drop_half_import(self) -> None:
        if self._id is not None and not self.has_begun and _IMPORTING in self._attributes:
            self._storage.delete_study(self._id)
            self._id = None

    def _note(self, key: str, value: Any) -> None:
        self._storage.set_study_user_attr(self._begun_id, key, value)

    def _settle(self, trial_id: int) -> None:
        result = self._storage.get_trial(trial_id).user_attrs["result"]
        value = _value(result)
        self._storage.set_trial_state_values(trial_id, _ENDED[result["state"]], None if value is None else [value])

    def _trial_id(self, number: int) -> int:
        if number not in self._ids:
            self._ids[number] = self._storage.get_trial_id_from_study_id_trial_number(self._begun_id, number)
        return self._ids[number]

    def _trial(self, trial: FrozenTrial) -> TrialRecord:
        if trial.number not in self._ended:
            content = _content(trial)
            self._check(partial(checking.check_types, content, f"trial {trial.number}"), self._sound)
            record = contents.trial_record(trial.number, content)
            if not record.is_finished:
                return record
            self._ended[trial.number] = record
        return self._ended[trial.number]


def _content(trial: FrozenTrial) -> TrialContent:
    attributes = trial.user_attrs
    return TrialContent(
        state=_STATES[trial.state],
        params=cast("Params", attributes.get("params")),  # one that has none is refused by who asked
        seed=cast("int", attributes.get("seed")),
        attempt=attributes.get("attempt"),
        result=attributes.get("result"),
        intermediate=dict(sorted(trial.intermediate_values.items())),
    )


def _frozen(space: AnySpace, trial: TrialContent) -> FrozenTrial:
    """The trial as Optuna keeps it. Its own times are those of the attempt and the result; nothing here reads them."""
    form = optuna_form(space, trial.params)
    attributes = {"params": dict(trial.params), "seed": trial.seed, "attempt": trial.attempt, "result": trial.result}
    state = _ENDED[trial.state]
    frozen = optuna.trial.create_trial(
        state=state,
        value=_value(trial.result) if trial.result is not None and state.is_finished() else None,
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


def _value(result: Mapping[str, Any]) -> float | None:
    """What Optuna takes for a trial's value."""
    return None if result["state"] == "failed" else result["score"]

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
from dataclasses import replace
from typing import Any, TypeVar

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tune_jobs import later_imports
from tune_jobs.decoding import ContentError
from tune_jobs.errors import StudyError
from tune_jobs.records.priors import Prior
from tune_jobs.records.studies import (
    Change,
    Evaluation,
    Launch,
    Replication,
    StudyRecord,
    StudyTerms,
    Transfer,
    terms_at,
)
from tune_jobs.records.trials import Lineage, RecordedResult, Spent, TestResult, TrialRecord, TrialResult
from tune_jobs.search_spaces.one_factor import AnySpace, space_from_json
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.search_spaces.spelling import near
from tune_jobs.settings import Settings
from tune_jobs.study import checking, contents, journal
from tune_jobs.study.contents import Notes, StudyContent, TrialContent, notes_of, plain
from tune_jobs.study.enqueued import Mailbox, waiting
from tune_jobs.study.locks import Holder, StudyLock, lock_of, user_name
from tune_jobs.study.optuna_form import stored_form
from tune_jobs.study.optuna_trials import content_of, frozen_trial, outcome_of
from tune_jobs.study.storage import journal_file, open_storage, study_id, study_names, writing
from tune_jobs.study.terms import change_of, note_of_change, note_of_terms, spaces_of

T = TypeVar("T")

_IMPORTING = "importing"  # noted before all else of a study that comes from a file, whose terms are noted last

optuna.logging.set_verbosity(optuna.logging.ERROR)


class Study:
    """One study: opened for reading with `open`, or for writing with `hold`."""

    def __init__(self, name: str, storage: BaseStorage, lock: StudyLock, mailbox: Mailbox) -> None:
        self.name = name
        self._mailbox = mailbox
        self._storage = storage
        self._lock = lock
        self._id = study_id(storage, name)
        self._is_begun = False  # once it is, it stays so: a database that is away is not asked when a hold ends
        self._ids: dict[int, int] = {}  # Optuna's trial ids by trial numbers
        self._start_offsets: dict[int, float] = {}  # of trials begun here: the monotonic clock less the start's time
        self._last_notes: tuple[Mapping[str, Any], Notes] | None = None  # as stored, and as read
        self._compared_notes: Notes | None = None  # with the trials that they are about
        self._finished: dict[int, TrialRecord] = {}  # records that do not change any more

    @classmethod
    def open(cls, name: str, settings: Settings) -> Study:
        """Open the study `name` for reading.

        Raises:
            StudyError: there is none, it was never begun, or its file is damaged.
        """
        names = study_names(settings)
        if name not in names:
            raise StudyError(f"no study named {name!r}{near(name, names)}. `tune-jobs studies` lists all")
        study = cls(name, open_storage(name, settings), lock_of(name, settings), Mailbox(name, settings))
        if not study.has_begun:
            what = "was killed before it began: launch it again"
            if _IMPORTING in study._attributes:
                what = "is half there, for its import was killed: import it again"
            raise StudyError(f"study {name!r} {what}")
        return study

    @classmethod
    @contextmanager
    def hold(cls, name: str, settings: Settings) -> Iterator[Study]:
        """Open the study `name` for writing until the block ends; `begin` makes it where there is none yet.

        Raises:
            StudyError: another process holds it, its file is damaged, or the name cannot be a file's.
        """
        contents.check_name(name)
        path = journal_file(name, settings)
        with writing(name, settings) as (server, lock), lock.hold():
            journal.mend_end(path)
            study = cls(name, server or open_storage(name, settings), lock, Mailbox(name, settings))
            study._drop_half_import()
            try:
                yield study
                if server is None and study.has_begun:
                    study._keep_copy()
            finally:
                if not study.has_begun:
                    study._drop_half_import()
                    path.unlink(missing_ok=True)

    def begin(self, terms: StudyTerms, why: str = "") -> Change | None:
        """Make the study on these terms, or compare them with those it was last launched on.

        With another space it goes on. What changes the meaning of scores needs a reason, `why`: then it goes on as a
        new version. Return what changed, if anything did.

        Raises:
            StudyError: scores would mean something else, and there is no reason; the message says in what they differ.
        """
        self._make(terms.objective)
        if not self.has_begun:
            self._note("created", time.time())
            self._note("identity", uuid.uuid4().hex)
            self._note("terms", note_of_terms(terms))
        self._is_begun = True
        change = change_of(self.name, self.terms, terms, why)
        if change is not None:
            number = len(self._storage.get_all_trials(self._begun_id, deepcopy=False))
            unfinished = tuple(trial.number for trial in self.unfinished()) if change.is_version else ()
            change = replace(change, first=number, unfinished=unfinished)
            self._note("changes", [*self._attributes.get("changes", ()), note_of_change(change)])
        return change

    def import_content(self, content: StudyContent) -> None:
        """Make the study of a content that `checking.check` has passed, under this study's own name. If interrupted,
        the next writer removes the half-written study.

        Raises:
            StudyError: there is one already, or Optuna cannot keep one of its trials.
        """
        notes = notes_of(content.notes)
        terms = notes.terms
        if self.has_begun or (self._id is not None and self._storage.get_all_trials(self._id, deepcopy=False)):
            raise StudyError(f"there is another study {self.name!r} in this storage already")
        self._make(terms.objective)
        self._note(_IMPORTING, content.notes["identity"])
        for number, trial in enumerate(content.trials):
            self._make_trial(number, trial, notes)
        for name in sorted(content.notes, key=lambda name: (name == "terms", name)):
            self._note(name, content.notes[name])

    @property
    def terms(self) -> StudyTerms:
        """The terms on which the study goes on."""
        return self._notes.last_terms

    @property
    def identity(self) -> str:
        """What tells this study from every other, whatever its name."""
        return self._notes.identity

    @property
    def has_begun(self) -> bool:
        self._is_begun = self._is_begun or "terms" in self._attributes
        return self._is_begun

    def delete(self) -> None:
        """Delete the study from its storage."""
        self._storage.delete_study(self._begun_id)
        self._id, self._is_begun = None, False

    def holder(self) -> Holder | None:
        """Return the process on this machine that writes the study now, if there is one."""
        return self._lock.holder()

    def record(self) -> StudyRecord:
        """Return a snapshot of the study and the trials of its last version."""
        return self.history().of_version()

    def history(self) -> StudyRecord:
        """Return a snapshot of the study and all its trials, those of earlier versions too."""
        notes = self._notes  # before the trials: no note is about a later one
        trials = self._storage.get_all_trials(self._begun_id, deepcopy=False)
        with later_imports.without_collections():
            record = contents.study_record(self.name, notes, tuple(self._record_of(trial) for trial in trials))
        if notes is not self._compared_notes:
            self._read(lambda: checking.check_notes_on_trials(notes, record), self._attributes)
            self._compared_notes = notes
        return record

    def content(self) -> StudyContent:
        """Return all that is kept of the study, as it is now, with the points that wait."""
        notes = contents.only_notes(self._attributes)  # before the trials, as above
        trials = self._storage.get_all_trials(self._begun_id, deepcopy=False)
        enqueued = plain(self.enqueued())
        notes = {name: note for name, note in notes.items() if name != "enqueued"}
        notes |= {"enqueued": enqueued} if enqueued else {}
        return StudyContent(self.name, notes, tuple(content_of(trial) for trial in trials))

    def unfinished(self) -> tuple[TrialRecord, ...]:
        """Return the trials to run again: interrupted or never started. One that has its result is settled here
        instead."""
        again, notes = [], self._notes
        for trial in self._storage.get_all_trials(self._begun_id, deepcopy=False):
            if trial.state.is_finished():
                continue
            if "result" in trial.user_attrs:
                self._settle(trial._trial_id)
            else:
                again.append(contents.with_notes(self._record_of(trial), notes))
        return tuple(again)

    def enqueue(self, points: Sequence[Params]) -> None:
        """Hand points to whoever runs the study, which nobody has to hold for that; durable when this returns.

        Raises:
            StudyError: they cannot be written.
        """
        self._mailbox.add(self.identity, points)

    @property
    def handed(self) -> tuple[Params, ...]:
        """All points that were handed to the study, whether trials have them or not, in their order; without those that
        an earlier version of the study had tried when this one began.

        Raises:
            StudyError: they are damaged, or cannot be read.
        """
        notes = self._notes
        versions = [change for change in notes.changes if change.is_version]
        if not versions:
            return (*notes.enqueued, *self._mailbox.points(notes.identity))
        history = self.history()
        mine = {trial.number for trial in history.of_version().trials}
        tried = {trial.params_id for trial in history.trials if trial.number not in mine}
        points = self._mailbox.points(notes.identity, versions[-1].at, tried)
        return (*waiting(notes.enqueued, tried), *points)

    def enqueued(self) -> tuple[Params, ...]:
        """Return the points that wait: those that were handed to the study and that no trial of it has.

        Raises:
            StudyError: as `handed`.
        """
        points = self.handed
        return waiting(points, (trial.params_id for trial in self.record().trials)) if points else ()

    def note_launch(self, launch: Launch) -> None:
        """Note how the study is run from now on."""
        self._note("launch", contents.note_of_launch(launch))

    def note_prior(self, prior: Prior | None) -> None:
        """Note what the study takes over from another."""
        self._note("prior", plain(prior))

    def note_replication(self, replication: Replication) -> None:
        """Note what is to be trained with further seeds."""
        self._note("replication", contents.note_of_replication(replication))

    def note_transfers(self, transfers: Sequence[Transfer]) -> None:
        """Note what comes from other studies, with the places it has there now."""
        new = {(transfer.study, transfer.params_id): plain(transfer) for transfer in transfers}
        saved = {(old["study"], old["params_id"]): old for old in self._attributes.get("transfers", [])}
        self._note("transfers", list((saved | new).values()))

    def note_courses(self, courses: Mapping[int, Lineage]) -> None:
        """Note how the params of a population's trials go on."""
        saved = self._attributes.get("courses", {})
        self._note("courses", saved | {str(number): plain(course) for number, course in courses.items()})

    def note_evaluation(self, evaluation: Evaluation) -> None:
        """Note that the test split is about to be read; durable when this returns."""
        self._note("readings", [*self._attributes.get("readings", ()), plain(evaluation)])

    def note_test(self, number: int, result: TestResult) -> None:
        """Note what a finished trial reached on the test split. The trial itself does not change any more, so this is
        the study's note."""
        self._note(contents.note_of_test(number), plain(result))

    def add(self, space: AnySpace, params: Params, seed: int) -> TrialRecord:
        """Add a trial, waiting; durable when this returns."""
        form = stored_form(space, params, spaces_of(self._notes.terms, self._notes.changes))
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

    def start(self, trial: TrialRecord, place: str | None = None) -> TrialRecord:
        """Start the trial, perhaps not for the first time; `place` is where it runs, in words."""
        trial_id = self._trial_id(trial.number)
        attempts, started = trial.attempts + 1, time.time()
        self._start_offsets[trial.number] = time.monotonic() - started  # before a write that may take its time
        attempt = {"number": attempts, "started": started} | ({} if place is None else {"place": place})
        self._storage.set_trial_user_attr(trial_id, "attempt", attempt)
        if trial.state == "waiting":
            self._storage.set_trial_state_values(trial_id, TrialState.RUNNING)
        return replace(trial, state="running", attempts=attempts, started=started, place=place)

    def note_epoch(self, number: int, epoch: int, score: float) -> None:
        """Note a running trial's objective after an epoch, for those who watch from outside."""
        self._storage.set_trial_intermediate_value(self._trial_id(number), epoch, score)

    def finish(
        self, trial: TrialRecord, result: TrialResult, cpus: float, gpus: int | None = None, spent: Spent | None = None
    ) -> TrialRecord:
        """Write a trial's result, then its state. Its time is the monotonic clock's: the other may be set meanwhile."""
        trial_id = self._trial_id(trial.number)
        offset = self._start_offsets.pop(trial.number, None)
        finished = time.time() if offset is None else time.monotonic() - offset
        user = None if spent is None else user_name()
        more: dict[str, Any] = {"finished": finished, "cpus": cpus, "gpus": gpus, "user": user, "spent": spent}
        recorded = RecordedResult(**vars(result), **more)
        self._storage.set_trial_user_attr(trial_id, "result", contents.note_of_result(recorded))
        self._settle(trial_id)
        return self._record_of(self._storage.get_trial(trial_id))

    @property
    def _begun_id(self) -> int:
        assert self._id is not None, f"study {self.name} was not begun"
        return self._id

    @property
    def _attributes(self) -> dict[str, Any]:
        """What is stored of the study beside its trials."""
        return {} if self._id is None else dict(self._storage.get_study_user_attrs(self._id))

    @property
    def _notes(self) -> Notes:
        """The notes, checked again only where they have changed."""
        values = contents.only_notes(self._attributes)
        if self._last_notes is None or self._last_notes[0] != values:
            self._last_notes = values, self._read(lambda: checking.read_notes(values), values)
        return self._last_notes[1]

    def _read(self, read: Callable[[], T], notes: Mapping[str, Any]) -> T:
        """Read what is stored."""
        try:
            return read()
        except ContentError as error:
            raise StudyError(contents.why_unreadable(self.name, notes, error)) from error

    def _record_of(self, trial: FrozenTrial) -> TrialRecord:
        if trial.number in self._finished:
            return self._finished[trial.number]
        values, notes = ({}, self._notes) if self._last_notes is None else self._last_notes
        record = self._read(lambda: checking.read_trial(trial.number, content_of(trial), notes), values)
        if record.is_finished:
            self._finished[trial.number] = record
        return record

    def _make(self, objective: Objective) -> None:
        if self._id is None:
            direction = StudyDirection.MAXIMIZE if objective.direction == "maximize" else StudyDirection.MINIMIZE
            self._id = int(self._storage.create_new_study([direction], self.name))

    def _make_trial(self, number: int, trial: TrialContent, notes: Notes) -> None:
        space = space_from_json(terms_at(notes.terms, notes.changes, number).space)
        try:
            form = stored_form(space, trial.params, spaces_of(notes.terms, notes.changes))
            self._storage.create_new_trial(self._begun_id, template_trial=frozen_trial(form, trial))
        except (ValueError, TypeError, KeyError) as error:
            raise StudyError(f"trial {number} cannot be kept: {type(error).__name__}: {error}") from error

    def _drop_half_import(self) -> None:
        if self._id is not None and not self.has_begun and _IMPORTING in self._attributes:
            self._storage.delete_study(self._id)
            self._id = None

    def _keep_copy(self) -> None:
        """Keep what the study is nothing without once more, far from the beginning of its file."""
        attributes = self._attributes
        copy = {name: attributes[name] for name in contents.COPIED if name in attributes}
        if attributes.get(contents.COPY) != copy:
            self._note(contents.COPY, copy)

    def _note(self, key: str, value: Any) -> None:
        self._storage.set_study_user_attr(self._begun_id, key, value)

    def _settle(self, trial_id: int) -> None:
        """Write the state that a trial's result has."""
        state, value = outcome_of(self._storage.get_trial(trial_id).user_attrs["result"])
        self._storage.set_trial_state_values(trial_id, state, None if value is None else [value])

    def _trial_id(self, number: int) -> int:
        if number not in self._ids:
            self._ids[number] = self._storage.get_trial_id_from_study_id_trial_number(self._begun_id, number)
        return self._ids[number]

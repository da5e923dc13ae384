"""The durable record of a search, on an Optuna storage: what finished here is never lost, run twice or counted twice.

By default a study is one journal file in the home folder, which measured several times faster than SQLite and outlives
a cut at any byte (benchmarks/storage.py, tests); any Optuna storage URL serves as well. One process writes a study at
a time (`locks.py`); anybody may read it meanwhile.

A trial is durable before it starts. Its result is written before its state: a trial found running with a result has
ended, one without was interrupted and runs again.
"""

from __future__ import annotations

import functools
import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search_spaces.domains import Params
from search_spaces.one_factor import AnySpace, space_from_json
from search_spaces.spelling import near
from search_spaces.task import Objective, Protocol
from tune_jobs.errors import StudyError
from tune_jobs.locks import Holder, StudyLock
from tune_jobs.records import (
    Launch,
    Reading,
    Replication,
    State,
    StudyRecord,
    StudyTerms,
    TestResult,
    Transfer,
    TrialRecord,
)
from tune_jobs.sampling import optuna_form
from tune_jobs.settings import Settings
from tune_jobs.trial import TrialResult

_STATES: dict[TrialState, State] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
}
_ENDED = {state: optuna_state for optuna_state, state in _STATES.items()}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

optuna.logging.set_verbosity(optuna.logging.ERROR)


def study_names(settings: Settings) -> tuple[str, ...]:
    """The studies there are, in alphabetical order; in a database, those that were begun here, of all it holds."""
    if settings.storage is not None:
        studies = _server(settings.storage).get_all_studies()
        return tuple(sorted(study.study_name for study in studies if "terms" in study.user_attrs))
    return tuple(sorted(path.stem for path in settings.studies_dir.glob("*.journal") if _is_written(path)))


class Study:
    """One study: opened for reading with `open`, or for writing with `hold`."""

    def __init__(self, name: str, storage: BaseStorage, lock: StudyLock) -> None:
        self.name = name
        self._storage = storage
        self._lock = lock
        self._id = _study_id(storage, name)
        self._ids: dict[int, int] = {}  # trial numbers to Optuna's trial ids
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
        study = cls(name, _storage(name, settings), _lock(name, settings))
        if not study.has_begun:
            raise StudyError(f"study {name!r} was killed before it began: launch it again")
        return study

    @classmethod
    @contextmanager
    def hold(cls, name: str, settings: Settings) -> Iterator[Study]:
        """The study `name`, for writing, until the block ends; `begin` makes it where there is none yet.

        Raises:
            StudyError: if another process holds it, its file is damaged, or the name cannot be a file's.
        """
        if not _NAME.fullmatch(name):
            raise StudyError(f"a study's name is letters, digits, '.', '_' and '-', at most 100; got {name!r}")
        path = _journal(name, settings)
        lock = _lock(name, settings)
        server = None if settings.storage is None else _server(settings.storage)  # before its lock: it may not answer
        with lock.hold():
            _cut_half_written_line(path)
            study = cls(name, server or _storage(name, settings), lock)
            try:
                yield study
            finally:
                if not study.has_begun:
                    path.unlink(missing_ok=True)

    def begin(self, terms: StudyTerms) -> None:
        """Makes the study on these terms, or holds them against those it was begun on.

        Raises:
            StudyError: if they differ; the message says in what.
        """
        if self._id is None:
            maximize = terms.objective.direction == "maximize"
            direction = StudyDirection.MAXIMIZE if maximize else StudyDirection.MINIMIZE
            self._id = int(self._storage.create_new_study([direction], self.name))
        if not self.has_begun:
            self._note("created", time.time())
            self._note("identity", uuid.uuid4().hex)
            self._note("terms", _plain(terms))
        difference = _difference(self.terms, terms)
        if difference:
            raise StudyError(f"study {self.name!r} was begun {difference}: start another with --study NAME")

    @property
    def terms(self) -> StudyTerms:
        return _terms(self._attributes["terms"])

    @property
    def has_begun(self) -> bool:
        return "terms" in self._attributes

    @property
    def _begun_id(self) -> int:
        assert self._id is not None, f"study {self.name} was not begun"
        return self._id

    @property
    def _attributes(self) -> dict[str, Any]:
        return {} if self._id is None else dict(self._storage.get_study_user_attrs(self._id))

    def holder(self) -> Holder | None:
        """The process on this machine that writes the study now, if there is one."""
        return self._lock.holder()

    def record(self) -> StudyRecord:
        """A snapshot of the study and its trials."""
        attributes = self._attributes
        trials = self._storage.get_all_trials(self._begun_id, deepcopy=False)
        return StudyRecord(
            name=self.name,
            terms=_terms(attributes["terms"]),
            identity=attributes["identity"],
            launch=Launch(**attributes["launch"]) if "launch" in attributes else None,
            created=attributes["created"],
            trials=tuple(_with_test(self._trial(trial), attributes) for trial in trials),
            replication=_replication(attributes),
            transfers=tuple(Transfer(**saved) for saved in attributes.get("transfers", ())),
            readings=tuple(_reading(saved) for saved in attributes.get("readings", ())),
        )

    def note_launch(self, launch: Launch) -> None:
        """How the study is run from now on."""
        self._note("launch", _plain(launch))

    def note_replication(self, replication: Replication) -> None:
        """What is to be trained with further seeds."""
        self._note("replication", _plain(replication))

    def note_transfers(self, transfers: Sequence[Transfer]) -> None:
        """What comes from other studies, with the places it has there now."""
        new = {(transfer.study, transfer.params_id): _plain(transfer) for transfer in transfers}
        saved = {(old["study"], old["params_id"]): old for old in self._attributes.get("transfers", [])}
        self._note("transfers", list((saved | new).values()))

    def note_reading(self, reading: Reading) -> None:
        """The test split is about to be read; durable when this returns."""
        self._note("readings", [*self._attributes.get("readings", ()), _plain(reading)])

    def note_test(self, number: int, result: TestResult) -> None:
        """What a finished trial came to on the test split. The trial itself does not change any more, so this is the
        study's note."""
        self._note(f"test:{number}", _plain(result))

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
        self._storage.set_trial_user_attr(trial_id, "attempt", attempt)
        if trial.state == "waiting":
            self._storage.set_trial_state_values(trial_id, TrialState.RUNNING)
        return replace(trial, state="running", attempts=trial.attempts + 1, started=attempt["started"])

    def note_epoch(self, number: int, epoch: int, score: float) -> None:
        """A running trial's objective after an epoch, for those who watch from outside."""
        self._storage.set_trial_intermediate_value(self._trial_id(number), epoch, score)

    def finish(self, trial: TrialRecord, result: TrialResult, cpus: float) -> TrialRecord:
        """What became of a trial: its result first, then its state."""
        trial_id = self._trial_id(trial.number)
        self._storage.set_trial_user_attr(trial_id, "result", {**asdict(result), "finished": time.time(), "cpus": cpus})
        self._settle(trial_id)
        return self._trial(self._storage.get_trial(trial_id))

    def unfinished(self) -> tuple[TrialRecord, ...]:
        """The trials to run again: interrupted or never started. One that has its result is settled here instead."""
        again = []
        for trial in self._storage.get_all_trials(self._begun_id, deepcopy=False):
            if trial.state.is_finished():
                continue
            if "result" in trial.user_attrs:
                self._settle(trial._trial_id)
            else:
                again.append(self._trial(trial))
        return tuple(again)

    def _note(self, key: str, value: Any) -> None:
        self._storage.set_study_user_attr(self._begun_id, key, value)

    def _settle(self, trial_id: int) -> None:
        result = self._storage.get_trial(trial_id).user_attrs["result"]
        score = result["score"]
        state = _ENDED[result["state"]]
        values = [score] if score is not None and state != TrialState.FAIL else None
        self._storage.set_trial_state_values(trial_id, state, values)

    def _trial_id(self, number: int) -> int:
        if number not in self._ids:
            self._ids[number] = self._storage.get_trial_id_from_study_id_trial_number(self._begun_id, number)
        return self._ids[number]

    def _trial(self, trial: FrozenTrial) -> TrialRecord:
        if trial.number not in self._ended:
            record = _record(trial)
            if not record.is_finished:
                return record
            self._ended[trial.number] = record
        return self._ended[trial.number]


def _record(trial: FrozenTrial) -> TrialRecord:
    attributes = trial.user_attrs
    attempt = attributes.get("attempt", {})
    result: dict[str, Any] = attributes.get("result", {})
    history = tuple(result.get("history", ())) or tuple(
        {"score": value} for _, value in sorted(trial.intermediate_values.items())
    )
    return TrialRecord(
        number=trial.number,
        params=attributes["params"],
        seed=attributes["seed"],
        state=_STATES[trial.state],
        attempts=attempt.get("number", 0),
        started=attempt.get("started"),
        history=history,
        metrics=result.get("metrics", {}),
        **{name: result.get(name) for name in _RESULT_FIELDS},
    )


_RESULT_FIELDS = ("score", "best_epoch", "reason", "message", "finished", "train_seconds", "weights", "errors", "cpus")


def _with_test(trial: TrialRecord, attributes: Mapping[str, Any]) -> TrialRecord:
    saved = attributes.get(f"test:{trial.number}")
    return trial if saved is None else replace(trial, tested=TestResult(**saved))


def _replication(attributes: Mapping[str, Any]) -> Replication | None:
    saved = attributes.get("replication")
    return None if saved is None else Replication(**{**saved, "params_ids": tuple(saved["params_ids"])})


def _reading(saved: Mapping[str, Any]) -> Reading:
    return Reading(**{**saved, "trials": tuple(saved["trials"])})


def _terms(saved: Mapping[str, Any]) -> StudyTerms:
    return StudyTerms(
        **{**saved, "objective": Objective(**saved["objective"]), "protocol": Protocol(**saved["protocol"])}
    )


def _difference(begun: StudyTerms, now: StudyTerms) -> str | None:
    """The first thing that is not what the study was begun on, in words; None where nothing is."""
    named = {
        "task": "for task {}, and this is {}",
        "dataset": "on dataset {}, and this task's is {}",
        "data_digest": "on data {}, and they are now {}",
        "objective": "with the objective {}, and it is now {}",
        "protocol": "with the protocol {}, and it is now {}",
        "space": "with another search space than {} (see `tune-jobs show`); what differs: {}",
        "task_digest": "on version {} of its task, which is now {}",
        "seed": "with --seed {}, and this asks for {}",
    }
    for name, words in named.items():
        old, new = _plain(getattr(begun, name)), _plain(getattr(now, name))
        if old != new:
            if name == "space":
                return words.format("this", ", ".join(_changed(old, new)))
            return words.format(_words(getattr(begun, name)), _words(getattr(now, name)))
    return None


def _changed(old: Any, new: Any) -> list[str]:
    """The names of the domains that differ between two spaces in JSON form."""
    before, after = (space_from_json(form) for form in (old, new))
    lines = set(before.describe()) ^ set(after.describe())
    return sorted({line.strip().split(":")[0].split(" ")[0] for line in lines}) or ["the order"]


def _words(value: Any) -> str:
    if isinstance(value, Objective):
        return f"{value.direction} {value.metric}"
    if isinstance(value, Protocol):
        return ", ".join(f"{name} {part}" for name, part in asdict(value).items())
    return str(value)


def _plain(value: Any) -> Any:
    """As JSON gives it back: tuples become lists, dataclasses mappings."""
    if hasattr(value, "__dataclass_fields__"):
        value = asdict(value)
    return json.loads(json.dumps(value))


class _Alone(JournalFileOpenLock):
    """No lock of its own: whoever appends holds the whole study already. Optuna's own is a file that a killed process
    leaves behind, and the next one then waits 30 s for it."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _journal(name: str, settings: Settings) -> Path:
    return settings.studies_dir / f"{name}.journal"


def _lock(name: str, settings: Settings) -> StudyLock:
    """Beside the study: in the home folder, or beside the SQLite file that several homes may share."""
    if settings.storage is not None and settings.storage.startswith("sqlite:///"):
        file = Path(settings.storage.removeprefix("sqlite:///"))
        return StudyLock(name, file.with_name(f"{file.name}.{name}.lock"))
    return StudyLock(name, settings.studies_dir / f"{name}.lock", settings.storage)


def _storage(name: str, settings: Settings) -> BaseStorage:
    if settings.storage is not None:
        return _server(settings.storage)
    path = _journal(name, settings)
    try:
        storage = JournalStorage(JournalFileBackend(str(path), lock_obj=_Alone(str(path))))
    except OSError as error:
        raise StudyError(f"the study file {path} cannot be read: {error.strerror}") from error
    except Exception as error:  # whatever Optuna trips over in a line that is not as it wrote it
        why = f"{type(error).__name__}: {error}"
        raise StudyError(
            f"the study file {path} is damaged ({why}): restore it from a backup, or move it away"
        ) from error
    for other in storage.get_all_studies():
        if other.study_name != name:  # a copy or a file renamed: another study must not be begun inside it
            raise StudyError(f"the study file {path} is that of study {other.study_name!r}: give it that name again")
    return storage


@functools.cache
def _server(url: str) -> BaseStorage:
    """Connected to once in a process: each connection takes a tenth of a second, and one that is dropped stays open."""
    try:
        return RDBStorage(url)
    except ImportError as error:
        raise StudyError(
            f"the storage {without_password(url)} needs a driver that is not installed: {error}"
        ) from error
    except Exception as error:  # whatever its driver raises: refused, unknown host, wrong password, no such database
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise StudyError(f"the storage {without_password(url)} does not answer: {first}") from error


def without_password(url: str) -> str:
    """A storage URL as it may be shown; a password may stand before the host, without a user too, or in the query."""
    return re.sub(r"(password=)[^&]*", r"\1***", re.sub(r"(://[^:/@]*):.*@", r"\1:***@", url))


def _study_id(storage: BaseStorage, name: str) -> int | None:
    try:
        return int(storage.get_study_id_from_name(name))
    except KeyError:
        return None


def _is_written(path: Path) -> bool:
    """Whether anything is in a journal: it is empty while a launch has not begun its study, and may be gone after."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _cut_half_written_line(path: Path) -> None:
    """Cuts a journal back to its last whole line: what a killed process appends next would be glued to the half one
    and lost with it. The half line was never acknowledged, so nothing finished goes with it."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        content_end = file.seek(0, 2)
        position = content_end
        while position > 0:
            start = max(0, position - 65536)
            file.seek(start)
            newline = file.read(position - start).rfind(b"\n")
            if newline >= 0:
                file.truncate(start + newline + 1)
                return
            position = start
        file.truncate(0)

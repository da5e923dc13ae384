"""A study as an Optuna study that can be read but not written: for Optuna's plots, importances and dashboard.

It follows the study as that grows. A parameter that exists only under an option has that option in its name, as in
`adam/learning_rate`.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from tune_jobs.records import objectives
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces.one_factor import space_from_json
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.settings import Settings
from tune_jobs.study.optuna_form import OptunaForm, optuna_form
from tune_jobs.study.storage import open_storage
from tune_jobs.study.study import Study
from tune_jobs.study.unwritable import UnwritableStorage

OptunaStudy = optuna.study.Study  # these two for those who may not import Optuna
OptunaTrial = FrozenTrial

_METRIC_NAMES = "study:metric_names"  # under which Optuna keeps what its plots call the objectives


def optuna_study(name: str, settings: Settings) -> OptunaStudy:
    """Return a read-only Optuna study of the study `name`.

    Raises:
        StudyError: if there is no such study; or, later, when something is written to it.
    """
    study = Study.open(name, settings)
    return optuna.load_study(study_name=name, storage=ReadOnlyStorage(study, open_storage(name, settings)))


@dataclass(frozen=True)
class Snapshot:
    """The trials of a study, as Optuna knows them, as they were when its record was read."""

    record: StudyRecord
    trials: tuple[FrozenTrial, ...]
    _part: Callable[[Sequence[FrozenTrial]], OptunaStudy]

    @classmethod
    def of(cls, record: StudyRecord, settings: Settings) -> Snapshot:
        """Take a snapshot.

        Raises:
            StudyError: there is no such study any more.
        """
        storage = ReadOnlyStorage(Study.open(record.name, settings), open_storage(record.name, settings))
        return cls(record, tuple(storage.trials_of(record)), storage.part)

    @classmethod
    def of_record(cls, record: StudyRecord) -> Snapshot:
        """Take a snapshot of a study of one objective that no storage has, such as one in a file: of those of its
        complete trials that are in its space."""
        space = space_from_json(record.terms.space)
        complete = [trial for trial in record.trials if trial.state == "complete"]
        inside = tuple(trial for trial in complete if space.why_not(trial.params) is None)
        trials = tuple(_complete_trial(trial, optuna_form(space, trial.params)) for trial in inside)
        part = functools.partial(_in_memory, record.terms.objective.direction)
        return cls(replace(record, trials=inside), trials, part)

    def study(self, trials: Sequence[FrozenTrial]) -> OptunaStudy:
        """Return an Optuna study of these trials alone, in which one may be several times."""
        return self._part(trials)


def _complete_trial(trial: TrialRecord, form: OptunaForm) -> FrozenTrial:
    frozen = optuna.trial.create_trial(params=form.params, distributions=form.distributions, value=trial.score)
    frozen.number = trial.number
    return frozen


def _in_memory(direction: Literal["maximize", "minimize"], trials: Sequence[FrozenTrial]) -> OptunaStudy:
    study = optuna.create_study(direction=direction)
    study.add_trials(trials)
    return study


class ReadOnlyStorage(UnwritableStorage):
    """The Optuna storage of one study, with the values of all its objectives, in which nothing can be changed.

    A trial's user attributes are its seed and the metrics of its best epoch.
    """

    def __init__(self, study: Study, storage: BaseStorage) -> None:
        self._study, self._storage = study, storage
        self._objectives = study.terms.objectives

    def get_study_id_from_name(self, study_name: str) -> int:
        return self._storage.get_study_id_from_name(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._storage.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        maximize, minimize = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
        return [maximize if objective.direction == "maximize" else minimize for objective in self._objectives]

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        terms = self._study.terms
        return {"task": terms.task, "dataset": terms.dataset, "seed": terms.seed}

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return {_METRIC_NAMES: [objective.metric for objective in self._objectives]}

    def get_all_studies(self) -> list[FrozenStudy]:
        name = self._study.name
        study_id = self.get_study_id_from_name(name)
        user, system = self.get_study_user_attrs(study_id), self.get_study_system_attrs(study_id)
        return [FrozenStudy(name, None, user, system, study_id, directions=self.get_study_directions(study_id))]

    def get_trial(self, trial_id: int) -> FrozenTrial:
        trial = self._storage.get_trial(trial_id)
        return self._shown(trial, self._study.history().trial(trial.number))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        trials = self._storage.get_all_trials(study_id, deepcopy=False)
        record = self._study.record()  # after the trials, so that it has each of them
        shown = self._of_version(trials, record)
        return [trial for trial in shown if states is None or trial.state in states]

    def trials_of(self, record: StudyRecord) -> list[FrozenTrial]:
        """Return the trials as they were when the record was read."""
        stored = self._storage.get_all_trials(self.get_study_id_from_name(record.name), deepcopy=False)
        return self._of_version(stored, record)

    def _of_version(self, stored: Sequence[FrozenTrial], record: StudyRecord) -> list[FrozenTrial]:
        """Return the trials that a record knows of: those of other versions of the study as failed, for Optuna finds
        trials by their numbers."""
        known = {trial.number: trial for trial in record.trials}
        if not record.changes:
            return [self._shown(trial, known[trial.number]) for trial in stored if trial.number in known]
        return [
            _in_space(self._shown(trial, known[trial.number]), known[trial.number].params, record)
            if trial.number in known
            else _set_aside(trial, record)
            for trial in stored
        ]

    def part(self, trials: Sequence[FrozenTrial]) -> OptunaStudy:
        """Return an Optuna study of these trials alone."""
        return optuna.load_study(study_name=self._study.name, storage=_PartStorage(self._study, self._storage, trials))

    def remove_session(self) -> None:
        self._storage.remove_session()

    def _shown(self, stored: FrozenTrial, record: TrialRecord) -> FrozenTrial:
        trial = copy.copy(stored)
        trial.user_attrs = {"seed": record.seed, **record.metrics}
        if record.result is not None:  # while a trial is trained, its last epoch is not stored
            metric, history = self._objectives[0].metric, enumerate(record.history, start=1)
            trial.intermediate_values = {epoch: metrics[metric] for epoch, metrics in history if metric in metrics}
        if record.reason is not None:
            trial.user_attrs |= {"reason": record.reason, "message": record.message}
        if trial.state == TrialState.COMPLETE:
            values = [objectives.value(record, objective) for objective in self._objectives]
            trial.values = [record.score, *values[1:]]
        elif len(self._objectives) > 1:
            trial.values = None
        return trial

    def refusal(self) -> str:
        name = self._study.name
        return (
            f"the Optuna study of {name!r} can only be read: to run more trials, call "
            f"tune_jobs.open({name!r}).extend(10) or run `tune-jobs extend {name} --trials +10`"
        )


class _PartStorage(ReadOnlyStorage):
    """The storage of chosen trials of a study, which does not follow it as it grows."""

    def __init__(self, study: Study, storage: BaseStorage, trials: Sequence[FrozenTrial]) -> None:
        super().__init__(study, storage)
        self._trials = [_with_id(trial, trial_id) for trial_id, trial in enumerate(trials)]

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self._trials[trial_id]

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return [trial for trial in self._trials if states is None or trial.state in states]


def _set_aside(stored: FrozenTrial, record: StudyRecord) -> FrozenTrial:
    """Return a trial of another version, whose score does not compare."""
    trial = copy.copy(stored)
    trial.state, trial.values = TrialState.FAIL, None
    trial.user_attrs = {"version": record.version_of(trial.number)}
    return trial


def _in_space(trial: FrozenTrial, params: Params, record: StudyRecord) -> FrozenTrial:
    """Return the trial with its params in the space that the study has now; what is outside of it is left out."""
    form = optuna_form(space_from_json(record.terms.space), params)
    trial.distributions = form.distributions
    trial.params = form.params
    return trial


def _with_id(trial: FrozenTrial, trial_id: int) -> FrozenTrial:
    """Return the trial under an id of its own; its number stays."""
    trial = copy.copy(trial)
    trial._trial_id = trial_id
    return trial

"""All studies of a home as one Optuna storage that can be read but not written: for Optuna Dashboard.

A study's id there is its place in the order in which the studies were first seen, and does not change.
"""

from __future__ import annotations

import copy
from collections.abc import Container
from typing import Any

from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from tune_jobs.errors import StudyError
from tune_jobs.settings import Settings
from tune_jobs.study.optuna_view import ReadOnlyStorage
from tune_jobs.study.storage import open_storage, study_names
from tune_jobs.study.study import Study
from tune_jobs.study.unwritable import UnwritableStorage
from tune_jobs.words import Say

_MOST_TRIALS = 10**9  # of a study: Optuna's id of a trial is the study's id times this, and the trial's own id


class HomeStorage(UnwritableStorage):
    """The studies of a home, with those that are begun meanwhile. One that cannot be read is named and left out."""

    def __init__(self, settings: Settings, say: Say) -> None:
        self._settings, self._say = settings, say
        self._studies: list[ReadOnlyStorage] = []
        self._ids: dict[str, int | None] = {}  # by the names of studies; None: it cannot be read

    def get_all_studies(self) -> list[FrozenStudy]:
        ids = [self._find(name) for name in study_names(self._settings)]
        return [self._summary(study_id) for study_id in ids if study_id is not None]

    def get_study_id_from_name(self, study_name: str) -> int:
        study_id = self._find(study_name)
        if study_id is None:
            raise KeyError(study_name)
        return study_id

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._summary(study_id).study_name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._studies[study_id].get_study_directions(study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._studies[study_id].get_study_user_attrs(study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._studies[study_id].get_study_system_attrs(study_id)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        study_id, own_id = divmod(trial_id, _MOST_TRIALS)
        return _with_id(self._studies[study_id].get_trial(own_id), study_id)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        storage = self._studies[study_id]
        own_id = storage.get_study_id_from_name(self.get_study_name_from_id(study_id))
        return [_with_id(trial, study_id) for trial in storage.get_all_trials(own_id, deepcopy, states)]

    def refusal(self) -> str:
        return "the studies can only be read here: `tune-jobs` runs them"

    def _find(self, name: str) -> int | None:
        """Return the id of a study, which is opened at first."""
        if name not in self._ids:
            try:
                study = Study.open(name, self._settings)
                self._studies.append(ReadOnlyStorage(study, open_storage(name, self._settings)))
                self._ids[name] = len(self._studies) - 1
            except StudyError as error:
                self._say(f"study {name!r} is left out: {error}")
                self._ids[name] = None
        return self._ids[name]

    def _summary(self, study_id: int) -> FrozenStudy:
        (summary,) = self._studies[study_id].get_all_studies()
        summary._study_id = study_id
        return summary


def _with_id(trial: FrozenTrial, study_id: int) -> FrozenTrial:
    """Return the trial under an id that no trial of another study has."""
    trial = copy.copy(trial)
    trial._trial_id += study_id * _MOST_TRIALS
    return trial

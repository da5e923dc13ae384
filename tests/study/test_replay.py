"""A study's file read with one record for each trial says what it says record by record."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import JournalStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from tune_jobs.study import storage as storages
from tune_jobs.study.journal import Journal

MAXIMIZE = [StudyDirection.MAXIMIZE]
WAITING = create_trial(
    state=TrialState.WAITING,
    params={"rate": 0.25},
    distributions={"rate": FloatDistribution(0.0, 1.0)},
    user_attrs={"seed": 3},
)


def write(path: Path) -> JournalStorage:
    """Make a file with all that happens to studies and trials, and some of it too late."""
    storage = JournalStorage(Journal(path))
    left = storage.create_new_study(MAXIMIZE, "left")
    storage.create_new_trial(left)
    storage.delete_study(left)
    study = storage.create_new_study(MAXIMIZE, "study")
    storage.set_study_user_attr(study, "terms", {"seed": 1})
    complete, interrupted, waiting, failed = (storage.create_new_trial(study, WAITING) for _ in range(4))
    for trial in (complete, interrupted, failed):
        storage.set_trial_user_attr(trial, "attempt", {"number": 1})
        storage.set_trial_state_values(trial, TrialState.RUNNING)
        storage.set_trial_intermediate_value(trial, 1, 0.5)
    storage.set_trial_intermediate_value(complete, 2, float("nan"))
    storage.set_trial_user_attr(interrupted, "attempt", {"number": 2})
    storage.set_trial_user_attr(complete, "result", {"history": [{"loss": 1.0}]})
    storage.set_trial_state_values(complete, TrialState.COMPLETE, [0.75])
    storage.set_trial_state_values(failed, TrialState.FAIL)
    storage.set_trial_user_attr(waiting, "seed", 4)
    storage.set_study_user_attr(study, "terms", {"seed": 2})
    return storage


def content(path: Path, *, is_literal: bool) -> str:
    """Return all that Optuna has read of a file."""
    storage = JournalStorage(Journal(path, is_literal=is_literal))
    studies = [(study.study_name, study._study_id, study.user_attrs) for study in storage.get_all_studies()]
    trials = [trial for _, number, _ in studies for trial in storage.get_all_trials(number)]
    return str((studies, trials))


def test_it_says_the_same_as_record_by_record(tmp_path: Path) -> None:
    write(tmp_path / "study.journal")
    condensed = content(tmp_path / "study.journal", is_literal=False)
    assert condensed == content(tmp_path / "study.journal", is_literal=True)
    assert "nan" in condensed
    assert condensed.count("FrozenTrial") == 4


def test_equal_distributions_are_one_object_in_trials_that_are_else_the_same(tmp_path: Path) -> None:
    write(tmp_path / "study.journal")
    plain = JournalStorage(Journal(tmp_path / "study.journal"))
    shared = storages._journal_storage(tmp_path / "study.journal")
    number = plain.get_study_id_from_name("study")
    trials = shared.get_all_trials(number, deepcopy=False)
    assert str(trials) == str(plain.get_all_trials(number, deepcopy=False))  # with a NaN, which equals none
    assert len(trials) == 4
    assert len({id(trial.distributions["rate"]) for trial in trials}) == 1


def test_what_comes_after_a_trial_has_ended_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    write(path)
    journal = Journal(path)
    list(journal.read_logs(0))
    late = {"worker_id": "another", "trial_id": 1}
    journal.append_logs([{"op_code": 7, **late, "step": 3, "intermediate_value": 9.0}])
    list(journal.read_logs(99))
    journal.append_logs([{"op_code": 6, **late, "state": 3, "values": None, "datetime_complete": "2026-01-01"}])
    assert content(path, is_literal=False) == content(path, is_literal=True)
    assert "9.0" not in content(path, is_literal=False)


def test_a_storage_goes_on_from_what_it_has_read(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    storage = write(path)
    other = JournalStorage(Journal(path))
    assert other.get_trial(2).state == TrialState.RUNNING
    storage.set_trial_state_values(2, TrialState.COMPLETE, [0.5])
    assert other.get_trial(2).value == 0.5
    assert other.create_new_trial(1) == 5


@pytest.mark.parametrize("name", ["optuna's own param", "optuna's own attribute"])
def test_a_record_that_only_optuna_knows_is_left_to_it(tmp_path: Path, name: str) -> None:
    from tune_jobs.study.storage import _journal_storage

    path = tmp_path / "study.journal"
    storage = write(path)
    if name == "optuna's own param":
        storage.set_trial_param(3, "depth", 0.5, FloatDistribution(0.0, 1.0))
    else:
        storage.set_trial_system_attr(3, "depth", 0.5)
    trial = _journal_storage(path).get_trial(3)
    assert (trial.params | trial.system_attrs)["depth"] == 0.5

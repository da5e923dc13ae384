"""All studies of a home as one Optuna storage, for Optuna Dashboard."""

from __future__ import annotations

import json
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import optuna
import pytest

from tests.support.sweeping import Own, called, finished_study, own_task
from tune_jobs.actions import dashboard
from tune_jobs.errors import SettingsError, StudyError
from tune_jobs.settings import Settings
from tune_jobs.study.optuna_home import HomeStorage


@pytest.fixture
def own(tmp_path: Path) -> Own:
    return own_task(tmp_path / "task")


def test_every_study_of_a_home_is_there_with_trials_of_its_own(own: Own, settings: Settings) -> None:
    records = {name: finished_study(own, settings, name) for name in ("b", "a")}
    told: list[str] = []
    storage = HomeStorage(settings, told.append)
    assert [study.study_name for study in storage.get_all_studies()] == ["a", "b"]
    ids = set()
    for name, record in records.items():
        study = optuna.load_study(study_name=name, storage=storage)
        assert study.best_value == max(trial.score for trial in record.trials if trial.score is not None)
        ids |= {trial._trial_id for trial in study.trials}
        assert [storage.get_trial(trial._trial_id).params for trial in study.trials] == [t.params for t in study.trials]
    assert len(ids) == sum(len(record.trials) for record in records.values())
    finished_study(own, settings, "0")
    assert {study.study_name: study._study_id for study in storage.get_all_studies()} == {"0": 2, "a": 0, "b": 1}
    with pytest.raises(StudyError, match="only be read"):
        storage.delete_study(0)
    assert told == []


def test_a_study_that_cannot_be_read_is_named_once_and_left_out(own: Own, settings: Settings) -> None:
    finished_study(own, settings, "whole")
    (settings.studies_dir / "torn.journal").write_bytes(b"no study\n")
    told: list[str] = []
    storage = HomeStorage(settings, told.append)
    for _ in range(2):
        assert [study.study_name for study in storage.get_all_studies()] == ["whole"]
    assert len(told) == 1
    assert told[0].startswith("study 'torn' is left out: ")


@pytest.mark.slow
def test_optuna_dashboard_shows_the_studies(own: Own, settings: Settings) -> None:
    pytest.importorskip("optuna_dashboard")
    record = finished_study(own, settings, "shown")
    app = dashboard._dashboard(settings, print)

    def answer(path: str) -> dict[str, object]:
        environ: dict[str, object] = {"PATH_INFO": path}
        setup_testing_defaults(environ)  # type: ignore[arg-type]
        answered: dict[str, object] = json.loads(b"".join(app(environ, lambda *words: None)))
        return answered

    (summary,) = answer("/api/studies")["study_summaries"]  # type: ignore[misc]
    assert (summary["study_name"], summary["study_id"]) == ("shown", 0)
    assert len(answer("/api/studies/0")["trials"]) == len(record.trials)  # type: ignore[arg-type]


def test_without_optuna_dashboard_it_says_what_to_install(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna_dashboard", None)
    settings.studies_dir.mkdir(parents=True)
    code, _, told = called(settings, "dashboard", "--port", "1")
    assert code == 2
    assert "`pip install 'tune-jobs[dashboard]'`" in told
    with pytest.raises(SettingsError, match="not installed"):
        dashboard._dashboard(settings, print)

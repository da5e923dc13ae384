"""A study as Optuna sees it: all of it can be read, by its plots too, and nothing written."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState

from tests.support.sweeping import finished_study, own_task
from tune_jobs.actions import launch
from tune_jobs.actions.launch import LaunchRequest
from tune_jobs.errors import StudyError
from tune_jobs.records.studies import StudyRecord
from tune_jobs.search_spaces import catalog
from tune_jobs.settings import Settings
from tune_jobs.study.optuna_view import OptunaStudy, optuna_study
from tune_jobs.study.study import Study
from tune_jobs.training.runs import run_trial


@pytest.fixture
def record(tmp_path: Path, settings: Settings) -> StudyRecord:
    """Eight trials, of which four crash."""
    return finished_study(own_task(tmp_path, "level", "raise"), settings)


@pytest.fixture
def view(record: StudyRecord, settings: Settings) -> OptunaStudy:
    return optuna_study("own", settings)


def test_trials_have_their_states_values_params_and_metrics(record: StudyRecord, view: OptunaStudy) -> None:
    assert view.study_name == "own"
    assert (view.directions, view.metric_names) == ([StudyDirection.MAXIMIZE], ["val_accuracy"])
    assert [trial.state for trial in view.trials] == [TrialState.COMPLETE] * 4 + [TrialState.FAIL] * 4
    for trial, kept in zip(view.trials, record.trials, strict=True):
        assert trial.params == {name: kept.params[name] for name in ("act", "width")}
        assert trial.value == kept.score
        assert trial.user_attrs["seed"] == 0
        curve = [metrics["val_accuracy"] for metrics in kept.history]
        assert trial.intermediate_values == dict(enumerate(curve, start=1))
    assert view.trials[0].user_attrs["val_loss"] == record.trials[0].metrics["val_loss"]
    assert view.trials[4].user_attrs["reason"] == "crashed"
    assert view.best_trial.params["width"] == 4
    assert [trial.number for trial in view.get_trials(states=(TrialState.FAIL,))] == [4, 5, 6, 7]
    assert len(view.trials_dataframe()) == 8


def test_it_follows_the_study_as_that_grows(record: StudyRecord, view: OptunaStudy, settings: Settings) -> None:
    with Study.hold("own", settings) as study:
        study.add(catalog.find(record.terms.reference).space, {"act": "level", "width": 4, "depth": 1}, 7)
    assert view.trials[-1].state == TrialState.WAITING
    assert view.trials[-1].user_attrs == {"seed": 7}


def test_importances_and_plots_take_it(view: OptunaStudy) -> None:
    importances = optuna.importance.get_param_importances(view)
    assert set(importances) == {"act", "width"}
    plots = optuna.visualization.matplotlib
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # plots are experimental, and `act` is the same in all complete trials
        assert len(plots.plot_optimization_history(view).collections[0].get_offsets()) == 4
        assert len(plots.plot_intermediate_values(view).lines) == 4
        plots.plot_slice(view)
        plots.plot_param_importances(view)
        plots.plot_timeline(view)


@pytest.mark.parametrize(
    "write",
    [
        lambda study: study.ask(),
        lambda study: study.enqueue_trial({"width": 1}),
        lambda study: study.add_trial(study.trials[0]),
        lambda study: study.optimize(lambda trial: 0.0, n_trials=1),
        lambda study: study.set_user_attr("a", 1),
        lambda study: study.set_metric_names(["loss"]),
        lambda study: optuna.delete_study(study_name="own", storage=study._storage),
        lambda study: optuna.create_study(storage=study._storage),
    ],
    ids=["ask", "enqueue", "add", "optimize", "attribute", "names", "delete", "create"],
)
def test_nothing_is_written_to_it(
    write: Callable[[Any], Any], record: StudyRecord, view: OptunaStudy, settings: Settings
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        with pytest.raises(StudyError, match=r"^the Optuna study of 'own' can only be read: to run more trials, call"):
            write(view)
    assert Study.open("own", settings).record() == record


def test_several_objectives_are_several_values(tmp_path: Path, settings: Settings) -> None:
    own = own_task(tmp_path, "level")
    settings.prepare()
    request = LaunchRequest(own.reference, objectives=("val_accuracy", "min:val_loss", "train_seconds"))
    inputs = launch.resolve(own.task, request, None, settings)
    with Study.hold("own", settings) as study:
        study.begin(inputs.terms)
        for params in own.task.space.grid():
            trial = study.start(study.add(own.task.space, params, 0))
            result = run_trial(inputs.task, params, inputs.data, seed=0, further_objectives=inputs.further)
            study.finish(trial, result, cpus=1.0)
    view = optuna_study("own", settings)
    assert view.metric_names == ["val_accuracy", "val_loss", "train_seconds"]
    assert view.directions == [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE, StudyDirection.MINIMIZE]
    record = Study.open("own", settings).record()
    for trial, kept in zip(view.trials, record.trials, strict=True):
        assert trial.values == [kept.score, kept.metrics["val_loss"], kept.train_seconds]
    assert len(view.best_trials) >= 1
    (summary,) = optuna.get_all_study_summaries(view._storage)
    assert (summary.study_name, summary.n_trials, len(summary.directions)) == ("own", 4, 3)


def test_a_study_that_is_not_there_is_one_line(settings: Settings) -> None:
    settings.prepare()
    with pytest.raises(StudyError, match="no study named 'own'"):
        optuna_study("own", settings)

"""Sweeps over folds: killed in a trial, judged by a scheduler, replicated, evaluated, trained on all rows."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.sweeping import Own, SharedRay, called, finished_study, kill_family, own_task, refusal, until
from tests.support.trials import changed, trial_record
from tune_jobs.actions import session
from tune_jobs.api import frames
from tune_jobs.decoding import ContentError
from tune_jobs.errors import UserError
from tune_jobs.execution.plan import Resources
from tune_jobs.exports import trial_data
from tune_jobs.records.studies import Budget, Scheduling
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search.budgets import BudgetedSampler
from tune_jobs.search.candidates import ListSampler
from tune_jobs.search.schedulers import make_scheduler
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task, TaskError
from tune_jobs.search_spaces.streamed import streamed
from tune_jobs.settings import Settings
from tune_jobs.study import checking
from tune_jobs.study.study import Study
from tune_jobs.tracking import mlflow_form
from tune_jobs.tracking.names import MetricNames

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, saving

ACCURACY = Objective("val_accuracy", "maximize")
FOLDS = ("--folds", "4", "--max-concurrent", "1")


def record_of(settings: Settings, name: str = "own") -> Any:
    return Study.open(name, settings).record()


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, ray: SharedRay) -> tuple[Own, Settings, list[Any], str]:
    """A trial of four folds whose driver was killed in the third, and that went on."""
    folder = tmp_path_factory.mktemp("killed")
    settings, own = Settings.read(home=folder / "home"), own_task(folder / "task", width="Choice(1)")
    launch = ("launch", own.reference, "--search", "baseline", *FOLDS)
    own.make_room(2)
    process = ray.command_line(settings, *launch)
    try:
        until(lambda: len(own.trained) == 3, "the third fold", process)
        until(lambda: "in fold 3 of at most 4" in called(settings, "status", "own")[1], "status to say so", process)
    finally:
        kill_family(process)
    before = own.trained
    own.make_room(None)
    code, _, stderr = called(settings, *launch)
    assert code == 0, stderr
    return own, settings, before, stderr


def test_a_trial_killed_in_its_third_fold_does_not_run_the_first_two_again(killed: Any) -> None:
    own, settings, before, stderr = killed
    (trial,) = record_of(settings).trials
    assert own.trained[3:] == [before[2], own.trained[4]]
    assert len({seed for _, seed in own.trained}) == 4
    assert (trial.state, trial.attempts, len(trial.history)) == ("complete", 2, 4)
    assert trial.score == statistics.fmean(row["val_accuracy"] for row in trial.history)
    spread = trial.metrics["val_accuracy_std"]
    assert f"complete val_accuracy {trial.score:.4f} +- {spread:.4f} over 4 folds" in stderr


def test_the_leaderboard_and_the_files_show_the_folds(killed: Any) -> None:
    _, settings, _, _ = killed
    board = called(settings, "leaderboard", "own")[1]
    (trial,) = record_of(settings).trials
    assert "std of folds" in board
    assert "mean of 4 folds" in board
    assert f"{trial.metrics['val_accuracy_std']:.4f}" in board
    assert trial_data.epochs_csv(record_of(settings)).startswith("trial,fold,val_accuracy")


def test_further_seeds_are_cross_validated_too(killed: Any, ray: SharedRay) -> None:
    own, settings, _, _ = killed
    code, _, stderr = called(settings, "replicate", "own", "--top", "1", "--seeds", "2")
    assert code == 0, stderr
    trials = record_of(settings).trials
    assert [len(trial.history) for trial in trials] == [4, 4]
    assert len({seed for _, seed in own.trained}) == 8


def test_a_study_that_was_begun_in_folds_stays_so(killed: Any, ray: SharedRay) -> None:
    own, settings, _, _ = killed
    code, _, stderr = called(settings, "launch", own.reference, "--folds", "5")
    assert code == 2
    assert "with the protocol" in refusal(stderr)
    assert "folds 4" in refusal(stderr)


def test_a_scheduler_judges_finished_folds_by_their_mean(tmp_path: Path, ray: SharedRay) -> None:
    settings, own = (
        Settings.read(home=tmp_path / "home"),
        own_task(tmp_path / "task", "level", width="Choice(4, 3, 2, 1)"),
    )
    words = ("--search", "grid", "--no-baseline", "--scheduler", "asha", "--eta", "2", *FOLDS, "--seed", "1")
    code, _, stderr = called(settings, "launch", own.reference, *words)
    assert code == 0, stderr
    trials = record_of(settings).trials
    stopped = [trial for trial in trials if trial.state == "stopped"]
    assert stopped
    for trial in stopped:
        assert len(trial.history) < 4
        assert trial.score == statistics.fmean(row["val_accuracy"] for row in trial.history)
        assert trial.message == f"behind the others after fold {len(trial.history)}"


def judged(number: int, *scores: float) -> TrialRecord:
    history = tuple({"val_accuracy": score} for score in scores)
    return trial_record(number, {"x": number}, history=history, score=statistics.fmean(scores))


@pytest.mark.parametrize("name", ["asha", "median"])
def test_one_lucky_fold_saves_no_trial(name: Any) -> None:
    others = [judged(number, 0.8, 0.8, 0.8, 0.8) for number in range(4)]
    judge = make_scheduler(Scheduling(name, 2, 2), ACCURACY, Protocol(epochs=9, folds=4), others)
    assert judge is not None
    assert judge.milestones(9)[0] == 2
    assert judge.should_stop(9, [0.95, 0.4])
    assert not judge.should_stop(9, [0.95, 0.9])
    by_epoch = make_scheduler(Scheduling(name, 2, 2), ACCURACY, Protocol(epochs=4), others)
    assert by_epoch is not None
    assert not by_epoch.should_stop(9, [0.95, 0.4])


def test_a_score_that_is_built_up_is_judged_by_its_last_step() -> None:
    others = [judged(number, 0.8, 0.8, 0.8, 0.8) for number in range(4)]
    judge = make_scheduler(Scheduling("asha", 2, 2), ACCURACY, Protocol(epochs=4, scored_epoch="last"), others)
    assert judge is not None
    assert judge.should_stop(9, [0.95, 0.4])


def test_a_budget_counts_the_epochs_of_all_folds() -> None:
    history = tuple({"val_accuracy": 0.5, "fold_epochs": 3.0} for _ in range(4))
    trial = trial_record(0, {"x": 0}, history=history, score=0.5)
    for has_folds, words in ((True, "12 epochs were trained"), (False, "4 epochs were trained")):
        sampler = BudgetedSampler(ListSampler((), ()), Budget(epochs=4), ACCURACY, (trial,), has_folds=has_folds)
        assert words in (sampler.end_reason or "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ("--scheduler", "pbt"),
            "--scheduler pbt copies the weights of one model, and a cross-validated trial has one",
        ),
        (("--checkpoint-every", "2"), "keeps each fold that has ended: leave out --checkpoint-every"),
        (("--scheduler", "asha", "--grace", "4"), "--grace 4 is all of the 4 folds of a trial"),
    ],
)
def test_what_does_not_go_with_folds_is_refused_in_one_line(options: Any, words: str, tmp_path: Path) -> None:
    settings, own = Settings.read(home=tmp_path / "home"), own_task(tmp_path / "task")
    code, _, stderr = called(settings, "launch", own.reference, "--folds", "4", *options)
    assert code == 2
    assert words in refusal(stderr)


def test_weights_of_folds_are_not_kept() -> None:
    task = Task("f", Space(x=Choice(1)), ACCURACY, dataset="digits", train=_loop, protocol=Protocol(epochs=1, folds=2))
    with pytest.raises(UserError, match="none of which is that of all rows: leave out --keep-weights"):
        session.check(task, Resources(keep_weights=True), is_population=False)


def _loop(params: Any, data: Any, *, seed: int, epochs: int) -> Any:
    yield {}


def _open(*, part: Any, batch_size: int, seed: int, params: Any) -> Any:
    raise AssertionError("nothing is opened")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"folds": 1}, "needs folds of 2 or more; got 1"),
        ({"folds": 2.5}, r"needs folds of 2 or more; got 2\.5"),
        ({"folds": 3, "validation": 0.2}, r"folds, each of which is held out in its turn, or validation, not both"),
    ],
)
def test_a_protocol_has_folds_or_a_part_for_validation(settings: Any, words: str) -> None:
    with pytest.raises(TaskError, match=words):
        Protocol(epochs=1, **settings)


def test_protocols_from_before_are_the_same() -> None:
    assert "folds" not in Protocol(epochs=3).to_dict()
    assert Protocol(epochs=3, folds=4).to_dict()["folds"] == 4
    assert (Protocol(epochs=3).steps, Protocol(epochs=3, folds=4).steps, Protocol().steps) == (3, 4, None)


def test_a_function_and_streamed_batches_have_no_folds(tmp_path: Path) -> None:
    from tune_jobs import datasets

    with pytest.raises(TaskError, match="no data set that its protocol could be about: leave folds out"):
        Task("f", Space(x=Choice(1)), ACCURACY, run=_run, protocol=Protocol(folds=3))
    task = Task(
        "s", Space(x=Choice(1)), ACCURACY, dataset=streamed(_open), build=_build, protocol=Protocol(epochs=1, folds=3)
    )
    with pytest.raises(UserError, match="is streamed, and divides itself: leave folds out"):
        datasets.load_for_task(task, tmp_path)


def _run(params: Any) -> float:
    return 0.0


def _build(*, x: int) -> Any:
    raise AssertionError("nothing is built")


def test_a_record_whose_score_is_not_that_of_its_folds_is_refused(tmp_path: Path) -> None:
    settings, own = Settings.read(home=tmp_path / "home"), own_task(tmp_path / "task", width="Choice(1)")
    finished_study(own, settings)
    record = record_of(settings)
    terms = replace(record.terms, protocol=Protocol(epochs=3, folds=3))
    (trial,) = record.trials
    mean = statistics.fmean(row["val_accuracy"] for row in trial.history)
    checking.check_trial(changed(trial, score=mean), terms)
    for wrong, words in (
        (changed(trial, score=mean + 0.1), "which is not the mean over its folds"),
        (changed(trial, score=mean, history=trial.history[:2]), "is complete, and has 2 of 3 folds"),
        (changed(trial, score=mean, history=({}, *trial.history[1:])), "a fold without one"),
    ):
        with pytest.raises(ContentError, match=words):
            checking.check_trial(wrong, terms)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory, ray: SharedRay) -> Settings:
    """A small network of digits in three folds, evaluated."""
    settings = Settings.read(home=tmp_path_factory.mktemp("digits") / "home")
    words = ("--images", "120", "--epochs", "2", "--search", "baseline", "--folds", "3")
    code, _, stderr = called(settings, "launch", "digits-mlp", *words)
    assert code == 0, stderr
    code, _, stderr = called(settings, "evaluate", "digits-mlp", "--top", "1")
    assert code == 0, stderr
    assert "(trained on all rows)" in stderr
    return settings


def test_a_finalist_is_trained_on_all_rows(digits: Settings) -> None:
    (trial,) = record_of(digits, "digits-mlp").trials
    assert trial.tested is not None
    assert (trial.tested.val_score, trial.tested.failure) == (None, None)
    assert trial.tested.errors is not None
    assert 0 <= trial.tested.metrics["test_accuracy"] <= 1


def test_the_best_is_trained_on_all_rows_and_saved(digits: Settings, tmp_path: Path) -> None:
    best, model = digits.exports_dir("digits-mlp") / "best.yaml", tmp_path / "model.keras"
    config = yaml.safe_load(best.read_text())
    assert config["protocol"]["folds"] == 3
    code, stdout, stderr = called(digits, "train", str(best), "-o", str(model), "--no-mlflow", "--json")
    assert code == 0, stderr
    assert json.loads(stdout)["score"] == config["score"]
    assert f"training on all 120 rows of the 3 folds, for {config['best_epoch']} epochs" in stderr
    assert model.exists()


def test_mlflow_has_the_folds_as_steps_with_their_mean_and_spread(killed: Any) -> None:
    _, settings, _, _ = killed
    record = record_of(settings)
    names, trial = MetricNames(record.terms), record.trials[0]
    names.learn(trial)
    points = {(point.key, point.step): point.value for point in mlflow_form.metrics(trial, record.terms, names)}
    assert [points["val_accuracy", fold] for fold in (1, 2, 3, 4)] == [row["val_accuracy"] for row in trial.history]
    assert points["best_val_accuracy", 0] == trial.score
    assert points["val_accuracy_std", 0] == trial.metrics["val_accuracy_std"]
    assert points["fold_epochs", 4] == 3


def test_a_frame_of_trials_counts_the_epochs_of_all_folds(killed: Any) -> None:
    _, settings, _, _ = killed
    frame = frames.trials_frame(record_of(settings).trials)
    assert frame["epochs"][0] == 12
    assert frame["metrics.val_accuracy_std"][0] > 0

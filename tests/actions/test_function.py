"""A task that runs a function goes through every command; those that need a model or a test split say so in a line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tune_jobs as tj
from tests.support.sweeping import Own, called, finished_study
from tune_jobs import exports
from tune_jobs.actions import extend, replicate, retry
from tune_jobs.actions import train as train_action
from tune_jobs.actions.launch import LaunchRequest
from tune_jobs.actions.session import Session
from tune_jobs.errors import SettingsError, UserError
from tune_jobs.execution.plan import Plan, Resources
from tune_jobs.records.studies import StudyRecord
from tune_jobs.search.candidates import Candidate
from tune_jobs.settings import Settings
from tune_jobs.study import file
from tune_jobs.study.study import Study
from tune_jobs.study_report import reproduction, summary
from tune_jobs.tracking import mlflow_form


@pytest.fixture
def own(tmp_path: Path) -> Own:
    return Own.copy("countdown.py", tmp_path / "own")


@pytest.fixture
def finished(own: Own, settings: Settings) -> StudyRecord:
    """Two configurations, the second with two seeds, and one that failed."""
    points = [("fine", 2.0, 0), ("fine", 1.0, 0), ("fine", 1.0, 1), ("raise", 1.0, 0)]
    candidates = [Candidate({"act": act, "x": x}, seed) for act, x, seed in points]
    return finished_study(own, settings, search="random", trials=3, candidates=candidates)


def test_its_study_is_on_no_data(finished: StudyRecord, settings: Settings) -> None:
    assert (finished.terms.dataset, finished.terms.data_digest, finished.terms.protocol.epochs) == ("none",) * 2 + (
        None,
    )
    assert finished.terms.subject == "countdown"
    texts = [exports.render(finished, form) for form in exports.FORMATS] + [
        mlflow_form.study_note(finished, exports.best_row(finished))
    ]
    texts += [*summary.sentences(exports.board_of(finished, None)), *reproduction.facts(finished).values()]
    assert not [text for text in texts if "test split was" in text]
    assert not [text for text in texts if re.search("on none|[(>]none|None", text)]
    assert "batch size" not in exports.render(finished, "html")
    code, status, _ = called(settings, "status", "own")
    assert (code, status.splitlines()[0]) == (0, "study own, task countdown")


def test_its_seeds_are_replicates_and_the_failure_has_its_reason(finished: StudyRecord) -> None:
    best = exports.best_row(finished)
    assert best is not None
    assert (best.n, best.score) == (2, pytest.approx((1 + 2) / 2 / 2**5))
    failed = finished.trials[3]
    assert (failed.state, failed.reason, failed.message) == ("failed", "crashed", "ValueError: no such thing")


def test_best_yaml_runs_it_again_to_the_same_score(finished: StudyRecord, own: Own, settings: Settings) -> None:
    exports.write_all(finished, settings.home)
    said: list[str] = []
    trained = train_action.train(
        settings.home / "best.yaml", settings, output=settings.home / "files", with_mlflow=False, say=said.append
    )
    assert (trained.is_same, trained.score) == (True, 1 / 2**5)
    assert said[4] == "epoch 5  loss 0.0312"
    assert [file.name for file in (settings.home / "files").iterdir()] == ["log.txt"]
    with pytest.raises(
        SettingsError, match="home/files is there already: name another folder for the files that the fu"
    ):
        train_action.train(
            settings.home / "best.yaml", settings, output=settings.home / "files", with_mlflow=False, say=print
        )
    assert own.noted("begin", "x", "seed")[-1] == (1.0, 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("evaluate", "own", "--top", "1"),
            "task 'countdown' trains itself: it leaves no model that could be evaluated",
        ),
        (("launch", "{own}", "--images", "9", "--study", "new"), "which has no data set: leave out --images"),
        (("launch", "{own}", "--data", "digits", "--study", "new"), "dataset digits is for build and train: the func"),
        (("launch", "{own}", "--precision", "mixed_float16", "--study", "new"), "which chooses its numbers itself"),
        (
            ("launch", "{own}", "--keep-weights", "--study", "new"),
            "whose weights are not seen: leave out --keep-weights",
        ),
        (("launch", "{own}", "--scheduler", "median", "--study", "new"), "needs to know how many steps a trial has"),
    ],
)
def test_what_needs_a_model_or_data_is_refused_in_one_line(
    finished: StudyRecord, own: Own, settings: Settings, words: tuple[str, ...], message: str
) -> None:
    exports.write_all(finished, settings.home)
    places = {"best": settings.home / "best.yaml", "own": own.reference}
    code, _, said = called(settings, *(word.format(**places) for word in words))
    assert (code, said.count("\n")) == (2, 1), said
    assert message in said


def test_it_is_shown_without_data(own: Own, settings: Settings) -> None:
    code, shown, _ = called(settings, "show", own.reference)
    assert (code, shown.splitlines()[0]) == (0, "countdown")
    assert "  protocol    as many steps as the function has, no early stopping\n" in shown
    assert "  data  " not in shown


def test_its_study_travels_as_a_file(finished: StudyRecord, settings: Settings, tmp_path: Path) -> None:
    tj.open("own", home=settings.home).export_study(tmp_path / "own.study")
    content = file.read(tmp_path / "own.study")
    assert (content.record.terms, len(content.record.trials)) == (finished.terms, 4)


def test_it_has_no_best_model(finished: StudyRecord, settings: Settings) -> None:
    with pytest.raises(UserError, match="task 'countdown' trains itself: it leaves no model"):
        tj.open("own", home=settings.home).best_model()


def test_it_is_replicated_retried_and_extended(
    finished: StudyRecord, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[Plan] = []
    monkeypatch.setattr(Session, "run", lambda held, inputs, plan, resources: plans.append(plan))
    monkeypatch.setattr(replicate, "_announce_more", lambda *_: None)
    said: list[str] = []
    replicate.replicate(replicate.ReplicateRequest("own", top=2, seeds=3), settings, said.append)
    assert not [line for line in said if "takes no seed" in line]
    retry.retry(retry.RetryRequest("own"), settings, print)
    extend.extend(extend.ExtendRequest("own", 2, is_more=True), settings, print)
    asked = [plan.sampler.ask() for plan in plans]
    known = [None if one is None else (one.params.get("x"), one.seed) for one in asked]
    assert (known[:2], known[2] is not None, plans[2].total) == ([(2.0, 1), (1.0, 0)], True, 6)


def test_replicates_without_a_seed_are_said_to_be_repetitions(
    own: Own, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = own.file.read_text()
    for with_seed, without in (("*, seed: int, ", "*, "), (" + seed", ""), ('"seed": seed, ', "")):
        text = text.replace(with_seed, without)
    own.file.write_text(text)
    finished_study(own, settings, candidates=[Candidate({"act": "fine", "x": 1.0}, 0)])
    monkeypatch.setattr(Session, "run", lambda *_: None)
    monkeypatch.setattr(replicate, "_announce_more", lambda *_: None)
    said: list[str] = []
    replicate.replicate(replicate.ReplicateRequest("own", top=1, seeds=2), settings, said.append)
    assert "the function of task 'countdown' takes no seed: replicates differ in what it draws itself" in said


def test_it_is_launched_like_any_other_task(own: Own, resolved: Callable[[LaunchRequest], Any]) -> None:
    prepared = resolved(LaunchRequest(own.reference, scheduler="asha", resources=Resources(checkpoint_every=1)))
    assert prepared.data is None
    assert prepared.plan.sampler.ask().params == {"act": "fine", "x": 1.5}
    assert prepared.plan.scheduler.milestones(0)[:3] == (1, 3, 9)
    assert resolved(LaunchRequest(own.reference, study="new", epochs=3)).task.protocol.epochs == 3


def test_one_trial_is_tried_without_params() -> None:
    task = tj.Task("small", tj.Space(x=tj.Float(0.0, 1.0)), tj.Objective("loss", "minimize"), run=lambda p: p["x"])
    assert tj.run_trial(task).score == 0.5
    assert tj.run_trial(task, {"x": 0.25}).score == 0.25


LAUNCH = ("--search", "grid", "--set", "x=1.0,2.0", "--scheduler", "asha", "--grace", "2", "--checkpoint-every", "1")
ONE = ("--max-concurrent", "1")


@pytest.mark.usefixtures("ray")
def test_a_sweep_of_a_function_schedules_its_steps_goes_on_after_a_kill_and_keeps_its_files(
    own: Own, settings: Settings
) -> None:
    code, _, stderr = called(settings, "launch", own.reference, *LAUNCH, *ONE)
    assert code == 0, stderr
    record = Study.open("countdown", settings).record()
    fine, halved, killed, _, raised, _ = record.trials
    assert [trial.state for trial in (fine, halved, killed, raised)] == ["complete", "stopped", "complete", "failed"]
    assert (fine.score, fine.best_epoch, len(halved.history)) == (1 / 2**5, 5, 2)
    assert (killed.attempts, killed.history) == (2, fine.history)
    begun = own.noted("begin", "act", "x", "first", "tensorflow")
    assert [event for event in begun if event[0] == "die-once"][:2] == [
        ("die-once", 1.0, first, False) for first in (1, 4)
    ]
    assert (raised.reason, raised.message) == ("crashed", "ValueError: no such thing")
    logs = settings.exports_dir("countdown") / "artifacts"
    assert {file.parent.name: file.read_text()[:7] for file in logs.glob("*/*")} == {
        "0000": "step 5:",
        "0001": "step 2:",
        "0002": "step 5:",
        "0003": "step 2:",
    }
    assert not list(settings.checkpoints_dir(record.identity).glob("*"))

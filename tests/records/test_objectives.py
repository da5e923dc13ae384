"""Several objectives: how they are asked for, what a trial comes to in each, and what a study was begun with."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.sweeping import data_of, own_task, terms_of
from tests.support.trials import trial_record
from tune_jobs.actions import launch, portable
from tune_jobs.actions.launch import LaunchRequest
from tune_jobs.datasets import TrainingData
from tune_jobs.decoding import ContentError, decode
from tune_jobs.errors import StudyError, UserError
from tune_jobs.records import objectives
from tune_jobs.records.studies import StudyTerms
from tune_jobs.search_spaces import Objective, Params, Protocol, Task
from tune_jobs.search_spaces.catalog import find
from tune_jobs.settings import Settings
from tune_jobs.study import file as study_file
from tune_jobs.study.study import Study
from tune_jobs.study.terms import note_of_terms
from tune_jobs.training.runs import run_trial
from tune_jobs.training.trial import TrialRun

MakeTask = Callable[..., Task]
ACCURACY = Objective("val_accuracy", "maximize")
PARAMETERS, SECONDS, LATENCY = (Objective(name, "minimize") for name in objectives.MEASURED)
TINY = {"units": 8, "learning_rate": 0.05, "batch_size": 16}


# --- how they are asked for ---


def test_a_direction_is_the_tasks_own_or_what_the_name_says_or_what_was_said() -> None:
    words = ["val_accuracy", "val_loss", "parameters", "latency", "train_seconds", "max:f1", "min:a:b"]
    with pytest.raises(UserError, match="got 'min:a:b'"):
        objectives.parse(words, find("digits-mlp"))
    found = objectives.parse([*words[:-1], "val_hour_error", "min:recall"], find("digits-mlp"))
    assert objectives.words(found) == (
        "maximize val_accuracy, minimize val_loss, minimize parameters, minimize latency, minimize train_seconds, "
        "maximize f1, minimize val_hour_error, minimize recall"
    )


def test_the_tasks_own_objective_keeps_its_direction_whatever_its_name_says(tiny_task: MakeTask) -> None:
    task = tiny_task(objective=Objective("val_f1", "maximize"))
    assert objectives.parse(["val_f1"], task) == (task.objective,)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["val_f1"], "--objective val_f1: its name does not say whether more or less of it is better; say max:val_f1"),
        (["accuracy_error"], "does not say whether more or less of it is better"),
        (["val_accuracy", "paramters"], "better; near it: parameters; say max:paramters or min:paramters"),
        (["most:val_f1"], "--objective needs NAME, max:NAME or min:NAME; got 'most:val_f1'"),
        (["max:"], "--objective needs NAME, max:NAME or min:NAME; got 'max:'"),
        ([""], "--objective needs NAME"),
        (["val_accuracy", "min:val_accuracy"], "the objective val_accuracy is there 2 times"),
        (["parameters", "val_accuracy"], "the first objective decides on the best epoch, and parameters is no metric"),
        (["latency"], "name one first, such as --objective val_accuracy"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_line(words: list[str], said: str) -> None:
    with pytest.raises(UserError) as refused:
        objectives.parse(words, find("digits-mlp"))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


# --- what a trial comes to ---


@pytest.mark.slow
def test_a_network_has_its_weights_its_time_and_its_latency(tiny_task: MakeTask, tiny_data: TrainingData) -> None:
    task = tiny_task()
    result = run_trial(task, TINY, tiny_data, seed=0, further_objectives=(PARAMETERS, SECONDS, LATENCY))
    assert result.state == "complete", result.message
    trial = trial_record(
        0, TINY, 0, "complete", metrics=result.metrics, weights=result.weights, train_seconds=result.train_seconds
    )
    assert objectives.value(trial, PARAMETERS) == 16 * 8 + 8 + 8 * 3 + 3
    assert objectives.value(trial, SECONDS) == result.train_seconds > 0
    assert 0 < result.metrics["latency"] < 1000
    assert all("latency" not in epoch for epoch in result.history)
    plain = run_trial(task, TINY, tiny_data, seed=0)
    assert "latency" not in plain.metrics
    assert (plain.score, plain.best_epoch, plain.history) == (result.score, result.best_epoch, result.history)


@pytest.mark.slow
def test_a_trial_that_is_stopped_is_not_measured(tiny_task: MakeTask, tiny_data: TrainingData) -> None:
    stop = {"seed": 0, "further_objectives": (LATENCY,), "report": lambda epoch, metrics: True}
    result = run_trial(tiny_task(), TINY, tiny_data, **stop)  # type: ignore[arg-type]
    assert result.state == "stopped"
    assert "latency" not in result.metrics


def own(*epochs: Mapping[str, float]) -> Task:
    def train(params: Params, data: object, *, seed: int, epochs_: Any = epochs, epochs: int) -> Iterator[Any]:
        yield from epochs_

    task = find("digits-mlp")
    return replace(task, build=None, encoding=None, train=train, protocol=Protocol(epochs=5, patience=1))


def test_the_first_objective_alone_decides_on_the_best_epoch_and_on_patience(tiny_data: TrainingData) -> None:
    curve = [{"val_accuracy": score, "cost": cost} for score, cost in ((0.5, 3), (0.7, 9), (0.6, 1), (0.9, 1))]
    cost = Objective("cost", "minimize")
    result = run_trial(own(*curve), {}, tiny_data, seed=0, further_objectives=(cost,))
    assert (result.best_epoch, len(result.history)) == (2, 3)
    assert objectives.value(trial_record(0, {}, 0, "complete", metrics=result.metrics), cost) == 9.0


@pytest.mark.parametrize("lacking", ["parameters", "latency", "cost"])
def test_a_loop_of_its_own_has_to_yield_what_cannot_be_measured(lacking: str, tiny_data: TrainingData) -> None:
    further = (Objective(lacking, "minimize"), SECONDS)
    run = TrialRun(own({"val_accuracy": 0.5}, {"val_accuracy": 0.6}), {}, tiny_data, seed=0, further_objectives=further)
    assert len(list(run)) == 2  # it may come in a later epoch
    assert (run.result.state, run.result.reason) == ("failed", "invalid")
    assert run.result.message == f"no metric '{lacking}' to judge by; the trial has val_accuracy"
    yields = own({"val_accuracy": 0.5, lacking: 7.0})
    assert run_trial(yields, {}, tiny_data, seed=0, further_objectives=further).metrics[lacking] == 7.0


# --- what a study was begun with ---


def test_a_study_is_continued_with_the_objectives_it_was_begun_with_and_no_others(
    tmp_path: Path, settings: Settings
) -> None:
    own = own_task(tmp_path / "task")
    settings.prepare()
    task = own.task
    request = LaunchRequest(task=own.reference, objectives=("val_accuracy", "max:val_loss"))
    with Study.hold("own", settings) as study:
        study.begin(launch.resolve(task, request, None, settings).terms)
        record = study.record()
        assert [aim.metric for aim in record.terms.objectives] == ["val_accuracy", "val_loss"]
        silent = launch.resolve(task, LaunchRequest(task=own.reference), record, settings)
        assert silent.terms == record.terms
        study.begin(silent.terms)
        other = replace(request, objectives=("val_accuracy", "val_loss"))
        said = (
            "was begun with the objective maximize val_accuracy and maximize val_loss, and it is now maximize "
            "val_accuracy and minimize val_loss: start another with --study NAME"
        )
        with pytest.raises(StudyError, match=said):
            study.begin(launch.resolve(task, other, record, settings).terms)
    assert Study.open("own", settings).record().terms == record.terms


def test_one_objective_in_place_of_the_tasks_stays_with_the_study(tmp_path: Path, settings: Settings) -> None:
    own = own_task(tmp_path / "task")
    settings.prepare()
    work = launch.resolve(own.task, LaunchRequest(task=own.reference, objectives=("val_loss",)), None, settings)
    assert (work.task.objective, work.further) == (Objective("val_loss", "minimize"), ())
    assert work.task_digest == own.task.digest()
    with Study.hold("own", settings) as study:
        study.begin(work.terms)
        again = launch.resolve(own.task, LaunchRequest(task=own.reference), study.record(), settings)
        assert again.terms == work.terms


def test_the_terms_of_one_objective_are_kept_as_they_were_before_there_were_several(tmp_path: Path) -> None:
    own = own_task(tmp_path / "task")
    terms = terms_of(own.task, own.reference, data_of(own.task))
    assert "further_objectives" not in note_of_terms(terms)
    several = replace(terms, further_objectives=(PARAMETERS,))
    assert note_of_terms(several)["further_objectives"] == [{"metric": "parameters", "direction": "minimize"}]
    for one in (terms, several):
        assert decode(StudyTerms, note_of_terms(one), "terms") == one


def test_a_study_from_before_there_were_several_has_the_same_terms(tmp_path: Path) -> None:
    file = sorted((Path(__file__).parents[2] / "docs" / "studies").rglob("*.study"))[0]
    content = study_file.read(file)
    assert content.record.terms.further_objectives == ()
    assert note_of_terms(content.record.terms) == content.notes["terms"]
    assert study_file.encoded(content) == file.read_bytes()


# --- in a file ---


@pytest.fixture
def file(tmp_path: Path, settings: Settings) -> Path:
    """A study of two objectives, one complete trial and one that failed, as a file."""
    own = own_task(tmp_path / "task", "fine", "raise")
    settings.prepare()
    task = own.task
    data = data_of(task)
    further = (Objective("val_loss", "minimize"), SECONDS)
    with Study.hold("own", settings) as study:
        study.begin(replace(terms_of(task, own.reference, data), further_objectives=further))
        for act in ("fine", "raise"):
            params = {"act": act, "width": 1, "depth": 1}
            trial = study.start(study.add(task.space, params, 0))
            study.finish(trial, run_trial(task, params, data, seed=0, further_objectives=further), cpus=1.0)
    file = tmp_path / "own.study"
    portable.export_study("own", file, settings, lambda _: None)
    return file


def test_a_study_of_several_objectives_is_the_same_elsewhere(
    file: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portable, "_deliver", lambda *_: False)
    there = replace(settings, home=tmp_path / "there")
    found = portable.import_study(file, None, there, lambda _: None)
    assert found.study == Study.open("own", settings).record()
    assert (found.exports_dir / "front.yaml").exists()
    portable.export_study("own", tmp_path / "again.study", there, lambda _: None)
    assert (tmp_path / "again.study").read_bytes() == file.read_bytes()


def changed(file: Path, change: Callable[[Any], None]) -> bytes:
    form = json.loads(gzip.decompress(file.read_bytes()))
    change(form)
    return gzip.compress(json.dumps(form).encode())


WRONG: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a direction": (
        lambda form: form["notes"]["terms"]["further_objectives"][0].update(direction="up"),
        r"the study: terms.further_objectives\[0\].direction needs 'maximize' or 'minimize'; got 'up'",
    ),
    "no list": (
        lambda form: form["notes"]["terms"].update(further_objectives="val_loss"),
        "the study: terms.further_objectives needs a list; got 'val_loss'",
    ),
    "no metric": (
        lambda form: form["notes"]["terms"]["further_objectives"][0].update(metric=""),
        r"the study: terms.further_objectives\[0\]: Objective needs the name of a metric; got ''",
    ),
    "twice the same": (
        lambda form: form["notes"]["terms"]["further_objectives"][0].update(metric="val_accuracy"),
        "terms.further_objectives: the objective val_accuracy is there 2 times",
    ),
    "a first that is measured": (
        lambda form: form["notes"]["terms"]["objective"].update(metric="parameters"),
        "terms.further_objectives: the first objective decides on the best epoch",
    ),
    "a value that is not there": (
        lambda form: form["trials"][0]["result"]["metrics"].pop("val_loss"),
        "trial 0 is complete, and has no 'val_loss', which is an objective",
    ),
    "a value that is no number": (
        lambda form: form["trials"][0]["result"]["metrics"].update(val_loss=[1]),
        "trial 0: result.metrics.val_loss needs a number; got a list",
    ),
    "no time": (
        lambda form: form["trials"][0]["result"].update(metrics={"val_loss": 1.0}, train_seconds=None),
        "trial 0: result.train_seconds needs a number; got None",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_file_with_objectives_that_cannot_be_is_refused_in_a_line(case: str, file: Path) -> None:
    change, said = WRONG[case]
    with pytest.raises(ContentError, match=f"^{said}") as refused:
        study_file.decoded(changed(file, change))
    assert "\n" not in str(refused.value)

"""The test split is read once, for finalists, and what came of it is in the study, in MLflow and on the leaderboard."""

from __future__ import annotations

import functools
import getpass
import json
import os
import re
import shutil
import signal
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.support.sweeping import (
    Logged,
    Own,
    SharedRay,
    called,
    data_of,
    deliver_nothing,
    finished_study,
    kill_family,
    logged,
    own_task,
    until,
)
from tests.support.trials import trained
from tune_jobs import datasets, exports
from tune_jobs.actions import evaluate
from tune_jobs.actions.evaluate import EvaluateRequest
from tune_jobs.actions.session import Session
from tune_jobs.api.console import raise_early_end
from tune_jobs.cli import run
from tune_jobs.errors import TrialError, UserError
from tune_jobs.execution import evaluating
from tune_jobs.execution.plan import StudyRun
from tune_jobs.records.per_image import unpack
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TestResult, TrialRecord
from tune_jobs.search.candidates import Candidate
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.tracking import delivery
from tune_jobs.training import weights

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables


def dense_task(folder: Path) -> Own:
    return Own.copy("dense_task.py", folder)


def replicated(own: Own, settings: Settings) -> StudyRecord:
    """Both configurations with two seeds each."""
    grid = list(own.task.space.grid())
    return finished_study(own, settings, candidates=[Candidate(params, seed) for seed in (0, 1) for params in grid])


def resumed(own: Own) -> SimpleNamespace:
    """What an evaluation that trains nothing asks of a study that goes on."""
    data = SimpleNamespace(test_digest="0123456789abcdef")
    return SimpleNamespace(task=SimpleNamespace(trains_itself=False), reference=own.reference, with_paths=(), data=data)


def built(own: Own) -> int:
    return len((own.file.parent / "built").read_text().split())


@dataclass
class Life:
    """An evaluation of the best that was killed, its next run, and a further reading."""

    settings: Settings
    own: Own
    before: StudyRecord
    built: list[int] = field(default_factory=list)
    killed: int = 0
    after_kill: StudyRecord | None = None
    last: tuple[int, str, str] = (0, "", "")
    record: StudyRecord | None = None
    logged: Logged | None = None
    board: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, ray: SharedRay) -> Life:
    folder = tmp_path_factory.mktemp("evaluated")
    settings = Settings.read(home=folder / "home")
    own = dense_task(folder / "task")
    life = Life(settings, own, replicated(own, settings))
    _keep_weights(life, seed=0)  # the other seed's model is trained again
    life.built.append(built(own))
    (own.file.parent / "room").write_text(str(built(own) + 1))
    words = ("evaluate", "own", "--top", "1", "--by", "a reader", "--max-concurrent", "1")
    process = ray.command_line(settings, *words)
    try:
        until(functools.partial(_waits_for_the_second, life), "one that is scored and one that waits", process)
    finally:
        kill_family(process)
    life.killed = process.returncode
    life.after_kill = Study.open("own", settings).record()
    life.built.append(built(own))
    (own.file.parent / "room").unlink()
    life.last = called(settings, *words)
    delivery.deliver_once("own", settings)
    life.built.append(built(own))
    life.record = Study.open("own", settings).record()
    life.logged = logged(settings, life.record)
    life.board = json.loads((settings.exports_dir("own") / "leaderboard.json").read_text())
    return life


def _keep_weights(life: Life, seed: int) -> None:
    task = life.own.task
    for trial in life.before.trials:
        if trial.seed == seed:
            model = trained(task, trial.params, data_of(task), trial.seed).model
            assert model is not None
            weights.keep(weights.packed(model), life.settings.weights_dir(life.before.identity), trial.number)


def _waits_for_the_second(life: Life) -> bool:
    tested = [trial for trial in Study.open("own", life.settings).record().trials if trial.tested is not None]
    return len(tested) == 1 and built(life.own) == life.built[0] + 2


def results_of(record: StudyRecord | None) -> dict[int, TestResult]:
    assert record is not None
    return {trial.number: trial.tested for trial in record.trials if trial.tested is not None}


def test_killed_in_its_midst_and_run_again_it_is_one_reading_and_nothing_is_scored_twice(life: Life) -> None:
    assert life.killed == -signal.SIGKILL
    code, _, stderr = life.last
    assert (code, "Traceback" in stderr) == (0, False), stderr
    assert life.record is not None
    assert [(reading.by, len(reading.trials)) for reading in life.record.readings] == [("a reader", 2)]
    assert life.after_kill is not None
    assert life.after_kill.readings == life.record.readings
    assert results_of(life.after_kill).items() < results_of(life.record).items()
    before, killed, last = life.built
    assert (killed - before, last - killed) == (2, 1)  # the one that waited is built again, and no other


def test_no_model_is_built_where_the_command_was_typed(life: Life) -> None:
    """Another user could have put a library there, which TensorFlow would load."""
    lines = (life.own.file.parent / "places").read_text().splitlines()[life.built[0] :]
    places = [line.rpartition(" ") for line in lines]
    assert {Path(folder).name.partition("-")[0] for folder, _, _ in places} == {"evaluation"}
    assert {Path(folder).parent.name for folder, _, _ in places} == {"trials"}
    assert {mode for _, _, mode in places} == {"700"}


def test_the_best_is_evaluated_with_all_its_seeds_and_its_trials_stay_as_they_were(life: Life) -> None:
    assert life.record is not None
    winner = max(life.board, key=lambda row: row["score"])
    assert sorted(results_of(life.record)) == sorted(winner["trials"])
    assert len(winner["trials"]) == 2
    plain = [replace(trial, tested=None) for trial in life.record.trials]
    assert plain == list(life.before.trials)


def test_the_figures_are_those_that_the_test_split_gives(life: Life) -> None:
    """The model of each trial trained here again, its right answers counted with NumPy."""
    assert life.record is not None
    task = life.own.task
    data = datasets.load_for_task(task, life.settings.data_dir)
    for number, result in results_of(life.record).items():
        trial = life.record.trials[number]
        model = trained(task, trial.params, data.training, trial.seed).model
        assert model is not None
        wrong = np.argmax(model.predict(data.test.x, verbose=0), axis=1) != data.test.labels
        assert result.errors is not None
        np.testing.assert_array_equal(unpack(result.errors), wrong)
        assert 0 < wrong.mean() < 0.6
        assert result.metrics["test_accuracy"] == pytest.approx(1 - wrong.mean(), abs=1e-6)


def test_the_validation_score_repeats(life: Life) -> None:
    assert life.record is not None
    assert {number: result.val_score for number, result in results_of(life.record).items()} == {
        number: life.record.trials[number].score for number in results_of(life.record)
    }
    assert "was 0." not in life.last[2]


def test_the_leaderboard_has_the_mean_and_says_that_the_test_split_was_read(life: Life) -> None:
    scores = [result.metrics["test_accuracy"] for result in results_of(life.record).values()]
    first, second = life.board
    assert (first["test_score"], first["test_n"]) == (pytest.approx(np.mean(scores)), 2)
    assert first["test_interval_low"] < first["test_score"] < first["test_interval_high"]
    assert (second["test_score"], second["test_n"]) == (None, None)
    assert re.search(r"the test split was read once, on \d{4}-\d\d-\d\d for a reader, 2 trials", life.last[1])


def test_mlflow_has_the_figures_in_the_runs_of_those_trials_alone(life: Life) -> None:
    assert life.logged is not None
    results = results_of(life.record)
    for number in range(4):
        metrics = life.logged.run(number).data.metrics
        shown = {name: value for name, value in metrics.items() if name.startswith("test_")}
        assert shown == (dict(results[number].metrics) if number in results else {})
    (parent,) = life.logged.parents
    assert "Readings of the test split: 1" in parent.data.tags["mlflow.note.content"]


def test_a_second_reading_is_refused_in_one_line_and_leaves_the_study_as_it_was(
    life: Life, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", "own", "--top", "2", "--home", str(life.settings.home)]) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert re.search(r"the test split was read for study 'own' on .* for a reader \(once in all\): .*; --again if", err)
    assert Study.open("own", life.settings).record() == life.record


def test_what_was_read_is_not_read_again_and_a_further_reading_is_counted(
    life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a copy of the study, without Ray: what is scored is told, not done."""
    settings = replace(life.settings, home=tmp_path)
    settings.prepare()
    shutil.copy(life.settings.studies_dir / "own.journal", settings.studies_dir)
    scored: list[int] = []

    def score(run: StudyRun, trials: list[TrialRecord]) -> None:
        for trial in trials:
            scored.append(trial.number)
            run.study.note_test(trial.number, TestResult({"test_accuracy": 0.5, "test_loss": 1.0}, None, 0.5))

    monkeypatch.setattr(evaluate, "score_finalists", score)
    deliver_nothing(monkeypatch)
    said: list[str] = []
    assert evaluate.evaluate(EvaluateRequest("own", top=1), settings, said.append).study == life.record
    assert "the best 1 of study own were all evaluated before; the test split is not read again" in said
    record = evaluate.evaluate(EvaluateRequest("own", top=2, by="another", again=True), settings, said.append).study
    assert life.record is not None
    first, second = record.readings
    assert (first.place, second.place, second.split) == (1, 2, first.split)
    assert (first, second.by, second.trials) == (life.record.readings[0], "another", tuple(scored))
    assert set(scored) == {0, 1, 2, 3} - set(first.trials)
    table = exports.render(record, "table")
    assert re.search(
        "the test split was read 2 times, last on .*; the second reading of this split by any study", table
    )


def test_the_readings_of_all_studies_count_and_a_task_asks_before_its_second(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two studies of one task, and one of another on the same data; what is scored is told, not done."""
    own = own_task(tmp_path)
    other = own_task(tmp_path / "other", name="other")
    for task, name in ((own, "first"), (own, "second"), (other, "third")):
        finished_study(task, settings, name=name)
    monkeypatch.setattr(Session, "resume", lambda held: resumed(own))
    monkeypatch.setattr(evaluate, "score_finalists", lambda run, trials: None)
    deliver_nothing(monkeypatch)
    said: list[str] = []

    def read(study: str, **more: Any) -> StudyRecord:
        said.clear()
        return evaluate.evaluate(EvaluateRequest(study, 1, "a reader", **more), settings, said.append).study

    read("first")
    assert said[0] == f"this is the first reading of the test split of {own.task.dataset_name} known here"
    with pytest.raises(UserError, match=r"was read for study 'first' on .* for a reader \(once in all\): .*; --again"):
        read("second")
    read("third")
    assert re.search("the second reading of .*, the first of this study; the last was on .* for study first", said[0])
    assert said[0].endswith("and no trial began since")
    assert read("second", again=True).readings[0].place == 3


def test_what_was_just_evaluated_is_read_again_where_that_is_asked_for(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut short after the first of two, the second reading goes on with the other and is no third one."""
    own = own_task(tmp_path)
    params = next(own.task.space.grid())
    finished_study(own, settings, candidates=[Candidate(params, seed) for seed in (0, 1)])
    monkeypatch.setattr(
        Session,
        "resume",
        lambda held: resumed(own),
    )
    deliver_nothing(monkeypatch)
    scored: list[list[int]] = []

    def score(run: StudyRun, trials: list[TrialRecord]) -> None:
        notes = evaluating._Notes(run, len(trials))
        scored.append([trial.number for trial in trials])
        for trial in trials:
            notes.add(trial, TestResult({"test_accuracy": len(scored) / 10}, None, trial.score))
            if len(scored) == 2:
                raise RuntimeError("cut short")

    monkeypatch.setattr(evaluate, "score_finalists", score)
    evaluate.evaluate(EvaluateRequest("own", top=1), settings, lambda message: None)
    again = EvaluateRequest("own", top=1, again=True)
    with pytest.raises(RuntimeError, match="cut short"):
        evaluate.evaluate(again, settings, lambda message: None)
    record = evaluate.evaluate(again, settings, lambda message: None).study
    assert scored == [[0, 1], [0, 1], [1]]
    assert [reading.trials for reading in record.readings] == [(0, 1), (0, 1)]
    assert [result.metrics["test_accuracy"] for result in results_of(record).values()] == [0.2, 0.3]


@pytest.mark.parametrize(("n_failing", "expected"), [(2, 1), (1, 0)])
def test_an_evaluation_in_which_every_finalist_fails_is_a_failure_with_its_first_error(
    n_failing: int, expected: int, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_task(tmp_path)
    params = next(own.task.space.grid())
    finished_study(own, settings, candidates=[Candidate(params, seed) for seed in (0, 1)])
    inputs = resumed(own)
    monkeypatch.setattr(Session, "resume", lambda held: inputs)
    deliver_nothing(monkeypatch)

    def score(run: StudyRun, trials: list[TrialRecord]) -> None:
        notes = evaluating._Notes(run, len(trials))
        for trial in trials:
            is_failing = trial.number < n_failing
            result = TestResult({"test_accuracy": 0.5}, None, trial.score)
            notes.add(trial, TrialError("crashed", "ValueError: no such layer") if is_failing else result)

    monkeypatch.setattr(evaluate, "score_finalists", score)
    code, _, stderr = called(settings, "evaluate", "own")
    assert code == expected, stderr
    last = (
        "no finalist could be evaluated (2 failed); the first was trial 0: crashed (ValueError: no such layer). "
        "Once it is mended, run `tune-jobs evaluate own --again`."
    )
    assert (stderr.splitlines()[-1] == last) == bool(expected), stderr
    if expected:
        with pytest.raises(UserError, match=r"no finalist could .* call evaluate\(again=True\)"):
            raise_early_end(evaluate.evaluate(EvaluateRequest("own", 1, again=True), settings, lambda _: None))


def test_the_reading_is_in_the_study_before_the_test_split_is_loaded(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_task(tmp_path)
    finished_study(own, settings)
    inputs = resumed(own)
    monkeypatch.setattr(Session, "resume", lambda held: inputs)
    deliver_nothing(monkeypatch)
    seen: list[int] = []

    def loaded(*_: Any) -> None:
        seen.append(len(Study.open("own", settings).record().readings))
        raise RuntimeError("far enough")

    monkeypatch.setattr(datasets, "load_for_task", loaded)
    with pytest.raises(RuntimeError, match="far enough"):
        evaluate.evaluate(EvaluateRequest("own", top=1), settings, lambda message: None)
    assert seen == [1]


@pytest.mark.parametrize(
    ("act", "says"),
    [
        ("fine", "task 'own' trains itself: it leaves no model that could be evaluated"),
        ("none", "no study named 'own'"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(
    tmp_path: Path, settings: Settings, act: str, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if act != "none":
        finished_study(own_task(tmp_path, act), settings)
    assert run(["evaluate", "own", "--home", str(settings.home)]) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
    assert act == "none" or Study.open("own", settings).record().readings == ()


def test_without_a_complete_trial_there_is_nothing_to_evaluate(
    tmp_path: Path, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    own = dense_task(tmp_path / "task")
    finished_study(own, settings, candidates=[])
    assert run(["evaluate", "own", "--home", str(settings.home)]) == 2
    assert "study 'own' has no finalists: none of its trials is complete" in capfd.readouterr().err
    assert Study.open("own", settings).record().readings == ()


def test_a_user_without_a_name_reads_under_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert evaluate._reading([], EvaluateRequest("own", top=1), "", 1).by == str(os.getuid())
    assert evaluate._reading([], EvaluateRequest("own", top=1, by="a reader"), "", 1).by == "a reader"

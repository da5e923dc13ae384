"""A study as an object: what it shows of what the record holds, and how it finds a task that was made in Python."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tune_jobs as tj
from tests.support.sweeping import Own, data_of, finished_study, own_task, terms_of
from tune_jobs.actions.session import Outcome
from tune_jobs.api.console import raise_early_end
from tune_jobs.execution.rules import TaskFailure
from tune_jobs.records.studies import StudyRecord
from tune_jobs.search_spaces import catalog, python_tasks
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study as StoredStudy


@pytest.fixture(autouse=True)
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the API uses."""
    monkeypatch.setenv("TUNE_JOBS_HOME", str(settings.home))
    for name in ("TUNE_JOBS_DATA", "TUNE_JOBS_STORAGE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    settings.prepare()
    return settings.home


@pytest.fixture
def own(tmp_path: Path) -> Own:
    return own_task(tmp_path / "task", "level", "raise")


@pytest.fixture
def record(own: Own, settings: Settings) -> StudyRecord:
    """Eight trials, of which four crash."""
    return finished_study(own, settings)


def test_a_study_shows_itself_in_one_line(record: StudyRecord) -> None:
    study = tj.open("own")
    assert repr(study) == (
        "Study 'own' of task own: 8 trials: 4 complete, 4 failed (4 crashed); "
        f"best val_accuracy {max(trial.score or 0 for trial in record.trials):.4f}"
    )
    assert study.record == record
    assert study.trials == record.trials
    assert "<table>" in study._repr_html_()


def test_a_study_that_was_deleted_still_shows_itself(record: StudyRecord, settings: Settings) -> None:
    study = tj.open("own")
    with StoredStudy.hold("own", settings) as stored:
        stored.delete()
    assert repr(study).startswith("Study 'own' (no study named 'own'")


def test_its_best_is_that_of_the_leaderboard(record: StudyRecord) -> None:
    study, board = tj.open("own"), tj.open("own").leaderboard()
    assert study.best_params == dict(board[0].params) == {"act": "level", "width": 4, "depth": 1}
    assert study.best_score == board[0].score
    assert [row.params["width"] for row in board] == [4, 3, 2, 1]
    assert (len(study.leaderboard(top=2)), len(board[:3])) == (2, 3)
    assert repr(board) == board.to_text().rstrip("\n")
    assert board.to_text("csv").startswith("rank,score,")
    assert board._repr_html_().count("<tr>") == 5


def test_a_leaderboard_is_a_dataframe_with_the_columns_of_the_csv(record: StudyRecord) -> None:
    board = tj.open("own").leaderboard()
    frame = board.to_pandas()
    columns = board.to_text("csv").splitlines()[0].split(",")
    assert list(frame.columns) == [name for name in columns if name in frame] + [
        f"params.{name}" for name in ("act", "width", "depth")
    ]
    assert list(frame["score"]) == [row.score for row in board]
    assert list(frame["params.width"]) == [4, 3, 2, 1]


def test_trials_are_a_dataframe(record: StudyRecord) -> None:
    frame = tj.open("own").trials_dataframe()
    assert list(frame["number"]) == list(range(8))
    assert list(frame["state"]) == [trial.state for trial in record.trials]
    assert list(frame["params.width"]) == [trial.params["width"] for trial in record.trials]
    assert frame["metrics.val_loss"][0] == record.trials[0].metrics["val_loss"]
    assert set(frame["reason"][4:]) == {"crashed"}
    assert str(frame["started"].dtype).endswith("UTC]")


def test_a_study_without_a_complete_trial_says_so(own: Own, settings: Settings) -> None:
    finished_study(own, settings, candidates=[])
    study = tj.open("own")
    assert repr(study) == "Study 'own' of task own: no trials; no val_accuracy yet"
    with pytest.raises(tj.StudyError, match="'own' has no best configuration: none of its trials is complete"):
        _ = study.best_params
    assert len(study.trials_dataframe()) == len(study.leaderboard().to_pandas()) == len(study.leaderboard()) == 0
    assert "<table>" in study._repr_html_()


def test_studies_are_listed_in_a_table(record: StudyRecord) -> None:
    (study,) = tj.studies()
    assert study.name == "own"
    header, line = repr(tj.studies()).splitlines()
    assert header.split() == ["study", "task", "trials", "complete", "failed", "best", "metric", "state"]
    assert line.split()[:5] == ["own", "own", "8", "4", "4"]
    assert "<td>own</td>" in tj.studies()._repr_html_()


def test_without_a_study_the_list_is_empty_and_says_so() -> None:
    assert (len(tj.studies()), repr(tj.studies())) == (0, "no study yet")


def test_its_state_is_what_the_command_prints(record: StudyRecord) -> None:
    lines = repr(tj.open("own").status()).splitlines()
    assert lines[0].startswith("study own, task own, data digits ")
    (trials,) = [line for line in lines if line.startswith("  trials")]
    assert trials.endswith(": 4 complete, 4 failed (4 crashed)")


def test_it_is_exported_and_imported_again(record: StudyRecord, tmp_path: Path, monkeypatch: Any) -> None:
    study = tj.open("own")
    assert {path.name for path in study.export(tmp_path / "files")} >= {"leaderboard.csv", "best.yaml"}
    file = study.export_study(tmp_path / "own.study")
    from tune_jobs.actions import portable

    monkeypatch.setattr(portable, "_deliver", lambda *_: True)
    other = tj.import_study(file, home=tmp_path / "other")
    assert other.trials == study.trials


def test_a_study_that_is_not_there_is_one_line() -> None:
    with pytest.raises(tj.StudyError, match=r"^no study named 'own'\. `tune-jobs studies` lists all$"):
        tj.open("own")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda study: study.extend(0), "trials needs a whole number of 1 or more; got 0"),
        (lambda study: study.replicate(top=0), "top needs a whole number of 1 or more; got 0"),
        (lambda study: study.evaluate(top=-1), "top needs a whole number of 1 or more; got -1"),
        (lambda study: study.retry(["crashd"]), "no reason named 'crashd'; near it: crashed; there are diverged"),
        (lambda study: study.transfer("no-such-task"), "no task named 'no-such-task'"),
        (lambda study: study.best_model(), "task 'own' trains itself: it leaves no model"),
        (lambda study: study.stop(), "nothing runs study 'own' on this machine"),
    ],
    ids=["extend", "replicate", "evaluate", "retry", "transfer", "best_model", "stop"],
)
def test_what_cannot_be_done_is_the_commands_one_line(call: Any, message: str, record: StudyRecord) -> None:
    with pytest.raises((tj.UserError, tj.TaskError), match=f"^{message}") as caught:
        call(tj.open("own"))
    assert "\n" not in str(caught.value)


def test_a_misspelt_option_is_a_type_error_with_the_nearest_name(record: StudyRecord) -> None:
    with pytest.raises(TypeError, match=r"extend\(\) has no option 'max_concurent'; near it: max_concurrent"):
        tj.open("own").extend(1, max_concurent=1)  # type: ignore[call-arg]


# --- tasks made in Python ---------------------------------------------------------------------------------------------


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that knows no task made in Python."""
    monkeypatch.setattr(python_tasks, "_known", {})


@pytest.fixture
def made(own: Own, settings: Settings, forgotten: None) -> tj.Task:
    """A task made in Python, with a study in which nothing has run."""
    task = replace(own.task, name="made")
    with StoredStudy.hold("made", settings) as study:
        study.begin(terms_of(task, catalog.reference_of(task), data_of(task)))
    return task


def test_a_study_of_such_a_task_finds_it_in_this_process(made: tj.Task) -> None:
    assert tj.open("made").record.terms.reference == "python:made"
    assert tj.open("made").task is made


def test_another_process_has_to_pass_it(made: tj.Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_tasks, "_known", {})
    line = "study 'made' comes from a task made in Python, 'made': pass it, as in tune_jobs.open"
    for call in (lambda: tj.open("made").task, lambda: tj.open("made").extend(1), tj.open("made").replicate):
        with pytest.raises(tj.TaskError, match=f"^{line}"):
            call()
    tj.open("made")._remember(made)
    assert tj.open("made").task is made


def test_another_task_than_the_studys_is_refused(made: tj.Task, record: StudyRecord) -> None:
    with pytest.raises(tj.TaskError, match=r"study 'own' was begun from .*own_task\.py:OWN, .* passed is python:made"):
        tj.open("own").extend(1, task=made)
    with pytest.raises(tj.TaskError, match="'made' was begun from python:made, and the task passed is digits-mlp"):
        tj.open("made").extend(1, task=tj.find_task("digits-mlp"))


# --- one trial --------------------------------------------------------------------------------------------------------


def test_one_trial_runs_in_this_process_and_the_baseline_fills_what_is_not_said(
    own: Own, capfd: pytest.CaptureFixture[str]
) -> None:
    result = tj.run_trial(own.task, {"width": 3}, seed=5, epochs=2)
    assert (result.state, len(result.history)) == ("complete", 2)
    assert own.trained == [(3, 5)]
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines()[0].startswith("epoch 1/2  val_accuracy 0.3")
    assert tj.run_trial(own.reference, {"width": 3}, seed=5, epochs=2).score == result.score


def test_an_error_in_the_tasks_code_is_raised_as_it_is(own: Own) -> None:
    with pytest.raises(RuntimeError, match="no such\nthing"):
        tj.run_trial(own.task, {"act": "raise"})


def test_params_outside_the_space_are_refused(own: Own) -> None:
    with pytest.raises(tj.SpaceError, match="the configuration does not belong to task 'own': width is 9"):
        tj.run_trial(own.task, {"width": 9})


def test_tasks_are_listed_in_a_table() -> None:
    tasks = tj.tasks()
    assert tasks[0] is tj.find_task("digits-mlp")
    assert len(repr(tasks).splitlines()) == len(tasks) + 1
    assert tasks._repr_html_().count("<tr>") == len(tasks) + 1


# --- how a run's end is told ------------------------------------------------------------------------------------------


def outcome(record: StudyRecord, **changes: Any) -> Outcome:
    return replace(Outcome(record, Path("exports"), is_delivered=True, signal=None), **changes)


def test_a_run_that_came_to_its_end_raises_nothing(record: StudyRecord, capfd: pytest.CaptureFixture[str]) -> None:
    raise_early_end(outcome(record))
    assert capfd.readouterr() == ("", "")
    raise_early_end(outcome(record, is_delivered=False))
    assert "Some trials are not in MLflow yet; nothing is lost. Run `tune-jobs sync own`." in capfd.readouterr().err


def test_ctrl_c_is_a_keyboard_interrupt_once_all_is_written(record: StudyRecord) -> None:
    with pytest.raises(KeyboardInterrupt):
        raise_early_end(outcome(record, signal=signal.SIGINT))


def test_trials_that_all_failed_are_an_error(record: StudyRecord) -> None:
    failure = TaskFailure("all trials failed (2)", reason="diverged", is_early=False)
    with pytest.raises(tj.UserError, match=r"^all trials failed \(2\)\. .* call retry\(\['diverged'\]\)$") as caught:
        raise_early_end(outcome(record, task_failure=failure))
    assert not hasattr(caught.value, "__notes__")


def test_a_failure_of_the_tasks_own_is_an_error_with_its_traceback_as_a_note(record: StudyRecord) -> None:
    failure = TaskFailure("three trials in a row crashed", "Traceback: here\n")
    with pytest.raises(tj.UserError, match=r"^three trials in a row crashed\. Once it is mended, call retry") as caught:
        raise_early_end(outcome(record, task_failure=failure))
    assert caught.value.__notes__ == ["Traceback: here"]

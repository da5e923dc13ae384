"""Trials that diverge, exhaust memory, hang, exit, raise or report nonsense: each has its reason and harms no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.auditing import Seen, undisturbed
from tests.support.sweeping import Own, called, own_task
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.tracking import delivery

pytestmark = [
    pytest.mark.faults,
    pytest.mark.usefixtures("ray"),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # of MLflow's own tables
]

BAD = ("diverge", "raise", "exit", "killed", "hang", "slow", "gorge", "gorge-once", "mute", "text")
ONE = ("--max-concurrent", "1")
LIMITS = (*ONE, "--trial-time-limit", "4s", "--max-retries", "1")


def launch(settings: Settings, own: Own, *words: str) -> tuple[int, str, str]:
    return called(settings, "launch", own.reference, "--search", "grid", *words)


def record(settings: Settings) -> StudyRecord:
    return Study.open("own", settings).record()


def by_act(settings: Settings) -> dict[object, TrialRecord]:
    return {trial.params["act"]: trial for trial in record(settings).trials if trial.params["width"] == 1}


def test_each_ends_with_its_reason_and_none_harms_another(tmp_path: Path) -> None:
    settings = Settings.read(home=tmp_path / "home")
    own = own_task(tmp_path / "task", "fine", *BAD, width="Choice(1)")
    code, stdout, stderr = launch(settings, own, *LIMITS)
    assert code == 0, stderr
    found = by_act(settings)
    assert {act: (trial.state, trial.reason) for act, trial in found.items()} == {
        "fine": ("complete", None),
        "diverge": ("failed", "diverged"),
        "raise": ("failed", "crashed"),
        "exit": ("failed", "crashed"),
        "killed": ("failed", "crashed"),
        "hang": ("failed", "timed-out"),
        "slow": ("failed", "timed-out"),
        "gorge": ("failed", "out-of-memory"),
        "gorge-once": ("complete", None),
        "mute": ("failed", "invalid"),
        "text": ("failed", "invalid"),
    }
    assert {act for act, trial in found.items() if trial.attempts == 2} == {"killed", "gorge", "gorge-once"}
    assert found["killed"].message == "its worker died 2 times: it was killed, or the machine ran out of memory"
    assert found["text"].message == "metric 'val_accuracy' needs a number; got 'good'"
    assert "--trial-time-limit allows 4 s" in (found["slow"].message or "")
    footer = "9 failed (3 crashed, 2 invalid, 2 timed-out, 1 diverged, 1 out-of-memory)"
    assert footer in " ".join(stdout.split())
    _, status, _ = called(settings, "status", "own")
    assert footer in status
    assert f"trial {found['mute'].number} failed: invalid (no metric 'val_accuracy' to judge by" in status

    delivery.deliver_once("own", settings)
    seen = Seen.of(settings)
    assert [run[3]["reason"] for run in seen.runs] == [trial.reason for trial in record(settings).trials]
    expected = undisturbed(own_task(tmp_path / "fine", "fine", width="Choice(1)"), tmp_path)
    assert (seen.trials[0], seen.runs[0][1]) == (expected.trials[0], expected.runs[0][1])
    assert expected.board[0].score in [row.score for row in seen.board]


def test_a_trial_out_of_memory_runs_once_more_with_no_other_beside_it(tmp_path: Path) -> None:
    settings = Settings.read(home=tmp_path / "home")
    own = own_task(tmp_path / "task", "gorge-once", "fine", width="Choice(1, 2)", more="depth=Choice(1, 2)")
    code, _, stderr = launch(settings, own, "--max-concurrent", "2")
    assert code == 0, stderr
    assert [trial.state for trial in record(settings).trials] == ["complete"] * 8
    spans = [
        (trial.started, trial.finished) for trial in record(settings).trials if trial.attempts == 2
    ]  # of their second try
    assert len(spans) == 4
    for one in record(settings).trials:
        for started, finished in spans:
            if (one.started, one.finished) != (started, finished) and one.started and one.finished:
                assert one.finished <= (started or 0) + 0.5 or one.started >= (finished or 0) - 0.5


def test_the_same_error_three_times_in_a_row_ends_the_sweep_and_what_failed_is_retried_once_it_is_mended(
    tmp_path: Path,
) -> None:
    settings = Settings.read(home=tmp_path / "home")
    own = own_task(tmp_path / "task", "raise", width="Choice(1, 2, 3, 4, 5)")
    code, _, stderr = launch(settings, own, *ONE)
    assert code == 2
    assert stderr.count("Traceback (most recent call last)") == 1
    *_, last = stderr.splitlines()
    assert last == (
        "the sweep stopped: the same error ended 3 trials in a row (RuntimeError: no such thing). "
        "Once it is mended, run `tune-jobs retry own --reason crashed`."
    )
    assert [trial.state for trial in record(settings).trials][:3] == ["failed"] * 3
    assert len(own.trained) == 3

    own.file.write_text(own.file.read_text().replace('raise RuntimeError("no such\\nthing")', "pass"))
    code, stdout, stderr = called(settings, "retry", "own", "--reason", "crashed", *ONE)
    assert code == 0, stderr
    assert "3 failed trials run again" in stderr
    study = record(settings)
    assert [trial.state for trial in study.standing] == ["complete"] * len(study.standing)
    assert "3 failed (3 crashed; 3 run again)" in stdout
    code, _, stderr = launch(settings, own, *ONE)
    assert code == 0, stderr
    study = record(settings)
    assert len(study.searched) == 5
    assert [trial.params["width"] for trial in study.searched] == [1, 2, 3, 4, 5]
    assert {trial.state for trial in study.standing} == {"complete"}
    best = settings.exports_dir("own") / "best.yaml"
    best.unlink()  # as if the retry had been killed after its last trial
    code, _, stderr = called(settings, "retry", "own")
    assert code == 0, stderr
    assert "study own: all that failed has run again" in stderr
    assert best.exists()
    assert len(record(settings).trials) == len(study.trials)
    code, _, stderr = called(settings, "retry", "own", "--reason", "diverged")
    assert code == 2
    assert stderr.splitlines()[-1] == "tune-jobs: study 'own' has nothing to retry: none of its trials failed"

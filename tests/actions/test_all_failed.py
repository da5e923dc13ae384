"""Where every trial that a command trained failed, its exit code is 1 and the first error is shown."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.support.sweeping import Own, called, deliver_nothing, finished_study, own_task
from tune_jobs.actions import session
from tune_jobs.cli import cli
from tune_jobs.errors import SettingsError
from tune_jobs.execution.plan import Beside, Plan, StudyRun
from tune_jobs.execution.rules import Failures
from tune_jobs.live.news import News
from tune_jobs.search.candidates import Candidate
from tune_jobs.settings import Settings
from tune_jobs.training.runs import run_trial

TWO = "Choice(1, 2)"
CRASHED = "crashed (RuntimeError: no such thing). Once it is mended, run `tune-jobs retry own --reason crashed`."


def train_here(run: StudyRun, plan: Plan, beside: Beside, news: News) -> Failures:
    """Train what the plan proposes in this process, without Ray."""
    inputs, study = run.inputs, run.study
    while plan.trials is None or len(study.record().searched) < plan.trials:
        if (one := plan.sampler.ask()) is None:
            break
        trial = study.start(study.add(inputs.space, one.params, one.seed))
        trial = study.finish(trial, run_trial(inputs.task, one.params, inputs.data, seed=one.seed), cpus=1.0)
        plan.sampler.tell(trial)
    return Failures()


@pytest.fixture
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    deliver_nothing(monkeypatch)
    monkeypatch.setattr(session, "run_trials", train_here)


def mend(own: Own, act: str, by: str) -> None:
    """Have trials of one act do what those of another do; the task and its space stay."""
    text = own.file.read_text(encoding="utf-8")
    own.file.write_text(
        f"{text}\nACTS = {{**ACTS, {act!r}: ACTS.get({by!r}, lambda params: None)}}\n", encoding="utf-8"
    )


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(("act", "reason"), [("raise", "crashed"), ("diverge", "diverged"), ("mute", "invalid")])
def test_a_launch_whose_trials_all_failed_is_a_failure(
    act: str, reason: str, tmp_path: Path, settings: Settings
) -> None:
    own = own_task(tmp_path, act, width=TWO)
    code, _, stderr = called(settings, "launch", own.reference, "--search", "grid")
    assert code == 1
    *_, last = stderr.splitlines()
    assert last.startswith(f"all trials failed (2); the first was trial 0: {reason} (")
    assert last.endswith(f"Once it is mended, run `tune-jobs retry own --reason {reason}`.")
    assert "best.yaml" not in stderr
    again, _, said = called(settings, "launch", own.reference)  # which has nothing more to run
    assert (again, said.splitlines()[-1]) == (1, last)


@pytest.mark.usefixtures("_here")
def test_one_trial_with_a_score_is_a_success(tmp_path: Path, settings: Settings) -> None:
    own = own_task(tmp_path, "fine", "raise", width="Choice(1)")
    code, _, stderr = called(settings, "launch", own.reference, "--search", "grid")
    assert code == 0, stderr
    assert "failed" not in stderr


@pytest.mark.usefixtures("_here")
def test_a_retry_whose_trials_all_fail_again_is_a_failure(tmp_path: Path, settings: Settings) -> None:
    own = own_task(tmp_path, "fine", "raise", width="Choice(1)")
    finished_study(own, settings)
    code, _, stderr = called(settings, "retry", "own")
    assert (code, stderr.splitlines()[-1]) == (1, f"all trials failed (1); the first was trial 2: {CRASHED}")
    mend(own, "raise", by="fine")
    code, _, stderr = called(settings, "retry", "own")
    assert code == 0, stderr


@pytest.mark.usefixtures("_here")
def test_an_extension_and_replicates_of_which_all_fail_are_failures(tmp_path: Path, settings: Settings) -> None:
    own = own_task(tmp_path, "unlucky", width="Float(1.0, 9.0)")  # fails with seed 1
    candidates = [Candidate({"act": "unlucky", "width": width, "depth": 1}, 0) for width in (2.0, 3.0)]
    finished_study(own, settings, search="random", trials=2, candidates=candidates)
    code, _, stderr = called(settings, "replicate", "own", "--top", "2", "--seeds", "2")
    assert (code, stderr.splitlines()[-1]) == (1, f"all trials failed (2); the first was trial 2: {CRASHED}")
    code, _, stderr = called(settings, "extend", "own", "--trials", "+1")
    assert code == 0, stderr
    text = own.file.read_text(encoding="utf-8")
    own.file.write_text(f"{text}\ndef is_due(*_): return True\n", encoding="utf-8")
    code, _, stderr = called(settings, "extend", "own", "--trials", "+1")
    assert (code, stderr.splitlines()[-1]) == (1, f"all trials failed (1); the first was trial 5: {CRASHED}")


@pytest.mark.usefixtures("ray")
def test_a_sweep_shows_the_first_error_with_its_place(tmp_path: Path, settings: Settings) -> None:
    own = own_task(tmp_path, "diverge", "raise", width="Choice(1)")
    code, _, stderr = called(settings, "launch", own.reference, "--search", "grid", "--max-concurrent", "1")
    assert (code, "Traceback" in stderr) == (1, False)  # the first diverged
    own = own_task(tmp_path / "raising", "raise", width=TWO)
    words = ("launch", own.reference, "--study", "raising", "--search", "grid", "--max-concurrent", "1")
    code, _, stderr = called(settings, *words)
    assert code == 1
    assert stderr.count("Traceback (most recent call last)") == 1
    assert re.search(r'own_task.py", line \d+, in fail', stderr)
    assert stderr.splitlines()[-1].startswith("all trials failed (2); the first was trial 0: crashed (RuntimeError: ")


@pytest.mark.usefixtures("_here")
def test_a_ray_that_does_not_start_after_ctrl_c_is_no_failure(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(run: StudyRun, plan: Plan, beside: Beside, news: News) -> Failures:
        signal.raise_signal(signal.SIGINT)
        raise SettingsError("Ray did not start on this machine: it timed out")

    monkeypatch.setattr(session, "run_trials", fail)
    code, _, stderr = called(settings, "launch", own_task(tmp_path).reference)
    assert code == 130
    assert "Ray did not start" in stderr


@pytest.mark.usefixtures("_here")
def test_nothing_goes_on_after_ctrl_c(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def interrupted(run: StudyRun, plan: Plan, beside: Beside, news: News) -> Failures:
        signal.raise_signal(signal.SIGINT)
        return Failures()

    monkeypatch.setattr(session.report, "begin", lambda name, settings: begun.append(name))
    monkeypatch.setattr(session, "run_trials", interrupted)
    own = own_task(tmp_path)
    code, _, stderr = called(settings, "launch", own.reference)
    assert (code, begun) == (130, [])
    assert "`tune-jobs report own` writes its report" in stderr
    monkeypatch.setattr(session, "run_trials", train_here)
    assert called(settings, "launch", own.reference, "--trials", "1")[0] == 0
    assert begun == ["own"]


def test_help_lists_the_exit_codes() -> None:
    import click

    text = cli.get_help(click.Context(cli))
    assert re.search(r"^ +1 +failed: .*or all its trials or finalists failed$", text, re.MULTILINE)
    codes = [line.split()[0] for line in text.partition("Exit codes:\n")[2].splitlines()[:5]]
    assert codes == ["0", "1", "2", "130", "143"]

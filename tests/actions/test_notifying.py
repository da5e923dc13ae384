"""A launch tells whom its user named that it begins, what is best, and how it ended; nothing depends on them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.sweeping import SharedRay, called, deliver_nothing, own_task, until
from tests.support.web_servers import silent_server, webhook
from tune_jobs.actions import session
from tune_jobs.errors import UserError
from tune_jobs.execution.plan import Beside, Plan, StudyRun
from tune_jobs.execution.rules import Failures
from tune_jobs.live.news import News
from tune_jobs.search_spaces import Objective
from tune_jobs.settings import Settings
from tune_jobs.training.runs import run_trial

SECRET = "s3cr3t-77ab"
Run = Callable[[StudyRun, Plan, Beside, News], Failures]


def train_here(run: StudyRun, plan: Plan, beside: Beside, news: News) -> Failures:
    """Train what the plan proposes in this process, without Ray; each trial is told as the best."""
    news.begin(0)
    while (one := plan.sampler.ask()) is not None:
        trial = run.study.start(run.study.add(run.inputs.space, one.params, one.seed))
        result = run_trial(run.inputs.task, one.params, run.inputs.data, seed=one.seed)
        trial = run.study.finish(trial, result, cpus=1.0)
        plan.sampler.tell(trial)
        if trial.state == "complete":
            news.best(trial)
    return Failures()


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[[Run], None]:
    """Has launches train in this process."""
    deliver_nothing(monkeypatch)
    return lambda run: monkeypatch.setattr(session, "run_trials", run)


def test_a_launch_tells_its_begin_its_best_and_its_end(
    here: Callable[[Run], None], tmp_path: Path, settings: Settings
) -> None:
    here(train_here)
    own = own_task(tmp_path, width="Choice(1)")
    with webhook() as hook:
        code, _, stderr = called(settings, "launch", own.reference, "--search", "grid", "--notify", hook.url)
        until(lambda: "end" in hook.events, "the last message", patience_s=30)
    assert code == 0
    assert "Notifications" not in stderr
    begin, *_, best, end = hook.bodies
    assert (begin["event"], best["event"]) == ("begin", "best")
    assert begin["study"] == "own"
    assert begin["total"] == 1
    assert best["params"] == {"act": "fine", "width": 1, "depth": 1}
    assert (end["score"], end["trial"], end["signal"]) == (best["score"], 0, None)
    assert end["trials"]["complete"] == 1
    assert end["text"].startswith("tune-jobs: study own has ended after ")


def test_the_variable_names_whom_to_tell_and_an_option_takes_its_place(
    here: Callable[[Run], None], tmp_path: Path, settings: Settings
) -> None:
    here(train_here)
    words = "launch", own_task(tmp_path, width="Choice(1)").reference, "--search", "grid", "--study"
    with webhook() as named, webhook() as other:
        called(settings, *words, "first", TUNE_JOBS_NOTIFY=f"{named.url}\n")
        until(lambda: "end" in named.events, "the last message", patience_s=30)
        n_told = len(named.events)
        called(settings, *words, "second", "--notify", other.url, TUNE_JOBS_NOTIFY=named.url)
        until(lambda: "end" in other.events, "the last message", patience_s=30)
        called(settings, *words, "third", "--notify", "none", TUNE_JOBS_NOTIFY=named.url)
    assert len(named.events) == n_told


def test_a_failure_is_told_in_place_of_an_end(here: Callable[[Run], None], tmp_path: Path, settings: Settings) -> None:
    def refuse(run: StudyRun, plan: Plan, beside: Beside, news: News) -> Failures:
        news.begin(0)
        raise UserError(f"no worker reaches postgresql://ada:{SECRET}@host/db")

    own = own_task(tmp_path, "raise", width="Choice(1)")
    words = "launch", own.reference, "--search", "grid"
    with webhook() as hook:
        here(refuse)
        assert called(settings, *words, "--notify", hook.url)[0] == 2
        until(lambda: hook.events == ["begin", "failure"], "the failure", patience_s=30)
        here(train_here)
        assert called(settings, *words, "--notify", hook.url)[0] == 1
        until(lambda: hook.events[2:] == ["begin", "failure"], "the failure", patience_s=30)
    assert hook.bodies[1]["message"] == "no worker reaches postgresql://ada:***@host/db"
    assert hook.bodies[3]["message"].startswith("all trials failed (1); the first was trial 0: crashed")
    assert hook.bodies[3]["trials"]["failed"] == 1


def test_whom_nobody_can_tell_ends_a_launch_before_it_trains(
    here: Callable[[Run], None], tmp_path: Path, settings: Settings
) -> None:
    here(train_here)
    own = own_task(tmp_path, width="Choice(1)")
    code, _, stderr = called(settings, "launch", own.reference, "--notify", f"no-such-command {SECRET}")
    assert code == 2
    assert "got the command no-such-command, which is not on this machine" in stderr.splitlines()[-1]
    assert SECRET not in stderr
    assert own.trained == []


def test_a_score_that_is_none_and_a_message_of_many_lines_are_words_too() -> None:
    sent: list[dict[str, object]] = []
    news = News("own", "own", Objective("score", "maximize"), send=lambda message: sent.append(dict(message)))
    news.fail("one\ntwo\x1b[31m" + "x" * 10_000)
    assert str(sent[0]["message"]).startswith("one two [31m")
    assert len(str(sent[0])) < 2000


@pytest.mark.slow
def test_a_server_that_never_answers_neither_slows_a_sweep_nor_changes_its_end(
    ray: SharedRay, tmp_path: Path, settings: Settings
) -> None:
    own = own_task(tmp_path, width="Choice(1, 2, 3)")
    with silent_server() as address:
        secret = f"{address}/{SECRET}"
        started = time.monotonic()
        code, _, stderr = called(settings, "launch", own.reference, "--search", "grid", "--notify", secret)
        seconds = time.monotonic() - started
    assert code == 0
    (line,) = [line for line in stderr.splitlines() if line.startswith("Notifications")]
    assert line.startswith("Notifications did not all arrive at http://127.0.0.1:")
    assert SECRET not in stderr
    assert seconds < 30, "waits for the server would be 2 times 5 s for each of three messages, and 2 s between them"
    kept = [path.read_bytes() for path in settings.home.rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in content for content in kept)

"""What is sent to a cluster, and when the same name is the same job."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.sweeping import called, own_task
from tune_jobs.cli import jobs as cli_jobs
from tune_jobs.errors import UserError
from tune_jobs.execution import submission
from tune_jobs.execution.attempts import Job, JobState, latest, next_id, with_stops
from tune_jobs.execution.jobs import JobClient
from tune_jobs.execution.submission import Submission
from tune_jobs.execution.turns import WAITING
from tune_jobs.search_spaces.task_files import TaskFiles
from tune_jobs.settings import Settings

SENT = Submission("mine", "study", "digits-mlp", ("launch-sent", "--", "digits-mlp"), {})


def job(state: JobState, job_id: str = "mine", name: str = "mine", digest: str = SENT.digest, since: float = 0) -> Job:
    return Job(job_id, name, "study", "digits-mlp", digest, state, since)


@pytest.mark.parametrize(
    ("states", "again", "expected"),
    [
        ([], False, "mine"),
        (["waiting"], False, None),
        (["running"], True, None),
        (["complete"], False, None),
        (["complete"], True, "mine~2"),
        (["stopped"], False, "mine~2"),
        (["failed", "stopped"], False, "mine~3"),
        (["failed", "running"], False, None),
        (["failed"] * 10, False, "mine~11"),
    ],
)
def test_a_job_is_sent_where_its_last_attempt_left_something_to_do(
    states: list[JobState], again: bool, expected: str | None
) -> None:
    ids = ["mine", *(f"mine~{attempt}" for attempt in range(2, 12))]
    jobs = [job(state, job_id) for job_id, state in zip(ids, states, strict=False)]
    others = [job("running", "mine-too", "mine-too"), job("running", "min", "min")]
    assert next_id(SENT, [*others, *reversed(jobs)], again=again) == expected


@pytest.mark.parametrize("state", ["waiting", "running", "complete"])
def test_another_request_of_the_same_name_is_no_second_sending(state: JobState) -> None:
    with pytest.raises(UserError, match="with other options or another file"):
        next_id(SENT, [job(state, digest="another")], again=False)


def test_what_ended_well_since_it_was_drained_was_stopped() -> None:
    jobs = [job("complete"), job("complete", "mine~2"), job("failed", "mine~3")]
    assert [one.state for one in with_stops(jobs, ["mine~stop", "mine~3~stop"])] == ["stopped", "complete", "failed"]


def test_whom_a_job_notifies_its_user_and_its_priority_make_no_other_job_and_are_in_no_word_of_its_command() -> None:
    words = ["--trials=3"]
    plain, _, _ = submission.prepare("digits-mlp", None, None, words, None)
    told, _, _ = submission.prepare("digits-mlp", None, None, words, None, (), ["https://host/s3cr3t", "true"])
    told = replace(told, user="ada", priority=7)
    assert told.digest == plain.digest
    assert told.files == {"notify/targets": b"https://host/s3cr3t\ntrue"}
    assert "s3cr3t" not in f"{told.command}{told.metadata}{told.variables('digits-mlp')}"
    assert told.variables("digits-mlp~2") == {
        "TUNE_JOBS_JOB": "7:digits-mlp~2",
        "TUNE_JOBS_USER": "ada",
        "TUNE_JOBS_NOTIFY": "@notify/targets",
    }
    assert "TUNE_JOBS_NOTIFY" not in plain.variables("digits-mlp")
    assert (told.metadata["tune_jobs_user"], told.metadata["tune_jobs_priority"]) == ("ada", "7")


def test_jobs_shows_whose_a_job_is_and_what_one_that_waits_says_last(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    running = replace(job("running", "long", "long"), user="ada")
    waiting = replace(job("running", since=60), user="grace", priority=5)
    logs = {
        "long": "starting Ray …\n[1/3] trial 0\n",
        "mine": f"starting Ray …\n{WAITING}place 1 of 1, about to start\n",
    }

    class Client(JobClient):
        def __init__(self) -> None:
            """Connect to nothing."""

        def jobs(self) -> list[Job]:
            return [waiting, running]

        def logs(self, job: Job) -> str:
            return logs[job.id]

    monkeypatch.setattr(cli_jobs, "_jobs", lambda address: Client())
    code, out, _ = called(settings, "jobs")
    heading, *lines = (line.split() for line in out.splitlines())
    assert (code, heading) == (0, ["job", "study", "user", "priority", "state", "since", "message"])
    assert [line[:5] for line in lines] == [
        ["long", "study", "ada", "0", "running"],
        ["mine", "study", "grace", "5", "waiting"],
    ]
    assert lines[0][-1] == "-"
    assert lines[1][7:] == ["place", "1", "of", "1,", "about", "to", "start"]


def test_of_each_job_the_last_attempt_counts() -> None:
    jobs = [job("failed", since=1), job("running", "mine~10", since=9), job("failed", "mine~9", since=8)]
    assert [one.id for one in latest([*jobs, job("complete", "other", "other", since=5)])] == ["other", "mine~10"]


@pytest.mark.parametrize("name", ["own task.py", "it's; rm -rf $HOME.py", "-x.py", "a:b.py", "ünï.py"])
def test_a_file_of_any_name_travels_alone(tmp_path: Path, name: str) -> None:
    file = own_task(tmp_path / "task").file
    file = file.rename(file.with_name(name))
    sent, task, words = submission.prepare(f"{file}:OWN", None, None, ["--trials=3"], None)
    assert words is None
    assert (sent.name, sent.study, task.name) == ("own", "own", "own")
    assert sent.files == {f"task/{name}": file.read_bytes()}
    words = shlex.split(sent.command.removeprefix("exec tune-jobs "))
    assert words[-2:] == ["--", f"task/{name}:OWN"]
    assert str(tmp_path) not in sent.command

    # there it is kept in the home folder, once
    settings = Settings.read(home=tmp_path / "server")
    arrived = tmp_path / "arrived" / "task" / name
    arrived.parent.mkdir(parents=True)
    arrived.write_bytes(sent.files[f"task/{name}"])
    kept = [submission.keep_task(f"{arrived}:OWN", (), settings)[0] for _ in range(2)]
    assert len(set(kept)) == len(list(settings.tasks_dir.rglob("*.py"))) == 1
    assert submission.catalog.find(kept[0]).digest() == task.digest()
    assert submission.keep_task("digits-mlp", (), settings) == ("digits-mlp", ())


def test_what_lies_beside_a_file_and_what_is_named_is_sent_and_kept(tmp_path: Path) -> None:
    pkg = tmp_path / "here" / "sent_pkg"
    texts = {
        "__init__.py": "",
        "nets.py": "A = 1",
        "widths.csv": "1,2",
        ".env": "TOKEN=1",
        "key.pem": "",
        "own_task.py": own_task(tmp_path / "task", before="from .nets import A\n").file.read_text(),
        "../more/sent_more.py": "B = 2",
    }
    for name, text in texts.items():
        (pkg / name).parent.mkdir(parents=True, exist_ok=True)
        (pkg / name).write_text(text)
    also = [pkg.parent / "more", pkg / "key.pem"]
    sent, task, words = submission.prepare(f"{pkg / 'own_task.py'}:OWN", None, None, [], None, also)
    below = {"own_task.py", "__init__.py", "nets.py", "widths.csv", "key.pem"}
    assert set(sent.files) == {f"task/sent_pkg/{name}" for name in below} | {"task/more/sent_more.py"}
    assert sent.arguments[-1] == "task/sent_pkg/own_task.py:OWN"
    assert {"--with=task/more", "--with=task/sent_pkg/key.pem"} < set(sent.arguments)
    assert words is not None
    assert words.startswith("own_task.py takes along ")

    for path, content in sent.files.items():  # on the cluster
        (tmp_path / "job" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "job" / path).write_bytes(content)
    settings, arrived = Settings.read(home=tmp_path / "server"), tmp_path / "job" / "task"
    named = [arrived / "more", arrived / "sent_pkg" / "key.pem"]
    kept, kept_named = submission.keep_task(f"{arrived / 'sent_pkg' / 'own_task.py'}:OWN", named, settings)
    assert submission.catalog.find(kept, kept_named).digest() == task.digest()
    found = TaskFiles.gather(Path(kept.removesuffix(":OWN")), kept_named)
    assert set(found.contents) == {path.removeprefix("task/") for path in sent.files}
    assert found.root.is_relative_to(settings.tasks_dir)


def test_a_request_differs_by_its_words_and_its_files() -> None:
    same = Submission("mine", "study", "digits-mlp", SENT.arguments, {})
    words = Submission("mine", "study", "digits-mlp", (*SENT.arguments, "x"), {})
    files = Submission("mine", "study", "digits-mlp", SENT.arguments, {"task/own.py": b"1"})
    assert SENT.digest == same.digest
    assert len({SENT.digest, words.digest, files.digest}) == 3


@pytest.mark.parametrize(
    ("changed", "is_same_job", "is_said"),
    [("notes.txt", True, True), ("named/rows.csv", False, False), ("rates.py", False, False), (None, True, False)],
)
def test_what_is_written_beside_a_task_makes_no_other_job_of_it_and_is_said(
    changed: str | None, is_same_job: bool, is_said: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = own_task(tmp_path / "task", before="import rates\n").file
    for name in ("notes.txt", "named/rows.csv", "rates.py"):
        (file.parent / name).parent.mkdir(exist_ok=True)
        (file.parent / name).write_text("")
    words = ["submit", str(file), "--with", str(file.parent / "named")]
    client = Client()
    monkeypatch.setattr(cli_jobs, "_jobs", lambda address: client)
    assert called(Settings.read(home=tmp_path), *words)[0] == 0
    if changed is not None:
        (file.parent / changed).write_text("A = 1")
    code, _, said = called(Settings.read(home=tmp_path), *words)
    assert code == (0 if is_same_job else 2), said
    assert ("job own is running: not sent again" in said) == is_same_job
    assert ("Files beside the task file have changed since: job own has them as they were" in said) == is_said


class Client:
    """A cluster on which every job runs on."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def submit(self, sent: Submission, *, again: bool) -> tuple[Job, bool]:
        if (job_id := next_id(sent, self.jobs, again=again)) is None:
            return self.jobs[-1], False
        beside = sent.metadata["tune_jobs_beside"]
        self.jobs.append(Job(job_id, sent.name, sent.study, sent.task, sent.digest, "running", 0, beside=beside))
        return self.jobs[-1], True

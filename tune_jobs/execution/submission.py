"""What is sent to a cluster, and what comes back of it, in plain values: a launch, its files, and the name under which
it is one job.

A job that ended and is sent again is the next attempt of the same job: Ray takes each id once, which is also what keeps
two who send at the same moment from starting two. Knows nothing of Ray.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from tune_jobs.errors import UserError
from tune_jobs.execution import task_files
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.narrowing import narrow, open_parameters
from tune_jobs.search_spaces.protocol import Protocol, TaskError
from tune_jobs.search_spaces.spelling import near
from tune_jobs.search_spaces.task import Task
from tune_jobs.settings import Settings
from tune_jobs.study import contents

JobState = Literal["waiting", "running", "complete", "stopped", "failed"]

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")  # as a study's
_ATTEMPT = "~"  # before an attempt's number, and in no name
_STOP = "~stop"  # after the id of the attempt that it drains


@dataclass(frozen=True)
class Submission:
    """A `launch` that is to run in a cluster: its words there, and the files that travel with it, by their path in the
    folder that it runs in."""

    name: str
    study: str
    task: str
    words: tuple[str, ...]
    files: Mapping[str, bytes]

    @property
    def command(self) -> str:
        return f"exec tune-jobs {shlex.join(self.words)}"

    @property
    def digest(self) -> str:
        """What tells one request from another of the same name."""
        files = {path: hashlib.sha256(content).hexdigest() for path, content in sorted(self.files.items())}
        return hashlib.sha256(json.dumps([self.words, files]).encode()).hexdigest()

    @property
    def notes(self) -> dict[str, str]:
        """What the cluster is to remember of the job."""
        told = {"name": self.name, "study": self.study, "task": self.task, "digest": self.digest}
        return {f"tune_jobs_{key}": value for key, value in told.items()}


@dataclass(frozen=True)
class Job:
    """An attempt at a job, as a cluster knows it; `since` is unix seconds, when its state began."""

    id: str
    name: str
    study: str
    task: str
    digest: str
    state: JobState
    since: float
    message: str = ""
    exit_code: int | None = None

    @property
    def is_over(self) -> bool:
        return self.state not in ("waiting", "running")

    @property
    def attempt(self) -> int:
        return int(self.id.removeprefix(self.name).removeprefix(_ATTEMPT) or 1)

    @property
    def ended_as(self) -> int:
        """The exit code that `launch` ended with, or would have."""
        if self.state == "complete":
            return 0
        return 143 if self.state == "stopped" else self.exit_code or 1

    def __str__(self) -> str:
        if self.state == "complete":
            return f"job {self.name} is complete"
        if self.state == "stopped":
            return f"job {self.name} was stopped: what is finished is kept, the same submit goes on"
        if self.state == "failed":
            return f"job {self.name} has failed{': ' * bool(self.message)}{self.message}"
        return f"job {self.name} is {self.state}"


def prepared(
    reference: str, study: str | None, name: str | None, options: Sequence[str], tried: Path | None
) -> tuple[Submission, Task]:
    """What is to be sent, and its task as it will be found there: a file of the user's own has to stand alone.

    `options` are those of `launch` as they were said, without the file of `--try`, which is `tried`.

    Raises:
        UserError, TaskError: the task cannot be found so, a file cannot be read, or the name cannot be a job's.
    """
    file, attribute = catalog.split(reference)
    files: dict[str, bytes] = {}
    if file is None:
        task, sent = catalog.find(reference), reference
    else:
        text = _read(file)
        with tempfile.TemporaryDirectory() as folder:
            task = task_files.load(text.decode(errors="replace"), file.name, attribute, Path(folder))
        sent = f"task/{file.name}" if attribute is None else f"task/{file.name}:{attribute}"
        files[f"task/{file.name}"] = text
    words = ["launch-sent", *options, "--address", "auto"]
    if tried is not None:
        files["try/configurations.yaml"] = _read(tried)
        words += ["--try", "try/configurations.yaml"]
    study = study or task.name
    contents.check_name(study)
    name = name or study
    if not _NAME.fullmatch(name):
        raise UserError(f"a job's name is letters, digits, '.', '_' and '-', at most 100; got {name!r}")
    words += ["--study", study, "--", sent]
    return Submission(name, study, task.name, tuple(words), files), task


def check(task: Task, options: Mapping[str, Any]) -> None:
    """Whether what was asked of `launch` can be asked of this task, as far as that can be told without its data and the
    study.

    Raises:
        UserError, TaskError, SpaceError: if not.
    """
    from tune_jobs.records import objectives
    from tune_jobs.search import warm_starts

    narrow(open_parameters(task.space, options["opened"]), options["narrowed"])
    if options["objectives"]:
        objectives.asked(options["objectives"], task)
    if options["tried"] is not None:
        warm_starts.from_file(options["tried"], task)
    said = {one.name: options[one.name] for one in fields(Protocol) if options.get(one.name) is not None}
    replace(task.protocol, **said)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise TaskError(f"no file {file}") from None
    except OSError as error:
        raise TaskError(f"{file} cannot be read: {error.strerror}") from None


def received(reference: str, settings: Settings) -> str:
    """The task that was sent here as it will be found again: its file goes to the home folder, for the folder that it
    came in is not kept."""
    file, attribute = catalog.split(reference)
    if file is None:
        return reference
    kept = task_files.keep(_read(file), file.name, settings.tasks_dir)
    return str(kept) if attribute is None else f"{kept}:{attribute}"


def attempts(name: str, jobs: Iterable[Job]) -> list[Job]:
    """All attempts at a job, the last one last."""
    return sorted((job for job in jobs if job.name == name), key=lambda job: job.attempt)


def latest(jobs: Iterable[Job]) -> list[Job]:
    """The last attempt at each job, in the order in which they began."""
    last: dict[str, Job] = {}
    for job in jobs:
        if job.name not in last or last[job.name].attempt < job.attempt:
            last[job.name] = job
    return sorted(last.values(), key=lambda job: job.since)


def named(name: str, jobs: Iterable[Job], address: str) -> Job:
    """The last attempt at the job of this name.

    Raises:
        UserError: there is none.
    """
    jobs = latest(jobs)
    for job in jobs:
        if job.name == name:
            return job
    others = near(name, (job.name for job in jobs))
    raise UserError(f"no job named {name!r} at {address}{others}. `tune-jobs jobs` lists all")


def next_id(submission: Submission, jobs: Iterable[Job], *, again: bool) -> str | None:
    """The id under which it is to be sent; None where it was sent already and is under way or complete.

    Raises:
        UserError: under its name something else runs, or has been completed.
    """
    before = attempts(submission.name, jobs)
    if not before:
        return submission.name
    last = before[-1]
    if last.state in ("failed", "stopped") or (last.state == "complete" and again):
        return f"{submission.name}{_ATTEMPT}{last.attempt + 1}"
    if last.digest != submission.digest:
        other = "--again runs this after it, or " if last.state == "complete" else ""
        raise UserError(f"{last}, with other options or another file: {other}--name gives this one a name of its own")
    return None


def stop_id(job: Job) -> str:
    """The id of what drains an attempt at a job."""
    return f"{job.id}{_STOP}"


def drained(jobs: Iterable[Job], stops: Iterable[str]) -> list[Job]:
    """The jobs, of which those are stopped that ended well since they were drained: `stops` are the ids of drains."""
    told = set(stops)
    return [replace(job, state="stopped") if job.state == "complete" and stop_id(job) in told else job for job in jobs]

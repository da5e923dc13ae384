"""The attempts at a job of a cluster: which one is the latest, and which id the next one has.

A job that ended and is sent again is the next attempt at the same job. Ray accepts each id once, so that two clients
that send a job at the same moment start it once. Knows nothing of Ray.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from tune_jobs.errors import UserError
from tune_jobs.execution.submission import Submission
from tune_jobs.search_spaces.spelling import near

JobState = Literal["waiting", "running", "complete", "stopped", "failed"]

_ATTEMPT = "~"  # before an attempt's number; no name of a job contains it
_STOP = "~stop"  # after an attempt's id: the id of the job that drains it


@dataclass(frozen=True)
class Job:
    """An attempt at a job, as its cluster knows it. `since` is when its state began, in unix seconds."""

    id: str
    name: str
    study: str
    task: str
    digest: str  # of its submission
    state: JobState
    since: float
    message: str = ""
    exit_code: int | None = None
    beside: str = ""  # digest of the files beside its task file
    user: str = ""  # who sent it, as its client said
    priority: int = 0

    @property
    def is_over(self) -> bool:
        return self.state not in ("waiting", "running")

    @property
    def attempt(self) -> int:
        """The number of this attempt, counted from one."""
        return int(self.id.removeprefix(self.name).removeprefix(_ATTEMPT) or 1)

    @property
    def launch_exit_code(self) -> int:
        """The exit code of the job's `launch`: 143 if the job was stopped."""
        if self.state == "complete":
            return 0
        return 143 if self.state == "stopped" else self.exit_code or 1

    def __str__(self) -> str:
        if self.state == "complete":
            return f"job {self.name} is complete"
        if self.state == "stopped":
            return f"job {self.name} was stopped: finished trials are kept, the same `tune-jobs submit` continues"
        if self.state == "failed":
            return f"job {self.name} has failed" + (f": {self.message}" if self.message else "")
        return f"job {self.name} is {self.state}"


def latest(jobs: Iterable[Job]) -> list[Job]:
    """Return the last attempt at each job, in the order in which they began."""
    last: dict[str, Job] = {}
    for job in jobs:
        if job.name not in last or last[job.name].attempt < job.attempt:
            last[job.name] = job
    return sorted(last.values(), key=lambda job: job.since)


def find_job(name: str, jobs: Iterable[Job], address: str) -> Job:
    """Return the last attempt at the job of this name.

    Raises:
        UserError: if there is no such job.
    """
    jobs = latest(jobs)
    for job in jobs:
        if job.name == name:
            return job
    others = near(name, (job.name for job in jobs))
    raise UserError(f"no job named {name!r} at {address}{others}. `tune-jobs jobs` lists all")


def next_id(submission: Submission, jobs: Iterable[Job], *, again: bool) -> str | None:
    """Return the id of the next attempt; None if the job is under way or complete. `again` repeats a complete one.

    Raises:
        UserError: if another submission of the same name is under way or complete.
    """
    attempts = sorted((job for job in jobs if job.name == submission.name), key=lambda job: job.attempt)
    if not attempts:
        return submission.name
    last = attempts[-1]
    if last.state in ("failed", "stopped") or (last.state == "complete" and again):
        return f"{submission.name}{_ATTEMPT}{last.attempt + 1}"
    if last.digest != submission.digest:
        hint = "run this one after it with --again, or " if last.state == "complete" else ""
        raise UserError(f"{last}, with other options or another file: {hint}give this one another name with --name")
    return None


def stop_id(job: Job) -> str:
    """Return the id of the job that drains an attempt."""
    return f"{job.id}{_STOP}"


def with_stops(jobs: Iterable[Job], stop_ids: Iterable[str]) -> list[Job]:
    """Return the jobs with those as stopped that ended well after they were drained, by the ids of `stop_id`."""
    drained = set(stop_ids)
    return [
        replace(job, state="stopped") if job.state == "complete" and stop_id(job) in drained else job for job in jobs
    ]

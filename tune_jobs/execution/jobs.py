"""The jobs of a Ray cluster, over its dashboard's HTTP interface: send them, list them, follow and end them."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from tune_jobs import temporary
from tune_jobs.errors import SettingsError, UserError
from tune_jobs.execution import attempts
from tune_jobs.execution.attempts import Job, JobState
from tune_jobs.execution.reachability import SET_TOKEN
from tune_jobs.execution.submission import Submission
from tune_jobs.execution.turns import WAITING

_ANSWER_TIMEOUT_S = 30.0  # of one request
_STOP_WAIT_S = 120  # between a job's SIGTERM and Ray's SIGKILL: time for its exports and for MLflow
_RECONNECT_S = 120.0  # for how long a dashboard that was lost is called again
_POLL_S = 1.0
_SILENCE_S = 20.0  # without output, before the job's state is asked for
_DRAIN_S = 60.0  # for the job that drains another to reach its driver

_STATES: dict[str, JobState] = {
    JobStatus.PENDING: "waiting",
    JobStatus.RUNNING: "running",
    JobStatus.SUCCEEDED: "complete",
    JobStatus.STOPPED: "stopped",
    JobStatus.FAILED: "failed",
}


class _Client(JobSubmissionClient):  # type: ignore[misc]
    """Ray's client with a time limit for each request."""

    def _do_request(self, method: str, endpoint: str, **more: Any) -> Any:
        """Send a request. Private to Ray: its client has no option for a timeout, and would wait for ever."""
        return super()._do_request(method, endpoint, timeout=_ANSWER_TIMEOUT_S, **more)


class JobClient:
    """The jobs of the cluster whose dashboard is at `address`.

    Raises, as each method does:
        SettingsError: if no dashboard with jobs answers there, or it refuses this process's token.
    """

    def __init__(self, address: str) -> None:
        if not address.startswith(("http://", "https://")):
            raise SettingsError(f"jobs need the address of a dashboard, such as http://HOST:8265; got {address!r}")
        for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):  # Ray would prefer these to the address it is given
            os.environ.pop(name, None)
        self.address = address.rstrip("/")
        try:
            with self._errors_for_users():
                self._client = _Client(self.address)
        except _AnswerError as error:
            raise SettingsError(
                f"the server at {self.address} is not a Ray dashboard that takes jobs ({error.__cause__}): install "
                "`ray[default]` on the cluster's head"
            ) from error
        for module in (
            "dashboard.modules.dashboard_sdk",
            "dashboard.modules.job.sdk",
            "_private.runtime_env.packaging",
        ):
            logging.getLogger(f"ray.{module}").setLevel(logging.ERROR)  # they log each package that is sent

    def jobs(self) -> list[Job]:
        """Return every attempt at every job that `tune-jobs submit` sent."""
        submitted = [details for details in self._details() if details.submission_id and details.metadata]
        jobs = [_job(details) for details in submitted if "tune_jobs_name" in details.metadata]
        stop_ids = [str(details.submission_id) for details in submitted if "tune_jobs_stops" in details.metadata]
        return attempts.with_stops(jobs, stop_ids)

    def find(self, name: str) -> Job:
        """Return the last attempt at a job.

        Raises:
            UserError: if there is no such job.
        """
        return attempts.find_job(name, self.jobs(), self.address)

    def submit(self, submission: Submission, *, again: bool) -> tuple[Job, bool]:
        """Send a job unless it is under way or complete. Return the job, and True if this call sent it.

        Raises:
            UserError: if another job has its name.
        """
        while (job_id := attempts.next_id(submission, self.jobs(), again=again)) is not None:
            if self._send(job_id, submission):
                return self.find(submission.name), True
            again = False  # another client was faster
        return self.find(submission.name), False

    def _send(self, job_id: str, submission: Submission) -> bool:
        """Send a job under this id. Return False if another client has used the id."""
        with temporary.folder() as folder:
            for path, content in submission.files.items():
                file = folder / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            variables = {"RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_WAIT_S), **submission.variables(job_id)}
            environment: dict[str, Any] = {"env_vars": variables}
            if submission.files:
                environment["working_dir"] = str(folder)
            return self._start(submission.command, job_id, environment, submission.metadata)

    def _start(self, command: str, job_id: str, environment: dict[str, Any], metadata: dict[str, str]) -> bool:
        """Start a job. Return False if its id is in use already."""
        try:
            with self._errors_for_users():
                self._client.submit_job(
                    entrypoint=command, submission_id=job_id, runtime_env=environment, metadata=metadata
                )
        except _AnswerError:
            if any(job_id == details.submission_id for details in self._details()):
                return False
            raise
        return True

    def _details(self) -> list[JobDetails]:
        with self._errors_for_users():
            return list(self._client.list_jobs())

    def logs(self, job: Job) -> str:
        """Return all output of a job so far."""
        with self._errors_for_users():
            return str(self._client.get_job_logs(job.id))

    def in_queue(self, job: Job) -> Job:
        """Return a job as waiting, with its place and what it waits for, if its driver says last that it waits."""
        if job.state != "running":
            return job
        last = self.logs(job).rstrip().rpartition("\n")[2]
        if not last.startswith(WAITING):
            return job
        return replace(job, state="waiting", message=last.removeprefix(WAITING)[:300])

    def follow(self, job: Job, write: Callable[[str], None], say: Callable[[str], None]) -> Job:
        """Write a job's output until the job ends, and return its end. A lost connection is opened again."""
        n_written, lost_at = 0, None
        while True:
            try:
                n_written = asyncio.run(self._tail(job, n_written, write))
                current = self._refreshed(job)
                if current.is_over:
                    write(self.logs(job)[n_written:])
                    return current
                lost_at = None
            except SettingsError as error:
                if lost_at is None:
                    say(f"{error}: trying again for {_RECONNECT_S:g} s")
                lost_at = lost_at or time.monotonic()
                if time.monotonic() - lost_at > _RECONNECT_S:
                    raise
            time.sleep(_POLL_S)

    async def _tail(self, job: Job, n_written: int, write: Callable[[str], None]) -> int:
        """Write a job's output after its first `n_written` characters, until the connection ends.

        Returns how many characters are written then. A new connection sends all of the output again.
        """
        n_read, stream = 0, aiter(self._client.tail_job_logs(job.id))
        try:
            while (text := await self._next_text(job, stream)) is not None:
                write(text[max(0, n_written - n_read) :])
                n_read += len(text)
                n_written = max(n_written, n_read)
        except (aiohttp.ClientError, OSError, RuntimeError):
            pass  # whether the job has ended is asked next
        return n_written

    async def _next_text(self, job: Job, stream: AsyncIterator[str]) -> str | None:
        """Return the next output; None at the end. A connection that was cut may never report its end."""
        text = asyncio.ensure_future(anext(stream, None))
        while not text.done():
            await asyncio.wait({text}, timeout=_SILENCE_S)
            if not text.done() and (await asyncio.to_thread(self._refreshed, job)).is_over:
                text.cancel()
                return None
        return text.result()

    def _refreshed(self, job: Job) -> Job:
        """Return the same attempt as it is now."""
        for current in self.jobs():
            if current.id == job.id:
                return current
        raise UserError(f"the cluster at {self.address} no longer knows job {job.name}: it has been started anew")

    def drain(self, job: Job) -> bool:
        """Let a job's running trials finish and start no other. Return True once its driver knows.

        A second job runs `tune-jobs stop` on the driver's machine.
        """
        metadata, no_address = {"tune_jobs_stops": job.id}, {"env_vars": {"TUNE_JOBS_ADDRESS": ""}}
        stop_id = attempts.stop_id(job)
        self._start(f"exec tune-jobs stop {job.study}", stop_id, no_address, metadata)
        deadline = time.monotonic() + _DRAIN_S
        while time.monotonic() < deadline:
            with self._errors_for_users():
                status = self._client.get_job_status(stop_id)
            if status.is_terminal():
                return bool(status == JobStatus.SUCCEEDED)
            time.sleep(_POLL_S)
        return False

    def end(self, job: Job) -> None:
        """Send SIGTERM to a job's driver, which keeps finished trials; Ray sends SIGKILL if it does not end in time."""
        with self._errors_for_users():
            self._client.stop_job(job.id)

    def wait(self, job: Job, seconds: float) -> Job:
        """Return the job when it has ended, or as it is after so many seconds."""
        deadline = time.monotonic() + seconds
        while not (current := self._refreshed(job)).is_over and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        return current

    @contextmanager
    def _errors_for_users(self) -> Iterator[None]:
        """Turn the errors of a request into messages for the user."""
        try:
            yield
        except AuthenticationError as error:
            raise SettingsError(
                f"the cluster at {self.address} needs a token, or refused the one of this process: {SET_TOKEN}"
            ) from error
        except (requests.Timeout, ConnectionError, requests.ConnectionError) as error:
            raise SettingsError(
                f"no Ray dashboard answers at {self.address}: use the address of the cluster's head with the "
                "dashboard's port (8265 by default), or of a tunnel to it"
            ) from error
        except (requests.RequestException, RuntimeError, ValueError, KeyError) as error:
            why = _last_line(str(error))
            raise _AnswerError(f"the cluster at {self.address} answered with an error: {why}") from error


class _AnswerError(SettingsError):
    """The dashboard answered with an error."""


def _job(details: JobDetails) -> Job:
    metadata, state = details.metadata, _STATES[details.status]
    priority = metadata.get("tune_jobs_priority", "0")
    is_over = state not in ("waiting", "running")
    since_ms = details.end_time if details.end_time and is_over else details.start_time
    return Job(
        id=details.submission_id,
        name=metadata["tune_jobs_name"],
        study=metadata.get("tune_jobs_study", ""),
        task=metadata.get("tune_jobs_task", ""),
        digest=metadata.get("tune_jobs_digest", ""),
        beside=metadata.get("tune_jobs_beside", ""),
        state=state,
        since=(since_ms or 0) / 1000,
        message=_last_line(details.message or "") if state in ("failed", "waiting") else "",
        exit_code=details.driver_exit_code,
        user=metadata.get("tune_jobs_user", ""),
        priority=int(priority) if re.fullmatch(r"-?\d{1,9}", priority) else 0,
    )


def _last_line(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[-1].removeprefix("tune-jobs: ")[:300] if lines else ""

"""The jobs of a Ray cluster, over its dashboard's HTTP: sends them, lists them, follows what they say, ends them."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from tune_jobs.errors import SettingsError, UserError
from tune_jobs.execution import submission
from tune_jobs.execution.reachability import SET_TOKEN
from tune_jobs.execution.submission import Job, JobState, Submission

_ANSWER_S = 30.0  # for an answer of the dashboard
_ENDS_WITHIN_S = 120  # from a job's SIGTERM to Ray's SIGKILL, for its exports and MLflow's last word
_AWAY_S = 120.0  # how long a dashboard that was there is waited for
_LOOK_S = 1.0
_SILENCE_S = 20.0  # of a job, until it is asked whether it still runs
_DRAIN_S = 60.0  # for a stop to be told to the driver

_STATES: dict[str, JobState] = {
    JobStatus.PENDING: "waiting",
    JobStatus.RUNNING: "running",
    JobStatus.SUCCEEDED: "complete",
    JobStatus.STOPPED: "stopped",
    JobStatus.FAILED: "failed",
}


class _Client(JobSubmissionClient):  # type: ignore[misc]
    """Ray's own waits for ever where nothing answers."""

    def _do_request(self, method: str, endpoint: str, **more: Any) -> Any:
        return super()._do_request(method, endpoint, timeout=_ANSWER_S, **more)


class Jobs:
    """The jobs of the cluster whose dashboard is at `address`.

    Raises, as each method does:
        SettingsError: nothing answers there, or what does is no dashboard with jobs, or it refuses our token.
    """

    def __init__(self, address: str) -> None:
        if not address.startswith(("http://", "https://")):
            raise SettingsError(f"jobs need the address of a dashboard, such as http://HOST:8265; got {address!r}")
        for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):  # Ray would take either for the address that we name
            os.environ.pop(name, None)
        self.address = address.rstrip("/")
        try:
            with self._asking():
                self._client = _Client(self.address)
        except _AnswerError as error:
            raise SettingsError(
                f"what answers at {self.address} is no Ray dashboard that takes jobs ({error.__cause__}): the head "
                "needs `ray[default]`"
            ) from error
        for module in (
            "dashboard.modules.dashboard_sdk",
            "dashboard.modules.job.sdk",
            "_private.runtime_env.packaging",
        ):
            logging.getLogger(f"ray.{module}").setLevel(logging.ERROR)  # they tell of each package they send

    def all(self) -> list[Job]:
        """Every attempt at every job."""
        with self._asking():
            found = [job for job in self._client.list_jobs() if job.submission_id and job.metadata]
        jobs = [_job(one) for one in found if "tune_jobs_name" in one.metadata]
        stops = [str(one.submission_id) for one in found if "tune_jobs_stops" in one.metadata]
        return submission.drained(jobs, stops)

    def named(self, name: str) -> Job:
        """The last attempt at a job.

        Raises:
            UserError: there is no such job.
        """
        return submission.named(name, self.all(), self.address)

    def submit(self, sent: Submission, *, again: bool) -> tuple[Job, bool]:
        """The job, and whether it was sent by this call; it was not where it is under way or complete already.

        Raises:
            UserError: another job has its name.
        """
        while (job_id := submission.next_id(sent, self.all(), again=again)) is not None:
            if self._send(job_id, sent):
                return self.named(sent.name), True
            again = False  # whoever was faster has sent it
        return self.named(sent.name), False

    def _send(self, job_id: str, sent: Submission) -> bool:
        """Sends a job under this id; whether Ray took it, and nobody else was faster."""
        with tempfile.TemporaryDirectory() as folder:
            for path, content in sent.files.items():
                file = Path(folder, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            environment: dict[str, Any] = {"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(_ENDS_WITHIN_S)}}
            if sent.files:
                environment["working_dir"] = folder
            return self._submitted(sent.command, job_id, environment, sent.notes)

    def _submitted(self, command: str, job_id: str, environment: dict[str, Any], notes: dict[str, str]) -> bool:
        try:
            with self._asking():
                self._client.submit_job(
                    entrypoint=command, submission_id=job_id, runtime_env=environment, metadata=notes
                )
        except _AnswerError:
            if any(job_id == job.submission_id for job in self._listed()):
                return False
            raise
        return True

    def _listed(self) -> list[JobDetails]:
        with self._asking():
            return list(self._client.list_jobs())

    def logs(self, job: Job) -> str:
        """All that a job has said so far."""
        with self._asking():
            return str(self._client.get_job_logs(job.id))

    def follow(self, job: Job, write: Callable[[str], None], say: Callable[[str], None]) -> Job:
        """Writes what a job says until it ends, however often the connection is lost; how it ended."""
        written, away_since = 0, None
        while True:
            try:
                written = asyncio.run(self._tail(job, written, write))
                now = self._again(job)
                if now.is_over:
                    write(self.logs(job)[written:])
                    return now
                away_since = None
            except SettingsError as error:
                if away_since is None:
                    say(f"{error}: trying for {_AWAY_S:g} s")
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > _AWAY_S:
                    raise
            time.sleep(_LOOK_S)

    async def _tail(self, job: Job, written: int, write: Callable[[str], None]) -> int:
        """Writes what comes after the first `written` characters until the connection ends; how many there are then."""
        heard, stream = 0, aiter(self._client.tail_job_logs(job.id))
        try:
            while (text := await self._heard(job, stream)) is not None:
                write(text[max(0, written - heard) :])
                heard += len(text)
                written = max(written, heard)
        except (aiohttp.ClientError, OSError, RuntimeError):
            pass  # how the job is will tell whether that was its end
        return written

    async def _heard(self, job: Job, stream: AsyncIterator[str]) -> str | None:
        """What comes next; None at the end, which a connection that was cut may be silent about."""
        coming = asyncio.ensure_future(anext(stream, None))
        while not coming.done():
            await asyncio.wait({coming}, timeout=_SILENCE_S)
            if not coming.done() and (await asyncio.to_thread(self._again, job)).is_over:
                coming.cancel()
                return None
        return coming.result()

    def _again(self, job: Job) -> Job:
        """The same attempt, as it is now."""
        for now in self.all():
            if now.id == job.id:
                return now
        raise UserError(f"job {job.name} is not known at {self.address} any more: its cluster was begun anew")

    def drain(self, job: Job) -> bool:
        """Has a job's driver told, on its own machine, that no further trial is to begin; whether it was."""
        notes, nowhere = {"tune_jobs_stops": job.id}, {"env_vars": {"TUNE_JOBS_ADDRESS": ""}}
        self._submitted(f"exec tune-jobs stop {job.study}", submission.stop_id(job), nowhere, notes)
        deadline = time.monotonic() + _DRAIN_S
        while time.monotonic() < deadline:
            with self._asking():
                status = self._client.get_job_status(submission.stop_id(job))
            if status.is_terminal():
                return bool(status == JobStatus.SUCCEEDED)
            time.sleep(_LOOK_S)
        return False

    def end(self, job: Job) -> None:
        """SIGTERM to a job's driver, which keeps what is finished, and SIGKILL where it has not ended in time."""
        with self._asking():
            self._client.stop_job(job.id)

    def wait(self, job: Job, seconds: float) -> Job:
        """The job as it is when it has ended, or after so long."""
        deadline = time.monotonic() + seconds
        while not (now := self._again(job)).is_over and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        return now

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except AuthenticationError as error:
            raise SettingsError(
                f"the cluster at {self.address} needs a token, or refused the one of this process: {SET_TOKEN}"
            ) from error
        except (requests.Timeout, ConnectionError, requests.ConnectionError) as error:
            raise SettingsError(
                f"no Ray dashboard answers at {self.address}: is it the address of the cluster's head, with its port "
                "8265, or of a tunnel to it?"
            ) from error
        except (requests.RequestException, RuntimeError, ValueError, KeyError) as error:
            raise _AnswerError(f"the cluster at {self.address} could not do it: {_last_line(str(error))}") from error


class _AnswerError(SettingsError):
    """The dashboard answered, with an error."""


def _job(found: JobDetails) -> Job:
    notes, state = found.metadata, _STATES[found.status]
    at_ms = found.end_time if found.end_time and state not in ("waiting", "running") else found.start_time
    return Job(
        id=found.submission_id,
        name=notes["tune_jobs_name"],
        study=notes.get("tune_jobs_study", ""),
        task=notes.get("tune_jobs_task", ""),
        digest=notes.get("tune_jobs_digest", ""),
        state=state,
        since=(at_ms or 0) / 1000,
        message=_last_line(found.message or "") if state in ("failed", "waiting") else "",
        exit_code=found.driver_exit_code,
    )


def _last_line(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[-1].removeprefix("tune-jobs: ")[:300] if lines else ""

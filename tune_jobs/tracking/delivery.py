"""Delivers a study to MLflow from a process of its own, so that a sweep never waits for MLflow.

The process reads the study, and asks nothing of the driver. It imports MLflow once the driver waits for its workers, so
that Ray starts sooner, and then has lower priority than training. It ends when the pipe to the driver closes, which
happens however the driver ends. While MLflow is away it tries again; an MLflow that denies access, or refuses the
study, is asked once more at the end. The next launch or `tune-jobs sync` delivers the rest. A
report (`report.py`) says what keeps anything from MLflow.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tune_jobs import files, process
from tune_jobs.errors import SettingsError
from tune_jobs.masking import redact
from tune_jobs.records.studies import StudyRecord
from tune_jobs.settings import Settings
from tune_jobs.study.locks import taking_turns
from tune_jobs.study.study import Study
from tune_jobs.tracking import report, store
from tune_jobs.tracking.report import Report
from tune_jobs.tracking.store import access_denied, is_access_denied, is_refusal
from tune_jobs.tracking.tracker import Tracker
from tune_jobs.words import one_line, printable

ACCESS_DENIED = 3  # exit code of the process if MLflow denies access

_POLL_S = 1.0
_START_S = 30.0  # for the word that the driver waits for its workers
_NICENESS = 10  # while others train
_GRACE_S = 15.0  # for a store that is away, once the sweep has ended


@dataclass(frozen=True)
class Delivery:
    """The process that delivers while a sweep runs."""

    _process: subprocess.Popen[bytes]
    _log: Path
    _study: str
    _settings: Settings

    def sweep_began(self) -> None:
        """Let the process import MLflow: the driver waits for workers now."""
        assert self._process.stdin is not None
        with suppress(OSError):  # the process has ended
            self._process.stdin.write(b".")

    def sweep_ended(self) -> None:
        """Let the process deliver the rest and end. A second call does nothing.

        No training has to go first any more, and on a machine that others use too the rest would take minutes.
        """
        assert self._process.stdin is not None
        self._process.stdin.close()
        process.end_giving_way(self._process.pid)

    def wait(self) -> bool:
        """Wait until the process ends, and say what it has to say. Return True if it delivered everything."""
        self.sweep_ended()
        code = self._process.wait()
        if code == ACCESS_DENIED:
            print(printable(f"MLflow denied access: see the last line of {self._log}"), file=sys.stderr)
        for line in report.read(self._study, self._settings).lines():
            print(printable(line), file=sys.stderr)
        return code == 0


@contextmanager
def alongside(study_name: str, settings: Settings) -> Iterator[Delivery]:
    """Start a process that delivers the study for the block, and what is left after it."""
    command = [sys.executable, "-P", "-m", "tune_jobs", "sync", study_name, "--follow", "--home", str(settings.home)]
    file = settings.home / "delivery.log"
    report.write(study_name, settings, Report(view=report.read(study_name, settings).view))
    with files.opened(file, mode=0o600) as log:
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True, bufsize=0
        )
    delivery = Delivery(child, file, study_name, settings)
    try:
        yield delivery
    finally:
        delivery.sweep_ended()


def follow(study_name: str, settings: Settings) -> int:
    """Deliver until standard input closes and nothing is left.

    Returns an exit code: 0 if everything was delivered, ACCESS_DENIED if MLflow denies access, else 1.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # Ray sends it to all processes of a job; the driver handles it
    os.umask(0o077)  # of what MLflow writes
    is_over = _input_closed(_START_S)
    study = Study.open(study_name, settings)
    with _one_at_a_time(study_name, settings):
        tracker = Tracker(settings, study.history)
        follower = _Follower(study, tracker)
        if not is_over:
            follower.connect()  # at full speed: beside much else MLflow would not be imported when the sweep ends
            _give_way()
        is_delivered = follower.run()
        problem = None if is_delivered or follower.is_denied else follower.problem
        report.write(study_name, settings, _report(tracker, problem))
    if is_delivered:
        return 0
    return ACCESS_DENIED if follower.is_denied else 1


def _give_way() -> None:
    """Let training go first while the sweep runs."""
    process.give_way(_NICENESS)
    if _input_closed(0.0):  # the driver may have said before that somebody waits for this process
        process.end_giving_way(os.getpid())


def deliver_once(study_name: str, settings: Settings) -> tuple[StudyRecord, int]:
    """Deliver what is missing now. Return the study, and how many trials MLflow had not seen as they are.

    Raises:
        SettingsError: if MLflow fails; calling this again continues the work.
    """
    with _one_at_a_time(study_name, settings):
        study = Study.open(study_name, settings)
        tracker = Tracker(settings, study.record)
        record = study.history()
        try:
            n_new = tracker.deliver(record)
            n_new += tracker.close(record)
        except Exception as error:
            refused = _error(error, settings)
            report.write(study_name, settings, _report(tracker, str(refused)))
            raise refused from error
        report.write(study_name, settings, _report(tracker, None))
        if tracker.failed:
            raise _again(_failures(tracker))
        return record, n_new


def send_file(study: StudyRecord, file: Path, settings: Settings) -> None:
    """Send MLflow a file of the study, as an artifact of its run. Nothing happens if MLflow has no such run.

    Raises:
        SettingsError: MLflow fails.
    """
    with _one_at_a_time(study.name, settings):
        try:
            store.check(settings)
            Tracker(settings).send_file(study, file)
        except Exception as error:
            raise _error(error, settings) from error


def _error(error: Exception, settings: Settings) -> SettingsError:
    """Return what to say of an error of MLflow: it denies access, refuses the study, or does not answer."""
    if isinstance(error, SettingsError):
        return error
    why = redact(one_line(error), settings.tracking_uri)
    if is_access_denied(error):
        return access_denied(settings.shown_tracking_uri, why)
    if is_refusal(error):
        return SettingsError(f"MLflow at {settings.shown_tracking_uri} answers, and refuses the study ({why})")
    return _again(why)


def _again(why: str) -> SettingsError:
    return SettingsError(f"MLflow failed ({why}); nothing is lost: run `tune-jobs sync` again")


def _failures(tracker: Tracker) -> str:
    return "; ".join(f"trial {number}: {why}" for number, why in list(tracker.failed.items())[:3])


def _report(tracker: Tracker, problem: str | None) -> Report:
    left_out = tuple(redact(f"{what} ({why})") for what, why in tracker.left_out.items())
    failed = tuple(redact(f"trial {number} ({why})") for number, why in tracker.failed.items())
    return Report(problem, left_out + failed, tuple(tracker.news), tracker.view)


class _Follower:
    """Delivers a study again and again while it grows."""

    def __init__(self, study: Study, tracker: Tracker) -> None:
        self._study, self._tracker = study, tracker
        self.is_denied = False
        self.problem: str | None = None  # the last one, in a line
        self._is_hopeless = False  # asking again is pointless until somebody changes something
        self._deadline: float | None = None  # for a store that is away, once the sweep has ended

    def connect(self) -> None:
        """Import MLflow, and find or create the study's runs, if it answers."""
        self._try(self._tracker.connect)

    def run(self) -> bool:
        """Deliver until standard input closes. Return True if everything is delivered."""
        while True:
            is_last = _input_closed(_POLL_S)
            if self._is_hopeless and not is_last:
                continue
            is_delivered = self._try(self._tracker.deliver) and not self._has_failures()
            if is_last and is_delivered:
                return self._try(self._tracker.close) and not self._has_failures()
            if is_last and (self._is_hopeless or self._is_past_deadline()):
                return self._give_up()
            if is_last:
                time.sleep(_POLL_S)

    def _has_failures(self) -> bool:
        """Return True if there are trials with which the server failed."""
        return bool(getattr(self._tracker, "failed", None))

    def _give_up(self) -> bool:
        """Close the study in MLflow without the trials that it does not take, if there are only some."""
        if self.problem is None:
            self._try(self._tracker.close)
        return False

    def _try(self, action: Callable[[StudyRecord], object]) -> bool:
        try:
            action(self._study.history())
        except Exception as error:
            self._note(error)
            return False
        self.is_denied = self._is_hopeless = False
        self.problem = None
        if not self._has_failures():
            self._deadline = None  # it answers again, so the rest is worth another try
        return True

    def _note(self, error: Exception) -> None:
        """Note an error, and log it unless it is the one before."""
        why = redact(f"{type(error).__name__}: {error}")
        before = self.problem
        self.is_denied = is_access_denied(error)
        self._is_hopeless = self.is_denied or isinstance(error, SettingsError) or is_refusal(error)
        if self.is_denied:
            self.problem = f"MLflow denied access: {why}"
        elif isinstance(error, SettingsError):
            self.problem = str(error)
        else:
            verb = "refuses the study" if self._is_hopeless else "does not answer, trying again"
            self.problem = f"MLflow {verb}: {why}"
        if before is None or self.is_denied:
            _log(self.problem)

    def _is_past_deadline(self) -> bool:
        """Return True if a store was away for too long; the time counts from the end of the sweep."""
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + _GRACE_S
        return now > self._deadline


def _log(line: str) -> None:
    # The disk of the log may be full. `print` would keep the line in its buffer, and fail when the process ends.
    with suppress(OSError):
        os.write(1, f"{line}\n".encode())


def _one_at_a_time(study_name: str, settings: Settings) -> AbstractContextManager[None]:
    """Wait for another process that delivers this study: two at once would each create a run for the same trial."""
    return taking_turns(settings.studies_dir / f"{study_name}.delivery.lock")


def _input_closed(wait_s: float) -> bool:
    """Return True if the driver has closed its end of the pipe; wait up to `wait_s` for that, or for a word from it."""
    ready, _, _ = select.select([sys.stdin], [], [], wait_s)
    return bool(ready) and not os.read(sys.stdin.fileno(), 4096)

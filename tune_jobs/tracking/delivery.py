"""Delivers a study to MLflow from a process of its own, beside the sweep and never in its way.

The process reads the study as anybody may, has lower priority than training, and asks nothing of the driver: it ends
when the pipe to the driver closes, which happens however the driver ends. While MLflow is away it tries again; what it
could not deliver is delivered by the next launch or by `tune-jobs sync`. One that refuses
us is asked once more at the end.
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

from tune_jobs.errors import SettingsError
from tune_jobs.masking import redact
from tune_jobs.records.studies import StudyRecord
from tune_jobs.settings import Settings
from tune_jobs.study.locks import taking_turns
from tune_jobs.study.study import Study
from tune_jobs.tracking.store import is_refusal, refused
from tune_jobs.tracking.tracker import Tracker
from tune_jobs.words import one_line

_POLL_S = 1.0
REFUSED = 3  # the exit code of a process that MLflow does not let in
_PATIENCE_S = 15.0  # how long it goes on trying a store that is away once the sweep has ended


@dataclass(frozen=True)
class Delivery:
    """The process that delivers beside a sweep."""

    _process: subprocess.Popen[bytes]
    _log: Path

    def sweep_ended(self) -> None:
        """Lets it deliver what is left and end; to be said again does no harm."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def is_complete(self) -> bool:
        """Waits until all is delivered, or MLflow is given up for now; whether everything is there."""
        self.sweep_ended()
        code = self._process.wait()
        if code == REFUSED:
            print(f"MLflow refused us: the last line of {self._log} says how", file=sys.stderr)
        return code == 0


@contextmanager
def alongside(study_name: str, settings: Settings) -> Iterator[Delivery]:
    """Delivers while the block runs."""
    command = [sys.executable, "-m", "tune_jobs", "sync", study_name, "--follow", "--home", str(settings.home)]
    file = settings.home / "delivery.log"
    with file.open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)
    delivery = Delivery(process, file)
    try:
        yield delivery
    finally:
        delivery.sweep_ended()


def follow(study_name: str, settings: Settings) -> int:
    """Delivers until standard input closes and nothing is left; 0 where everything was delivered, REFUSED where MLflow
    does not let us, else 1. SIGTERM, which Ray sends to all of a job's processes, is the driver's to answer."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(10)
    study = Study.open(study_name, settings)
    with _only_one(study_name, settings):
        follower = _Follower(study, Tracker(settings, study.record))
        is_delivered = follower.run()
    return 0 if is_delivered else REFUSED if follower.is_refused else 1


def deliver_once(study_name: str, settings: Settings) -> tuple[StudyRecord, int]:
    """Delivers what is missing now; the study and how many trials had news.

    Raises:
        SettingsError: if MLflow fails on the way; calling again goes on where it was.
    """
    with _only_one(study_name, settings):
        study = Study.open(study_name, settings)
        tracker = Tracker(settings, study.record)
        record = study.record()
        try:
            news = tracker.deliver(record)
            tracker.close(record)
        except Exception as error:
            why = redact(one_line(error), settings.tracking_uri)
            if is_refusal(error):
                raise refused(settings.shown_tracking_uri, why) from error
            raise SettingsError(
                f"MLflow failed on the way ({why}): nothing is lost, run `tune-jobs sync` again"
            ) from error
        return record, news


class _Follower:
    def __init__(self, study: Study, tracker: Tracker) -> None:
        self._study, self._tracker = study, tracker
        self.is_refused = False
        self._is_away = False
        self._given_until: float | None = None  # once the sweep has ended

    def run(self) -> bool:
        while True:
            is_last = _input_closed(_POLL_S)
            if self.is_refused and not is_last:
                continue
            is_delivered = self._try(self._tracker.deliver)
            if is_last and is_delivered:
                return self._try(self._tracker.close)
            if is_last and (self.is_refused or self._is_too_late()):
                return False
            if is_last:
                time.sleep(_POLL_S)

    def _try(self, action: Callable[[StudyRecord], object]) -> bool:
        try:
            action(self._study.record())
        except Exception as error:
            why = redact(f"{type(error).__name__}: {error}")
            if is_refusal(error):
                _log(f"MLflow refused us: {why}")
            elif not self._is_away:
                _log(f"MLflow is away, waiting for it: {why}")
            self.is_refused, self._is_away = is_refusal(error), True
            return False
        self.is_refused = self._is_away = False
        self._given_until = None  # it answers: whatever is left is worth another try
        return True

    def _is_too_late(self) -> bool:
        """Whether a store that is away has been given its time; that begins when the sweep ends."""
        now = time.monotonic()
        if self._given_until is None:
            self._given_until = now + _PATIENCE_S
        return now > self._given_until


def _log(line: str) -> None:
    with suppress(OSError):  # the log lies in the home, whose disk may be what is full; print would keep it for the end
        os.write(1, f"{line}\n".encode())


def _only_one(study_name: str, settings: Settings) -> AbstractContextManager[None]:
    """Two deliverers at once would each make a run of the same trial: that of a killed driver may still be at it."""
    return taking_turns(settings.studies_dir / f"{study_name}.delivery.lock")


def _input_closed(wait_s: float) -> bool:
    """Whether the driver has closed its end of the pipe; waits up to `wait_s` for that."""
    ready, _, _ = select.select([sys.stdin], [], [], wait_s)
    return bool(ready) and not os.read(sys.stdin.fileno(), 4096)

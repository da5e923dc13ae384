"""Stopping a study from another shell, and deleting one."""

from __future__ import annotations

import os
import shutil
import signal
import socket

from tune_jobs import tracking
from tune_jobs.errors import StudyError, one_line
from tune_jobs.interruption import DRAIN
from tune_jobs.locks import Holder
from tune_jobs.masking import in_words
from tune_jobs.records import StudyRecord
from tune_jobs.settings import Settings
from tune_jobs.study import Study


def stop(name: str, settings: Settings, *, now: bool) -> Holder:
    """Asks the process that runs a study to drain it, or to end now; who that is.

    Raises:
        StudyError: nobody runs it on this machine, or somebody whose processes are not ours to stop.
    """
    holder = Study.open(name, settings).holder()
    if holder is None:
        raise StudyError(f"nothing runs study {name!r} on this machine; `tune-jobs status {name}` shows how it is")
    if holder.host != socket.gethostname():
        raise StudyError(f"study {name!r} is run by {holder}: stop it there")
    try:
        os.kill(holder.pid, signal.SIGINT if now else DRAIN)
    except ProcessLookupError as error:
        raise StudyError(f"{holder} ended just now: nothing runs study {name!r} any more") from error
    except PermissionError as error:
        raise StudyError(
            f"study {name!r} is run by {holder}, whose processes only that user or root may stop"
        ) from error
    return holder


def delete(name: str, settings: Settings) -> tuple[StudyRecord, str | None]:
    """Deletes a study with its exports, its kept weights and its runs in MLflow; what it was, and why MLflow still has
    its runs if it does.

    MLflow first: where that fails the study is deleted all the same, for it is the truth and MLflow a view.

    Raises:
        StudyError: there is no such study, or somebody runs it.
    """
    Study.open(name, settings)
    with Study.hold(name, settings) as study:
        record = study.record()
        left = _forget(record, settings)
        study.delete()
    shutil.rmtree(settings.exports_dir(name), ignore_errors=True)
    shutil.rmtree(settings.weights_dir(record.identity), ignore_errors=True)
    shutil.rmtree(settings.checkpoints_dir(record.identity), ignore_errors=True)
    settings.activity_file(name).unlink(missing_ok=True)
    return record, left


def _forget(record: StudyRecord, settings: Settings) -> str | None:
    try:
        tracking.check(settings)
        tracking.Tracker(settings).forget(record)
    except Exception as error:  # MLflow's are many, and none of them may keep a study from being deleted
        return in_words(one_line(error), settings.tracking_uri)
    return None

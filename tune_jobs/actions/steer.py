"""Stop a study from another shell, keep it off some devices, or delete it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from pathlib import Path

from tune_jobs import tracking
from tune_jobs.actions import report
from tune_jobs.errors import StudyError
from tune_jobs.live import activity, drains
from tune_jobs.live.activity import Activity
from tune_jobs.live.signals import DRAIN
from tune_jobs.masking import redact
from tune_jobs.records.studies import StudyRecord
from tune_jobs.settings import Settings
from tune_jobs.study import deleted, enqueued
from tune_jobs.study.locks import Holder
from tune_jobs.study.study import Study
from tune_jobs.words import one_line


def stop(name: str, settings: Settings, *, now: bool) -> Holder:
    """Ask the process that runs a study to finish its running trials and stop, or to stop now; return that process.

    Raises:
        StudyError: if nothing runs it on this machine, or another user does.
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


def drain(
    name: str, settings: Settings, node: str | None, gpus: tuple[str, ...]
) -> tuple[drains.Drained, tuple[int, ...]]:
    """Keep a study off GPUs of a node, or off the whole node.

    Return all that it is kept off now, and the trials that run on what is named.

    Raises:
        StudyError: if there is no such study, or its driver has no such device.
    """
    study = Study.open(name, settings)
    holder, path = study.holder(), settings.drained_file(name)
    seen = Activity() if holder is None else activity.read(settings.activity_file(name), holder.pid)
    spots = drains.spots(node, gpus)
    asked = drains.Drained(frozenset(spots))
    if seen.nodes:
        _check_there(seen, node, gpus)
    drains.drain(path, spots)
    names = {one.name: one.names for one in seen.nodes}
    busy = {
        trial
        for device in seen.devices
        if asked.covers(names.get(device.node, ()), () if device.gpu is None else (device.gpu,))
        for trial in device.trials
    }
    return drains.read(path), tuple(sorted(busy))


def _check_there(seen: Activity, node: str | None, gpus: tuple[str, ...]) -> None:
    chosen = [one for one in seen.nodes if node is None or node in one.names]
    if not chosen:
        raise StudyError(f"no node {node!r} is in the cluster; there are {', '.join(one.name for one in seen.nodes)}")
    known = {one.name: [device.gpu for device in seen.devices if device.node == one.name] for one in chosen}
    if any(len(known[one.name]) < one.gpus for one in chosen):
        return  # GPUs with names of their own, of which no trial has told yet
    for gpu in gpus:
        if not any(gpu in there for there in known.values()):
            words = "; ".join(f"{name} has {', '.join(filter(None, there)) or 'none'}" for name, there in known.items())
            raise StudyError(f"there is no GPU {gpu}: {words}")


def undrain(name: str, settings: Settings, node: str | None, gpus: tuple[str, ...]) -> drains.Drained | None:
    """Give devices back to a study, all if none are named. Return what it is still kept off, if anything.

    Raises:
        StudyError: if there is no such study, or it was not kept off them.
    """
    Study.open(name, settings)
    path = settings.drained_file(name)
    drains.undrain(path, drains.spots(node, gpus) if gpus or node is not None else ())
    left = drains.read(path)
    return left if left.spots else None


def delete(name: str, settings: Settings) -> tuple[StudyRecord, str | None]:
    """Delete a study with its exports, its kept weights and its runs in MLflow. Its readings of the test split still
    count.

    Return what it was, and why MLflow still has its runs if it does: the study is deleted even if MLflow is away, for
    it is the truth and MLflow a view.

    Raises:
        StudyError: if there is no such study, or a process runs it.
    """
    Study.open(name, settings)
    with Study.hold(name, settings) as study:
        record = study.history()
        deleted.keep(record, settings)
        left = _forget(record, settings)
        for folder in (settings.exports_dir(name), *_kept(record, settings)):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (settings.activity_file, settings.drained_file, settings.delivery_file):
            file(name).unlink(missing_ok=True)
        report.waiting_file(name, settings).unlink(missing_ok=True)
        enqueued.file_of(name, settings).unlink(missing_ok=True)
        study.delete()  # last: whoever is killed before deletes it again, and finds what is left by it
    return record, left


def _kept(record: StudyRecord, settings: Settings) -> tuple[Path, Path]:
    return settings.weights_dir(record.identity), settings.checkpoints_dir(record.identity)


def _forget(record: StudyRecord, settings: Settings) -> str | None:
    try:
        tracking.check(settings)
        tracking.Tracker(settings).forget(record)
    except Exception as error:  # MLflow raises many kinds, and none may keep a study from being deleted
        return redact(one_line(error), settings.tracking_uri)
    return None

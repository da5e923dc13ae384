"""Points that users hand to a study, whoever runs it meanwhile: a line for each call in a file beside the study, or a
value for each in its database.

A point waits until a trial of the study has its params, and is never taken out. Whatever is killed, no point is
therefore lost and none runs twice.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tune_jobs import files
from tune_jobs.decoding import ContentError, decode, decode_json
from tune_jobs.errors import StudyError
from tune_jobs.search_spaces.scalars import Params, Value, params_id
from tune_jobs.settings import Settings
from tune_jobs.study.locks import user_name
from tune_jobs.study.storage import database, study_id

_KEY = "enqueued:"  # begins the names of the values in a database, which go on with a number


@dataclass(frozen=True)
class _Call:
    """One call: the study's identity, when (unix seconds), by whom, and the points in their order."""

    study: str
    at: float
    by: str
    points: tuple[Mapping[str, Value], ...]


class Mailbox:
    """The points that were handed to the study `name`, in the order of the calls.

    Anybody may read and add to it at any time, without the right to write the study.
    """

    def __init__(self, name: str, settings: Settings) -> None:
        self._name, self._url, self._file = name, settings.storage, file_of(name, settings)
        self._seen: tuple[object, tuple[_Call, ...]] = None, ()  # the file's state, and what was in it then

    def add(self, identity: str, points: Sequence[Params]) -> None:
        """Add points for the study of this identity; they are durable, all or none, when this returns.

        Raises:
            StudyError: they cannot be written, or the study is gone.
        """
        call = _Call(identity, time.time(), user_name(), tuple(dict(point) for point in points))
        if self._url is not None:
            self._add_to_database(self._url, asdict(call))
            return
        try:
            with files.opened(self._file) as file:
                _append(file, json.dumps(asdict(call), separators=(",", ":")).encode() + b"\n")
            files.sync(self._file.parent)
        except OSError as error:
            raise StudyError(f"{self._file} cannot be written ({error.strerror}): nothing was enqueued") from error

    def points(self, identity: str, before: float = 0.0, settled: Collection[str] = ()) -> tuple[Params, ...]:
        """Return the points that were handed to the study of this identity, the first one first; of those from before a
        time, without the ones whose `params_id` is settled.

        Raises:
            StudyError: what is there is damaged, or cannot be read.
        """
        calls = self._in_file() if self._url is None else self._in_database(self._url)
        mine = [(call.at, point) for call in calls if call.study == identity for point in call.points]
        return tuple(point for at, point in mine if at >= before or params_id(point) not in settled)

    def _in_file(self) -> tuple[_Call, ...]:
        try:
            status = self._file.stat()
            state = status.st_ino, status.st_size, status.st_mtime_ns
            if state != self._seen[0]:
                with files.reading(self._file) as file:
                    self._seen = state, tuple(self._calls(file.read()))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise StudyError(f"{self._file} cannot be read: {error.strerror}") from error
        return self._seen[1]

    def _calls(self, content: bytes) -> Iterable[_Call]:
        *whole, _ = content.split(b"\n")  # a last line without its end was never acknowledged
        for number, line in enumerate(whole, start=1):
            try:
                yield decode_json(_Call, line, f"line {number}")
            except ContentError as error:
                raise StudyError(
                    f"{self._file} is damaged ({error}): restore it from a backup, or take that line out"
                ) from error

    def _add_to_database(self, url: str, value: Mapping[str, Any]) -> None:
        storage = database(url)
        number = 1 + max((int(key.split(":")[1]) for key in self._values(url)), default=0)
        storage.set_study_user_attr(self._id(url), f"{_KEY}{number:09d}:{uuid.uuid4().hex}", dict(value))

    def _in_database(self, url: str) -> tuple[_Call, ...]:
        try:
            return tuple(decode(_Call, value, key) for key, value in sorted(self._values(url).items()))
        except ContentError as error:
            raise StudyError(f"the points enqueued for study {self._name!r} are damaged: {error}") from error

    def _values(self, url: str) -> Mapping[str, Any]:
        attributes = database(url).get_study_user_attrs(self._id(url))
        return {key: value for key, value in attributes.items() if key.startswith(_KEY)}

    def _id(self, url: str) -> int:
        number = study_id(database(url), self._name)
        if number is None:
            raise StudyError(f"no study named {self._name!r}. `tune-jobs studies` lists all")
        return number


def file_of(name: str, settings: Settings) -> Path:
    """Return the file of a study's mailbox, where the study is not in a database."""
    return settings.studies_dir / f"{name}.enqueued"


def waiting(points: Iterable[Params], tried: Iterable[str]) -> tuple[Params, ...]:
    """Return each of the points once, without those whose `params_id` is among the tried ones."""
    left: dict[str, Params] = {}
    for point in points:
        left.setdefault(params_id(point), point)
    known = set(tried)
    return tuple(point for identity, point in left.items() if identity not in known)


def _append(file: BinaryIO, line: bytes) -> None:
    """Append a line whole or not at all, after what a killed call may have left of its own."""
    fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
    file.seek(0)
    end = file.read().rfind(b"\n") + 1
    os.truncate(file.fileno(), end)
    try:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):
            os.truncate(file.fileno(), end)
        raise

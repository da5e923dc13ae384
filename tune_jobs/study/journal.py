"""The file of a study: lines that are appended whole, of which a write that failed half-way leaves nothing.

Each reading compares every line with its checksum.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from tune_jobs import files
from tune_jobs.errors import StudyError
from tune_jobs.study import lines, replay


class Journal(BaseJournalBackend):
    """Optuna's journal in a file. An append that fails leaves the file as it was. One that returns is on the disk with
    all before it, but for epochs: if the machine fails, their trials run again.

    It needs no lock: the process that appends holds the whole study. What is there when it is opened is given to Optuna
    with one record for each trial (`replay.py`), unless it `is_literal`.
    """

    def __init__(self, path: Path, *, is_literal: bool = False) -> None:
        self._path, self._is_literal = path, is_literal
        self.end = lines.START  # of what was read
        if not is_written(path):
            path.touch(0o600)
            with suppress(OSError):  # some file systems cannot sync a folder
                files.sync(path.parent)  # or a loss of power could take the file, with all that it has by then

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield all records, if none was taken, or those that are new since the last call.

        Raises:
            StudyError: a line is damaged.
        """
        if log_number_from == 0:
            self.end = lines.START
        is_first = self.end == lines.START and not self._is_literal
        yield from replay.condensed(self._read()) if is_first else self._read()

    def _read(self) -> Iterator[dict[str, Any]]:
        with self._path.open("rb") as file:
            file.seek(self.end.offset)
            for line in file:
                try:
                    record, after = lines.read(_ended(line, self.end), self.end)
                except lines.DamageError as error:
                    if lines.is_torn(line) and not file.read(1):
                        return
                    raise damaged(self._path, self.end.number, str(error)) from error
                self.end = after
                yield record

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        place, content = self.end, b""
        for log in logs:
            line = lines.sealed(log, place)
            place = lines.read(line, place)[1]
            content += line
        with _whole_or_nothing(self._path), self._path.open("ab") as file:
            if file.tell() != self.end.offset:
                raise StudyError(f"the study file {self._path} was changed by another program: run the command again")
            file.write(content)
            file.flush()
            if any(log["op_code"] != lines.EPOCH for log in logs):  # which a trial that runs again reports again
                os.fsync(file.fileno())


def _ended(line: bytes, place: lines.Place) -> bytes:
    """Return a line with its line end, if only that is damaged."""
    return line if line.endswith(b"\n") else (lines.whole(line, place) or line)


def damaged(path: Path, number: int, why: str) -> StudyError:
    """Return the refusal of a file whose record `number`, counted from zero, cannot be right."""
    content = path.read_bytes().split(b"\n")
    what = lines.subject(content, min(number, len(content) - 1))
    return StudyError(
        f"the study file {path} is damaged (record {number + 1}, {what}: {why}): restore it from a backup, or let "
        f"`tune-jobs doctor {path.stem} --repair` mend it"
    )


def is_written(path: Path) -> bool:
    """Return True if a journal has content: it is empty until a launch begins its study, and may be gone after."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def mend_end(path: Path) -> None:
    """Cut what a crash left of a last line that was not written whole, or end one that lost its line end.

    The next line would be glued to the half one, and both were lost. Nothing that finished goes with a half line, for
    it was never acknowledged.
    """
    if not path.exists():
        return
    last = _last_line(path)
    if not lines.is_torn(last):
        return
    size = path.stat().st_size
    place = _place_before(path, size - len(last))
    if place is None:  # the file is refused for what is damaged there, and stays as it is
        return
    mended = lines.whole(last, place)
    with path.open("rb+") as file:
        file.seek(size - len(last))
        file.write(mended or b"")
        file.truncate()
        os.fsync(file.fileno())


def _last_line(path: Path) -> bytes:
    """Return the last line, with its line end if it has one."""
    with path.open("rb") as file:
        position, tail = file.seek(0, 2), b""
        while position > 0 and b"\n" not in tail[:-1]:
            start = max(0, position - 65536)
            file.seek(start)
            tail = file.read(position - start) + tail
            position = start
    return tail[tail[:-1].rfind(b"\n") + 1 :]


def _place_before(path: Path, size: int) -> lines.Place | None:
    """Return the place at which the last line begins; None if a line before is damaged."""
    place = lines.START
    with path.open("rb") as file:
        for line in file:
            if place.offset >= size:
                break
            try:
                place = lines.read(line, place)[1]
            except lines.DamageError:
                return None
    return place


@contextmanager
def _whole_or_nothing(path: Path) -> Iterator[None]:
    """Undo what the block appends if it fails: a full disk takes half a line, to which the next one would be glued.

    Raises:
        StudyError: the file cannot be written.
    """
    try:
        size = path.stat().st_size
        try:
            yield
        except OSError:
            os.truncate(path, size)
            raise
    except OSError as error:
        raise StudyError(
            f"the study file {path} cannot be written ({error.strerror}): what is finished is kept; mend that, then "
            "run the same command again"
        ) from error

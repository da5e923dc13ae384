"""The file of a study: lines that are appended whole, of which a write that failed half-way leaves nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from tune_jobs.errors import StudyError


class Journal(JournalFileBackend):
    """Optuna's journal in a file. An append that fails leaves the file as it was."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), lock_obj=_NoLock(str(path)))
        self._path = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        with _whole_or_nothing(self._path):
            super().append_logs(logs)


class _NoLock(JournalFileOpenLock):
    """No lock, because the process that appends holds the whole study. Optuna's own is a file that a killed process
    leaves behind, for which the next one waits 30 s."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def is_written(path: Path) -> bool:
    """Return True if a journal has content: it is empty until a launch begins its study, and may be gone after."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def cut_half_written_line(path: Path) -> None:
    """Cut a journal back to its last whole line: the next line would be glued to the half one, and both were lost.
    Nothing that finished goes with a half line, for it was never acknowledged."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        content_end = file.seek(0, 2)
        position = content_end
        while position > 0:
            start = max(0, position - 65536)
            file.seek(start)
            newline = file.read(position - start).rfind(b"\n")
            if newline >= 0:
                file.truncate(start + newline + 1)
                return
            position = start
        file.truncate(0)


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

"""The file of a study as bytes: whole lines, of which a write that failed half-way leaves nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tune_jobs.errors import StudyError


def is_written(path: Path) -> bool:
    """Whether anything is in a journal: it is empty while a launch has not begun its study, and may be gone after."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def cut_half_written_line(path: Path) -> None:
    """Cuts a journal back to its last whole line: what a killed process appends next would be glued to the half one
    and lost with it. The half line was never acknowledged, so nothing finished goes with it."""
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
def whole_or_nothing(path: Path) -> Iterator[None]:
    """Appending to a journal in the block either succeeds or changes nothing: on a disk that is full half a line is
    written, and the next one would be glued to it.

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

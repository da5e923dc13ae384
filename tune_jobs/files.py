"""Writes a file whole or not at all: whoever reads it meanwhile sees the old one or the new one."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

from tune_jobs.errors import UserError


def write(path: Path, text: str) -> None:
    """Replaces `path` by a file with `text`, which is on the disk when this returns.

    Raises:
        UserError: if it cannot be written; what was there before is then untouched.
    """
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def write_bytes(path: Path, data: bytes) -> None:
    """As `write`, for what is no text."""
    temporary = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex}.tmp")  # beside it: a rename is atomic there only
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Makes the rename itself durable, where the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

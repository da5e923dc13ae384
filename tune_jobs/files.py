"""Write a file whole or not at all: a reader sees the old file or the new one, whatever ends the writer."""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tune_jobs.errors import UserError


def write(path: Path, text: str, *, durable: bool = True) -> None:
    """Replace `path` by a file with `text`, in UTF-8. A durable file is on the disk when this returns.

    Raises:
        UserError: it cannot be written; what was there before is untouched.
    """
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"), durable=durable)


def write_bytes(path: Path, content: bytes, *, durable: bool = True, mode: int = 0o666) -> None:
    """Replace `path` by a file with `content`, as `write` does; the umask takes rights off those of `mode`."""
    with replacement(path, durable=durable) as part:
        part.touch(mode, exist_ok=False)
        part.write_bytes(content)


@contextmanager
def opened(path: Path, *, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Open a file of ours for the block, to append to it. It is made if it is missing; a link there is not followed.

    Raises:
        UserError: it is no regular file.
        OSError: it cannot be opened.
    """
    try:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags, mode)
    except OSError as error:
        if path.is_symlink() or path.is_fifo():
            raise _planted(path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _planted(path)
    with os.fdopen(descriptor, "a+b") as file:
        yield file


def _planted(path: Path) -> UserError:
    return UserError(
        f"{path} is no regular file, which this program writes there: look who put it there, and remove it"
    )


@contextmanager
def replacement(path: Path, *, suffix: str = ".part", durable: bool = True) -> Iterator[Path]:
    """Name a file beside `path` to be written in the block, which replaces `path` when the block ends.

    Raises:
        UserError: it cannot be written; what was there before is untouched.
    """
    part = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex}{suffix}")  # a rename is atomic in one folder only
    try:
        yield part
        if durable:
            sync(part)
        part.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            part.unlink()
    if durable:
        with suppress(OSError):  # some file systems cannot sync a folder
            sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

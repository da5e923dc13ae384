"""Write a file whole or not at all: a reader sees the old file or the new one, whatever ends the writer.

What is made in a folder that only its owner may enter has no rights for others either, whatever the umask. Elsewhere
the umask counts, as for what a user has written to a place of his or her own.
"""

from __future__ import annotations

import errno
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tune_jobs.errors import UserError


def write(path: Path, text: str, *, durable: bool = True, mode: int | None = None) -> None:
    """Replace `path` by a file with `text`, in UTF-8. A durable file is on the disk when this returns.

    Its rights are those of `write_bytes`.

    Raises:
        UserError: it cannot be written; what was there before is untouched.
    """
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"), durable=durable, mode=mode)


def write_bytes(path: Path, content: bytes, *, durable: bool = True, mode: int | None = None) -> None:
    """Replace `path` by a file with `content`, as `write` does, with these rights or those that suit its folder.

    Raises:
        UserError: it cannot be written; what was there before is untouched.
    """
    with replacement(path, durable=durable) as part:
        part.touch(rights(path) if mode is None else mode, exist_ok=False)
        part.write_bytes(content)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; in one that only its owner may enter they are its owner's alone.

    Raises:
        OSError: it cannot be made.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(0o700 if _is_closed(folder.parent) else 0o777, exist_ok=True)


def make_parent(path: Path) -> None:
    """Make the folder of a file that a user has named, and those above it.

    Raises:
        UserError: it cannot be made.
    """
    try:
        make_folder(path.absolute().parent)
    except OSError as error:
        raise UserError(f"{path} cannot be written, for its folder cannot be made: {error.strerror}") from error


def rights(path: Path) -> int:
    """Return the rights of a new file, from which the umask takes some."""
    return 0o600 if _is_closed(path.parent) else 0o666


def _is_closed(folder: Path) -> bool:
    """Return True if only its owner may enter a folder."""
    return not folder.stat().st_mode & 0o077


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """Open a file of whomever for the block, to read it.

    Raises:
        OSError: it cannot be read; another user has put a pipe there, which would keep this process waiting.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) and status.st_uid != os.getuid():
            raise OSError(errno.EINVAL, "it is no regular file, and another user's")
        os.set_blocking(descriptor, True)
        yield file


@contextmanager
def opened(path: Path, *, mode: int | None = None) -> Iterator[BinaryIO]:
    """Open a file of ours for the block, to append to it. It is made if it is missing; a link there is not followed.

    Raises:
        UserError: it is no regular file, or has another name too where others may have given it that one.
        OSError: it cannot be opened.
    """
    try:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags, rights(path) if mode is None else mode)
    except OSError as error:
        if path.is_symlink() or path.is_fifo():
            raise _planted(path) from error
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or (status.st_nlink > 1 and not _is_closed(path.parent)):
        os.close(descriptor)
        raise _planted(path)
    with os.fdopen(descriptor, "a+b") as file:
        yield file


def _planted(path: Path) -> UserError:
    return UserError(
        f"{path} is no regular file of that name alone, which this program writes there: look who put it there, and "
        "remove it"
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

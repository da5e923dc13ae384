"""Which files and folders nobody but this user, or root, can have written."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path


class OtherWriterError(Exception):
    """Another user can write a file, or it is none that can be read at once; the words follow its name."""


def read(file: Path) -> bytes:
    """Read a regular file that only this user or root can write, as its folders. What was looked at is what is read.

    Raises:
        OtherWriterError: it is something else.
        OSError: it cannot be read.
    """
    real = file.resolve()
    for folder in {*file.absolute().parents, *real.parents}:
        if others_can_write(folder.stat()):
            raise OtherWriterError(f"which another user can write, for its folder {folder} is not yours alone")
    descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as opened:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OtherWriterError("which is no regular file")
        if others_can_write(status):
            raise OtherWriterError("which another user can write")
        return opened.read()


def others_can_write(status: os.stat_result) -> bool:
    """Return True if a user other than this one and root can write a file, or exchange what lies in a folder.

    In a sticky folder, as /tmp is, nobody can exchange what is another's.
    """
    if status.st_uid not in (0, os.getuid()):
        return True
    if stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX:
        return False
    is_of_others = status.st_mode & stat.S_IWGRP and not _is_own_group(status.st_gid)
    return bool(status.st_mode & stat.S_IWOTH or is_of_others)


def _is_own_group(number: int) -> bool:
    """Return True for the group that has this user's name and no other member: some systems let it write everything."""
    with suppress(KeyError):
        group, user = grp.getgrgid(number), pwd.getpwuid(os.getuid())
        return group.gr_name == user.pw_name and number == user.pw_gid and set(group.gr_mem) <= {user.pw_name}
    return False

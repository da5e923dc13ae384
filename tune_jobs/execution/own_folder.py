"""A folder of this process alone. What a process that was killed left behind, the next one removes."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

_PREFIX = "tune-jobs-files-"
_held: list[int] = []  # descriptors of this process's folders; their locks end with it, however it ends


def make() -> Path:
    """Return a new folder that only this user can read and write. It exists as long as this process."""
    place = Path(tempfile.gettempdir())
    for left in place.glob(f"{_PREFIX}*"):
        _remove_if_left(left)
    new = Path(tempfile.mkdtemp(prefix="tune-jobs-new-"))
    _held.append(os.open(new, os.O_RDONLY))
    fcntl.flock(_held[-1], fcntl.LOCK_SH)  # before it has the name by which others look for it
    folder = new.rename(place / new.name.replace("tune-jobs-new-", _PREFIX))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _remove_if_left(folder: Path) -> None:
    """Remove a folder that nobody holds."""
    with suppress(OSError):  # another user's, one that is held, or one that another process removes
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(descriptor).st_uid == os.getuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
        finally:
            os.close(descriptor)

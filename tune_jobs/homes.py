"""The home folder is its owner's alone: other users of the machine can neither write in it nor read it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tune_jobs.errors import SettingsError

FOLDERS = ("studies", "mlartifacts", "exports", "weights", "checkpoints", "tasks", "ui", "queue")
_FILES = ("mlflow.db", "delivery.log")
_ANOTHER = "name another home with --home or TUNE_JOBS_HOME"


def check(home: Path) -> None:
    """Check that a home's name is a text, and that no other user can have put anything into it, if there is one.

    Raises:
        SettingsError: its name has bytes that are no letters, or another user can write in it.
    """
    _check_letters(home)
    for folder, status in _existing(home, ("", *FOLDERS)):
        if status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            continue
        from tune_jobs.search_spaces import own_files  # takes a fifth of a second

        if status.st_uid not in (0, os.getuid()):
            raise SettingsError(f"{folder} belongs to another user, number {status.st_uid}: {_ANOTHER}")
        if own_files.others_can_write(status) or status.st_mode & stat.S_IWOTH:
            raise SettingsError(
                f"other users can write in {folder}, and what they put there would count as yours: look at what is in "
                f"it, then `chmod go-w {folder}`, or {_ANOTHER}"
            )


def _check_letters(home: Path) -> None:
    """Refuse a name that MLflow would take for another folder's."""
    try:
        str(home).encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(home).decode(errors="backslashreplace")
        raise SettingsError(f"the home {shown} has bytes that are no UTF-8: {_ANOTHER}") from error


def make(*folders: Path) -> None:
    """Make folders that only their owner may enter.

    Raises:
        SettingsError: one cannot be made or written.
    """
    for folder in folders:
        try:
            _make(folder)
        except OSError as error:
            raise _unusable(folder, error.strerror or type(error).__name__) from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise _unusable(folder, "Permission denied")


def _make(folder: Path) -> None:
    """Make a folder, and those above it that are missing: who may write in one of these could exchange the home."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def close(home: Path) -> None:
    """Take the rights of others off what this program keeps in a home. A link and what it leads to stay as they are."""
    for path, status in _existing(home, (*FOLDERS, *_FILES)):
        if status.st_uid == os.getuid() and status.st_mode & 0o077 and not path.is_symlink():
            with suppress(OSError):  # a file system without rights
                path.chmod(status.st_mode & 0o700)


def _existing(home: Path, names: tuple[str, ...]) -> Iterator[tuple[Path, os.stat_result]]:
    for name in names:
        with suppress(OSError):
            yield home / name, (home / name).stat()


def _unusable(folder: Path, why: str) -> SettingsError:
    return SettingsError(f"cannot write in {folder} ({why}): {_ANOTHER}")

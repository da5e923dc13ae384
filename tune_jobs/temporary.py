"""Temporary folders of this user alone. What a process that was killed left behind, the next one removes."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tune_jobs.environment import ray_temp_dir

PLACES = ("/tmp", "/var/tmp", "/dev/shm")  # folders for temporary files, beside that of the environment
RAY_PREFIX, RAY_MARK = "tj-", "made-by-tune-jobs"  # short, for it is in paths of sockets; a file in each that is ours
RAY_INSIDE = "ray"  # the folder in it that Ray is given
_PREFIX, _NEW = "tune-jobs-files-", "tune-jobs-new-"
_TRIES = 50
_held: list[int] = []  # descriptors of this process's folders; their locks end with it, however it ends


def make(place: Path | None = None) -> Path:
    """Return a new folder that only this user can read and write. It exists as long as this process."""
    folder, descriptor = _made(place)
    _held.append(descriptor)
    maker = os.getpid()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == maker else None)
    return folder


@contextmanager
def folder(place: Path | None = None) -> Iterator[Path]:
    """Give a new folder, as `make` does, which exists until the block ends."""
    made, descriptor = _made(place)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(descriptor)


def _made(place: Path | None) -> tuple[Path, int]:
    """Return a new folder, and the descriptor with its lock."""
    place = Path(tempfile.gettempdir()) if place is None else place
    _remove_left(place, _PREFIX, lambda _: True)
    for _ in range(_TRIES - 1):
        with suppress(OSError):  # another user saw its first name, and took the second
            return _new(place)
    return _new(place)


def _new(place: Path) -> tuple[Path, int]:
    new = Path(tempfile.mkdtemp(prefix=_NEW, dir=place))
    descriptor = held(new)  # before it has the name by which others look for it
    try:
        return new.rename(place / new.name.replace(_NEW, _PREFIX)), descriptor
    except OSError:
        os.close(descriptor)
        new.rmdir()
        raise


def held(folder: Path) -> int:
    """Lock a folder until this descriptor is closed, or its process ends: systemd-tmpfiles leaves locked ones alone."""
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def clear() -> None:
    """Remove what killed processes of this user left, wherever this program makes temporary folders."""
    with suppress(FileNotFoundError):  # there is no folder for temporary files
        for place in {tempfile.gettempdir(), ray_temp_dir() or PLACES[0], *PLACES}:
            _remove_left(Path(place), _PREFIX, lambda _: True)
            remove_left_by_ray(Path(place))


def remove_left_by_ray(place: Path) -> None:
    """Remove the folders in a place that sweeps with a Ray of their own left when they were killed."""
    _remove_left(place, RAY_PREFIX, _is_of_ray)


def _is_of_ray(folder: Path) -> bool:
    """Return True for a folder with the mark, or with nothing but what a worker made: one that was about to start when
    its driver was killed makes the folder anew when that is removed."""
    names = {path.name for path in folder.iterdir()}
    return RAY_MARK in names or names == {RAY_INSIDE}


def _remove_left(place: Path, prefix: str, is_ours: Callable[[Path], bool]) -> None:
    """Remove this user's folders of the prefix that no process holds and that are ours."""
    for folder in place.glob(f"{prefix}*"):
        with suppress(OSError):  # another user's, one that is held, or one that a process removes or still writes to
            _remove_if_left(folder, is_ours)


def _remove_if_left(folder: Path, is_ours: Callable[[Path], bool]) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid != os.getuid() or not is_ours(folder):
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in folder.iterdir():
            if path.name != RAY_MARK:  # which goes last: what cannot be removed now is found again by it
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        shutil.rmtree(folder)
    finally:
        os.close(descriptor)

"""What lies in a folder or a zip of image files, without reading it: the files with their places below the top.

Nothing is unpacked. What programs leave behind in folders, such as `.DS_Store`, is not seen.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from tune_jobs.errors import DataError
from tune_jobs.words import one_line

_LEVELS = 4  # a folder in the zip, a part, a class, its files
_LEFT_BEHIND = {"__macosx", "thumbs.db", "desktop.ini"}
_LARGEST = 2**30  # bytes of one file in a zip, unpacked


@dataclass(frozen=True)
class Entry:
    """A file: its place below the top, and a stamp that changes with its content: of a file in a folder its size and
    time, of one in a zip its size and checksum."""

    place: PurePosixPath
    stamp: tuple[int, int]


class Opener(Protocol):
    """Opens the files of a tree, from any thread."""

    def __call__(self, entry: Entry) -> BinaryIO: ...


@dataclass(frozen=True)
class Tree:
    """The files below a folder or in a zip, in the order of their places, and the folders, empty ones too."""

    root: Path
    files: tuple[Entry, ...]
    folders: frozenset[PurePosixPath]

    def below(self, folder: PurePosixPath) -> list[Entry]:
        """Return the files directly in a folder."""
        return [entry for entry in self.files if entry.place.parent == folder]

    def inside(self, folder: PurePosixPath) -> list[PurePosixPath]:
        """Return the folders directly in a folder, in the order of their names."""
        return sorted(other for other in self.folders if other.parent == folder and other != folder)

    def shown(self, place: PurePosixPath) -> str:
        """Return a place as people find it."""
        return str(self.root / place)

    @contextmanager
    def opened(self) -> Iterator[Opener]:
        """Open files until the block ends.

        Raises:
            DataError: the zip cannot be read any more.
        """
        if self.root.is_dir():
            yield lambda entry: (self.root / entry.place).open("rb")
            return
        with _archive(self.root) as archive:
            yield lambda entry: io.BytesIO(archive.read(str(entry.place)))


def read(root: Path) -> Tree:
    """List a folder or a zip, or the zip that is all there is in a folder. Links are followed, as far as folders may be
    nested.

    Raises:
        DataError: in one line: it is missing or damaged, a link leads nowhere, or folders are nested too deep.
    """
    root = _only_zip(root) or root
    if root.is_dir():
        files, folders = _walked(root)
    elif root.is_file():
        files, folders = _packed(root)
    else:
        raise DataError(f"there is no folder or zip {root}")
    return Tree(root, tuple(sorted(files, key=lambda entry: entry.place)), frozenset(folders))


def _only_zip(root: Path) -> Path | None:
    """Return the zip in a folder that has nothing else in it; None of any other place."""
    paths = _listed(root) if root.is_dir() else []
    is_zip = len(paths) == 1 and paths[0].suffix.lower() == ".zip" and paths[0].is_file()
    return paths[0] if is_zip else None


def _walked(root: Path) -> tuple[list[Entry], set[PurePosixPath]]:
    files: list[Entry] = []
    folders: set[PurePosixPath] = set()
    waiting = [PurePosixPath()]
    while waiting:
        folder = waiting.pop()
        for path in _listed(root / folder):
            place = folder / path.name
            if path.is_dir():
                _check_depth(root, place)
                folders.add(place)
                waiting.append(place)
            else:
                files.append(Entry(place, _stamp(path)))
    return files, folders


def _listed(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if not _is_left_behind(path.name)]
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from error


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        what = "is a link to nothing" if path.is_symlink() else f"cannot be read: {error.strerror}"
        raise DataError(f"{path} {what}") from error
    if not path.is_file():
        raise DataError(f"{path} is no file")
    return status.st_size, status.st_mtime_ns


def _packed(root: Path) -> tuple[list[Entry], set[PurePosixPath]]:
    with _archive(root) as archive:
        members = archive.infolist()
    files: list[Entry] = []
    folders: set[PurePosixPath] = set()
    for member in members:
        place = PurePosixPath(member.filename)
        if place.is_absolute() or ".." in place.parts:
            raise DataError(f"{root} has a file outside of itself, {member.filename!r}: pack it again")
        if any(_is_left_behind(part) for part in place.parts):
            continue
        above = list(place.parents)[:-1]
        folders.update(above, [place] if member.is_dir() else [])
        _check_depth(root, place if member.is_dir() else place.parent)
        if not member.is_dir():
            _check_member(root, member)
            files.append(Entry(place, (member.file_size, member.CRC)))
    return files, folders


@contextmanager
def _archive(root: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(root)
    except Exception as error:  # `zipfile` raises errors of many kinds for a damaged one
        raise DataError(
            f"{root} is no zip, or damaged ({one_line(error)}): it needs class folders of images"
        ) from error
    with archive:
        yield archive


def _check_member(root: Path, member: zipfile.ZipInfo) -> None:
    if member.flag_bits & 1:
        raise DataError(f"{root} is encrypted: unpack it, and name the folder")
    if member.file_size > _LARGEST:
        raise DataError(f"{root / member.filename} has {member.file_size:,} bytes, and {_LARGEST:,} at most are read")


def _check_depth(root: Path, folder: PurePosixPath) -> None:
    if len(folder.parts) >= _LEVELS:
        raise DataError(f"{root / folder} is nested too deep: class folders hold the images themselves")


def _is_left_behind(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LEFT_BEHIND

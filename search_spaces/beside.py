"""What lies beside a task and travels with it: the files of its folder or package, within a bound.

What is too large is left out, the largest first, with a message. On the machine of the task it can still be read.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from tune_jobs.search_spaces import ignoring
from tune_jobs.search_spaces.ignoring import Rules
from tune_jobs.search_spaces.protocol import TaskError

MAX_FILES = 2_000
MAX_BYTES = 50_000_000  # they travel to every worker
_NAMED = 5  # of what goes along, before the rest is counted


@dataclass(frozen=True)
class Beside:
    """The files that travel, and what was left out, each with the reason."""

    taken: tuple[Path, ...] = ()
    too_large: tuple[Path, ...] = ()
    secrets: tuple[Path, ...] = ()
    unasked: tuple[Path, ...] = ()  # listed in `.tunejobsignore`, or in a folder that is crowded
    is_crowded: bool = False  # the folder is one of everything, such as a home folder: nothing of it travels

    @property
    def linked(self) -> tuple[Path, ...]:
        """What was left out and can be read all the same where it lies."""
        return (*self.too_large, *self.unasked)


@dataclass(frozen=True)
class _Part:
    """A file or a folder, with what would travel of it. A walk that is too long is cut short."""

    path: Path
    files: tuple[Path, ...]
    size: int  # bytes


def content(file: Path) -> bytes:
    """Read a file that has to travel.

    Raises:
        TaskError: it cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise TaskError(f"{file} cannot be read: {error.strerror}") from None


def contents(files: Iterable[Path]) -> Iterator[tuple[Path, bytes]]:
    """Read files that travel if they are still there."""
    for file in files:
        with suppress(OSError):
            yield file, file.read_bytes()


def check_named(named: Sequence[Path]) -> None:
    """Check that what goes along by its name is there.

    Raises:
        TaskError: something is not.
    """
    for path in named:
        if not path.exists():
            raise TaskError(f"there is no file or folder {path}, which --with names: name where it is now")


def named_files(named: Sequence[Path]) -> Iterator[Path]:
    """Yield the files that were named, and those of the folders that were named, at most a few too many."""
    for path in named:
        walk = (file for file, _ in _Walk(path, Rules()).files(path)) if path.is_dir() else iter([path])
        yield from islice(walk, MAX_FILES + 1)


def look(folder: Path, needed: Sequence[Path]) -> Beside:
    """Return what of the folder travels beside the files that are needed, and what does not."""
    walk, dropped = _Walk(folder, Rules.of(folder)), set[Path]()
    if folder in (Path.home(), Path(tempfile.gettempdir()).resolve(), Path(folder.anchor)):
        return Beside(is_crowded=True, unasked=tuple(path for path in walk.entries(folder) if path not in needed))
    parts = sorted(walk.parts(folder), key=_weight)
    have = _Part(folder, tuple(needed), sum(path.stat().st_size for path in needed))
    while not _fit([have, *parts]):
        heaviest = parts.pop()
        if heaviest.path.is_dir() and any(path.is_relative_to(heaviest.path) for path in needed):
            parts = sorted([*parts, *walk.parts(heaviest.path)], key=_weight)
        else:
            dropped.add(heaviest.path)
    taken = {path for part in parts for path in part.files} - set(needed)
    found = replace(walk.left_out, taken=tuple(sorted(taken)), too_large=tuple(sorted(dropped)))
    return replace(found, secrets=tuple(path for path in found.secrets if dropped.isdisjoint(path.parents)))


def words(task: str, folder: Path, taken: Sequence[Path], rest: Beside) -> str | None:
    """Return in one line what goes with a task file and what is left out; None if there is nothing to say."""
    said = []
    if taken:
        size = sum(path.stat().st_size for path in taken if path.exists())
        counted = "1 file" if len(taken) == 1 else f"{len(taken)} files"
        said.append(f"{task} takes along {_names(taken, folder)} ({counted}, {size / 1e6:.1f} MB)")
    if rest.secrets:
        said.append(f"left out as perhaps secret: {_names(rest.secrets, folder)}")
    if rest.too_large:
        said.append(f"left out as too large to travel: {_names(rest.too_large, folder)}")
    if rest.secrets or rest.too_large:
        said.append(f"{ignoring.FILE} lists what to leave out, --with PATH takes a path along")
    if rest.is_crowded:
        said.append(f"only what {task} imports goes from {folder} to other machines: a folder of its own goes whole")
    return "; ".join(said) or None


def _names(paths: Sequence[Path], folder: Path) -> str:
    names = sorted({_shown(path, folder) for path in paths})
    more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return ", ".join(names[:_NAMED] + more)


def _shown(path: Path, folder: Path) -> str:
    """Return the part of a path that stands in the folder, with its size if it is large; else the whole path."""
    if not path.is_relative_to(folder) or path == folder:
        return str(path)
    top = folder / path.relative_to(folder).parts[0]
    if path.is_file() and path.stat().st_size > MAX_BYTES:
        return f"{path.relative_to(folder)} ({path.stat().st_size / 1e6:,.0f} MB)"
    return f"{top.name}/" if top.is_dir() else top.name


def _weight(part: _Part) -> float:
    return max(len(part.files) / MAX_FILES, part.size / MAX_BYTES)


def _fit(parts: Sequence[_Part]) -> bool:
    n_files, size = sum(len(part.files) for part in parts), sum(part.size for part in parts)
    return (n_files <= MAX_FILES and size <= MAX_BYTES) or len(parts) == 1


class _Walk:
    """Finds the files of a folder that may travel, and remembers what may not."""

    def __init__(self, base: Path, rules: Rules) -> None:
        self._base, self._rules = base, rules
        self._secrets, self._listed = set[Path](), set[Path]()

    @property
    def left_out(self) -> Beside:
        return Beside(secrets=tuple(sorted(self._secrets)), unasked=tuple(sorted(self._listed)))

    def parts(self, folder: Path) -> list[_Part]:
        """Return a part for each folder and each file in this folder. A crowd of files is one part."""
        folders, files = [], []
        for path in self.entries(folder):
            if path.is_dir():
                folders.append(self._part(path))
            else:
                files.append(_Part(path, (path,), path.stat().st_size))
        if len(files) > MAX_FILES:
            files = [_Part(folder / "*", tuple(part.path for part in files), 0)]
        return [*folders, *files]

    def _part(self, folder: Path) -> _Part:
        found: list[Path] = []
        size = 0
        for path, one in self.files(folder):
            found.append(path)
            size += one
            if len(found) > MAX_FILES or size > MAX_BYTES:
                break
        return _Part(folder, tuple(found), size)

    def files(self, folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[tuple[Path, int]]:
        """Yield the files below a folder, each with its size. Links are followed, but not in a circle."""
        real = folder.resolve()
        if real in above:
            return
        for path in self.entries(folder):
            if path.is_dir():
                yield from self.files(path, above | {real})
            else:
                yield path, path.stat().st_size

    def entries(self, folder: Path) -> Iterator[Path]:
        """Yield the files and folders in a folder that may travel."""
        with suppress(OSError):
            for path in sorted(folder.iterdir()):
                if self._travels(path):
                    yield path

    def _travels(self, path: Path) -> bool:
        is_folder = path.is_dir()
        if not is_folder and not (_is_regular(path) and os.access(path, os.R_OK)):
            return False
        listed = self._rules.is_listed(path.relative_to(self._base).as_posix(), is_folder=is_folder)
        if listed:
            self._listed.add(path)
        elif listed is None and ignoring.is_made(path):
            return False
        elif listed is None and not is_folder and any(map(ignoring.is_secret, (path.name, path.resolve().name))):
            self._secrets.add(path)
            return False
        return not listed


def _is_regular(path: Path) -> bool:
    """Return True for a file that ends, and so no pipe or device; a link is what it leads to."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False

"""The files that a study's trials reported, as an archive beside the study's own file.

The study's file holds its record, of which each byte is checked; these are files of the user's, up to a GiB a trial.
"""

from __future__ import annotations

import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tune_jobs import files
from tune_jobs.errors import StudyError
from tune_jobs.settings import Settings
from tune_jobs.training import folders
from tune_jobs.words import one_line

_SUFFIX = ".files.zip"
_MEMBER = re.compile(r"[0-9]{4,9}/[^\\:\0]+")  # in the folder of a trial
_UNPACKED = 64 * 2**20, 100  # bytes that any archive may have, and how many more for each of its own
_PART = 2**20


def archive_of(file: Path) -> Path:
    """Return the place of the archive beside a study's file."""
    return file.with_name(file.name + _SUFFIX)


def pack(name: str, file: Path, settings: Settings) -> Path | None:
    """Write what the trials of a study reported beside its file, whole or not at all; None if they reported nothing.

    Raises:
        UserError: it cannot be written.
    """
    folder, archive = settings.trial_files_dir(name), archive_of(file)
    if not folder.is_dir() or not any(folders.files(folder)):
        return None
    with files.replacement(archive, suffix=".zip") as part, zipfile.ZipFile(part, "w", strict_timestamps=False) as into:
        for path in folders.files(folder):
            into.write(path, path.relative_to(folder))
    return archive


def check(file: Path, n_trials: int) -> None:
    """Check the archive beside a study's file, if there is one, before anything is written.

    Raises:
        StudyError: it cannot be read, or holds what no trial of the study reported.
    """
    archive = archive_of(file)
    if archive.is_file():
        with _opened(archive) as opened:
            list(_members(opened, archive, n_trials))


def unpack(file: Path, name: str, n_trials: int, settings: Settings) -> None:
    """Read the archive beside a study's file, if there is one, into the folder of what its trials reported.

    A trial that has files there keeps them.

    Raises:
        StudyError: as `check`.
    """
    archive, folder = archive_of(file), settings.trial_files_dir(name)
    if not archive.is_file():
        return
    with _opened(archive) as opened:
        members = list(_members(opened, archive, n_trials))
        there = {_owner(member) for member in members if (folder / _owner(member)).exists()}
        for member in members:
            if _owner(member) not in there:
                _write(opened, member, folder / member.filename)


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(archive) as opened:
            yield opened
    except (OSError, ValueError, RuntimeError, NotImplementedError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise StudyError(f"{archive} cannot be read: {one_line(error)}; export the study again") from error


def _owner(member: zipfile.ZipInfo) -> str:
    """Return the folder of the trial that a file is of."""
    return member.filename.partition("/")[0]


def _members(opened: zipfile.ZipFile, archive: Path, n_trials: int) -> Iterator[zipfile.ZipInfo]:
    """Yield the files of an archive; whoever made it, none leaves the folder, and they do not fill the disk."""
    most = _UNPACKED[0] + _UNPACKED[1] * archive.stat().st_size
    for member in opened.infolist():
        if member.is_dir():
            continue
        parts = member.filename.split("/")
        is_odd = _MEMBER.fullmatch(member.filename) is None or not {"", ".", ".."}.isdisjoint(parts)
        if is_odd or int(parts[0]) >= n_trials:
            raise StudyError(f"{archive} holds {member.filename!r:.100}, which no trial of the study reported")
        most -= member.file_size
        if most < 0:
            raise StudyError(f"{archive} unpacks to more than {_UNPACKED[1]} times its size: it is no export")
        yield member


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    files.make_folder(path.parent)
    with opened.open(member) as source, path.open("xb") as target:  # `open` stops at the size that the member states
        path.chmod(0o600)
        shutil.copyfileobj(source, target, _PART)

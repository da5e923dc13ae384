"""A folder of files on its way: packed in one process, and written in another."""

from __future__ import annotations

import hashlib
import io
import shutil
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

from tune_jobs.files import make_folder


def files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and of those below, in order; links are left out."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def size(folder: Path) -> int:
    """Return the number of bytes in the files of a folder."""
    return sum(path.stat().st_size for path in files(folder))


def digest(folder: Path) -> str:
    """Return 16 hex digits that change with the name, the size and the time of a file in the folder."""
    lines = [(str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns) for path in files(folder)]
    return hashlib.sha256(repr(lines).encode()).hexdigest()[:16]


def packed(folder: Path) -> bytes:
    """Return the files of a folder as a zip archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", strict_timestamps=False) as archive:
        for path in files(folder):
            archive.write(path, path.relative_to(folder))
    return content.getvalue()


def unpack(content: bytes, folder: Path) -> None:
    """Write the files of an archive into a folder; none leaves it.

    Raises:
        zipfile.BadZipFile: it is no archive.
        OSError: a file cannot be written.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)


def put(content: bytes, folder: Path) -> None:
    """Replace a folder by the files of an archive; a reader sees the old ones, none or all.

    Raises:
        zipfile.BadZipFile, OSError: as `unpack`.
    """
    new = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        make_folder(new)
        unpack(content, new)
        rights = new.stat().st_mode  # for what an archive makes has those of the umask
        for path in new.rglob("*"):
            path.chmod(path.stat().st_mode & rights)
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)

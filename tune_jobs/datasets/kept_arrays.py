"""Arrays that were costly to make, as files in the data folder. A file beside each has its SHA-256."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np

from tune_jobs import files
from tune_jobs.datasets.dataset import Array
from tune_jobs.errors import UserError
from tune_jobs.words import Say


def read(path: Path, say: Say) -> Array | None:
    """Return the array in this file; None if it is missing or, with a message, if its checksum is another."""
    try:
        content, checksum = path.read_bytes(), _checksum_file(path).read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    if checksum != _checksum_line(content, path):
        say(f"{path} is damaged: its images are made again")
        return None
    array: Array = np.load(io.BytesIO(content), allow_pickle=False)
    return array


def save(array: Array, path: Path, say: Say) -> None:
    """Write the array and its checksum; where that cannot be, say so. Two processes that do so at once write the same
    files."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    try:
        files.make_folder(path.parent)
        files.write_bytes(path, content.getvalue())
        files.write(_checksum_file(path), _checksum_line(content.getvalue(), path))
    except (OSError, UserError) as error:
        say(f"the images cannot be kept and will be made again: {error}")


def _checksum_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _checksum_line(content: bytes, path: Path) -> str:
    """Return the line that the program sha256sum writes, and checks."""
    return f"{hashlib.sha256(content).hexdigest()}  {path.name}\n"

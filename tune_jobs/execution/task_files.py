"""Task files that came from another machine: kept in a folder here, each under the hash of its text."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tune_jobs import files
from tune_jobs.search_spaces import Task, catalog


def keep(content: bytes, file_name: str, folder: Path) -> Path:
    """Write a task file under `folder`, for its owner alone; return where it is.

    Raises:
        UserError: it cannot be written.
    """
    path = folder / hashlib.sha256(content).hexdigest()[:16] / Path(file_name).name
    if not path.exists():  # the same text is there already
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(path, content, mode=0o600)
    return path


def load(text: str, file_name: str, attribute: str | None, folder: Path) -> Task:
    """Return the task in the text of a file; the text is kept under `folder`, so that tracebacks can show its lines.

    Files beside the original are not there: a task that workers elsewhere train has to stand alone.

    Raises:
        TaskError: the text cannot be imported or has no such task; in one line.
    """
    return catalog.load_text(keep(text.encode(), file_name, folder), text, attribute)

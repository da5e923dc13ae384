"""What is known of a worker that died: Ray's error, and the last words that it wrote."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray._private import worker as ray_worker

_TOLD = re.compile(r"[\w.]*(?:Error|Exception|Exit)\b.*|Fatal Python error: .*|\*\*\* SIG\w+ received.*")
_LONGEST = 200  # characters of a line that is shown


def error_of(trial: Any) -> str:
    """Return Ray's error of a trial of Tune's whose worker died; empty if there is none.

    Tune writes it to a file of its own at once. `get_error` reads the copy, which is made later.
    """
    with suppress(OSError):
        if trial.error_file is not None:
            return Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
    return ""


def last_words(error: str) -> str | None:
    """Return the line that says why a worker died: Ray's, or its own if it was on this machine. None: nobody said."""
    lines = [*error.splitlines(), *_written(error)]
    told = [match[0] for line in lines if (match := _TOLD.fullmatch(line.strip()))]
    own = [line for line in told if not line.startswith("ray.exceptions.")]
    return own[-1][:_LONGEST] if own else None


def _written(error: str) -> list[str]:
    """Return what the worker of this error wrote to stderr, as Ray keeps it."""
    process = re.search(r"\bpid: (\d+)", error)
    if process is None or not ray.is_initialized():
        return []
    with suppress(OSError, AttributeError):
        folder = Path(ray_worker._global_node.get_logs_dir_path())
        for file in folder.glob(f"worker-*-{process[1]}.err"):
            return file.read_text(encoding="utf-8", errors="replace").splitlines()
    return []

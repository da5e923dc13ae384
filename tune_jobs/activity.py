"""What a driver tells of its trials while it runs, for those who ask from another shell: why each waits.

It is a small file beside the study, written anew now and then and worth nothing once the driver has ended; what lasts
is in the study.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def write(path: Path, waiting: Mapping[int, str]) -> None:
    """Replaces what was told before. A disk that does not take it is no reason to end a sweep."""
    part = path.with_name(f".{path.name}.part")
    with suppress(OSError):
        part.write_text(json.dumps({"pid": os.getpid(), "waiting": list(waiting.items())}), encoding="utf-8")
        part.replace(path)


def read(path: Path, pid: int) -> dict[int, str]:
    """Why trials wait, as the driver with this process id told last; nothing where it told nothing."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return {int(number): str(why) for number, why in told["waiting"]} if told["pid"] == pid else {}
    except (OSError, ValueError, TypeError, KeyError):
        return {}

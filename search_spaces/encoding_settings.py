"""What a fixed label encoding of the user's own was made with, such as how much it smooths labels."""

from __future__ import annotations

import inspect
import json
from contextlib import suppress
from typing import Any

from tune_jobs.search_spaces.installed import PACKAGE


def settings(encoding: Any) -> dict[str, Any]:
    """Return the arguments of an encoding's constructor as far as the encoding keeps them, by the same name or with an
    underscore before it, and as far as they are JSON values or arrays.

    There are none for encodings of ours: their names say all.
    """
    kind, parts = type(encoding), dict(getattr(encoding, "encodings", ()))
    if parts:  # of several outputs
        return {output: kept for output, part in parts.items() if (kept := settings(part))}
    if kind.__module__.partition(".")[0] == PACKAGE:
        return {}
    kept = {name: _plain(_kept(encoding, name)) for name in inspect.signature(kind).parameters}
    return {name: value for name, value in kept.items() if value is not None}


def _kept(encoding: Any, name: str) -> Any:
    return getattr(encoding, name, getattr(encoding, f"_{name}", None))


def _plain(value: Any) -> Any:
    """Return a value in JSON form; None if it has none."""
    value = value.tolist() if hasattr(value, "tolist") else value
    with suppress(TypeError, ValueError):
        return json.loads(json.dumps(value))
    return None

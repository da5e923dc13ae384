"""What a fixed label encoding of the user's own was made with, such as how much it smooths labels."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tune_jobs.search_spaces.installed import PACKAGE

_NOT_KEPT = object()


def settings(encoding: Any) -> dict[str, Any]:
    """Return the arguments of an encoding's constructor as far as the encoding keeps them, by the same name or with an
    underscore before it, and as far as they are JSON values or arrays. If one is kept by no such name, all numbers and
    texts that the encoding has count. A partial function has the arguments that it was given.

    There are none for encodings of ours: their names say all.
    """
    if isinstance(encoding, functools.partial):
        return _plain_ones({str(place): value for place, value in enumerate(encoding.args)} | encoding.keywords)
    kind, parts = type(encoding), dict(getattr(encoding, "encodings", ()))
    if parts:  # of several outputs
        return {output: kept for output, part in parts.items() if (kept := settings(part))}
    if kind.__module__.partition(".")[0] == PACKAGE:
        return {}
    arguments = {name: _kept(encoding, name) for name in inspect.signature(kind).parameters}
    kept = {name: value for name, value in arguments.items() if value is not _NOT_KEPT}
    return _plain_ones(kept if len(kept) == len(arguments) else _scalars(encoding) | kept)


def _scalars(encoding: Any) -> dict[str, Any]:
    return {name: value for name, value in getattr(encoding, "__dict__", {}).items() if _is_scalar(value)}


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float) or getattr(value, "ndim", None) == 0


def _kept(encoding: Any, name: str) -> Any:
    return getattr(encoding, name, getattr(encoding, f"_{name}", _NOT_KEPT))


def _plain_ones(values: Mapping[str, Any]) -> dict[str, Any]:
    plain = {name: _plain(value) for name, value in values.items()}
    return {name: value for name, value in plain.items() if value is not None}


def _plain(value: Any) -> Any:
    """Return a value in JSON form; None if it has none."""
    value = value.tolist() if hasattr(value, "tolist") else value
    with suppress(TypeError, ValueError):
        return json.loads(json.dumps(value))
    return None

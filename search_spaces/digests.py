"""Digests of tasks: hex digits by which a study knows its task again.

Prose and the baseline do not count. A function counts by its name, not by its text, so that a comment can be corrected
while a study lasts; one of an installed package by the name of its file too.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from tune_jobs.search_spaces import compiling, encoding_settings, function_names

_NONE: Mapping[str, Any] = {}


def digest(task: Any) -> str:
    """Return 12 hex digits that change with everything a study of a `Task` depends on."""
    return _digest(_parts(task, function_names.name, _settings(task)))


def of_scores(task: Any) -> str:
    """Return 12 hex digits that change with all that a score of a `Task` depends on: without the space."""
    parts = _parts(task, function_names.name, _settings(task))
    return _digest({name: part for name, part in parts.items() if name != "space"})


def of_space(space: Any) -> str:
    """Return 12 hex digits that change with a space."""
    return _digest({"space": space.to_json()})


def earlier(task: Any, file_stem: str | None) -> tuple[str, str]:
    """Return the digests of earlier versions, to which the settings of an encoding did not count, and to the first of
    which a user's own file counted by its name without `.py`.

    `file_stem` is the name that the task's file had then; None for a task without a file.
    """
    earlier_name = functools.partial(function_names.earlier_name, file_stem=file_stem)
    return _digest(_parts(task, earlier_name, _NONE)), _digest(_parts(task, function_names.name, _NONE))


def _settings(task: Any) -> Mapping[str, Any]:
    is_fixed = not callable(task.encoding) or isinstance(task.encoding, functools.partial)
    return _NONE if task.encoding is None or not is_fixed else encoding_settings.settings(task.encoding)


def _parts(task: Any, name_of: Callable[[Any], str], settings: Mapping[str, Any]) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "name": task.name,
        "space": task.space.to_json(),
        "objective": asdict(task.objective),
        "protocol": task.protocol.to_dict(),
        "dataset": task.dataset if isinstance(task.dataset, str | None) else name_of(task.dataset),
        "encoding": _encoding_name(task.encoding, name_of),
        "trained_by": name_of(task.build or task.train or task.run),
    }
    if settings:
        parts["encoding_settings"] = settings
    if task.further_objectives:
        parts["further_objectives"] = [asdict(objective) for objective in task.further_objectives]
    for name in ("loss", "metrics"):
        if getattr(task, name) is not None:
            parts[name] = compiling.form(getattr(task, name), name_of)
    if task.callbacks is not None:
        parts["callbacks"] = name_of(task.callbacks)
    return parts


def _digest(parts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _encoding_name(encoding: Any, name_of: Callable[[Any], str]) -> str | None:
    if encoding is None:
        return None
    return name_of(encoding) if callable(encoding) else str(getattr(encoding, "name", ""))

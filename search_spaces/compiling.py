"""What a task names of Keras beside its network, such as its loss: in the form that a digest counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any


def form(value: Any, name_of: Callable[[Any], str]) -> Any:
    """Return a name as it is, a function or class by its name, and an object by its class and settings."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): form(part, name_of) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [form(part, name_of) for part in value]
    settings = _settings(value)
    return [name_of(value), settings] if settings else name_of(value)


def why_not(value: Any) -> str | None:
    """Return what is wrong with a loss or metric, or a mapping or list of them, to follow its name; None if it fits."""
    if isinstance(value, Mapping | list | tuple):
        parts = value.values() if isinstance(value, Mapping) else value
        return next((wrong for part in parts if (wrong := why_not(part)) is not None), None)
    if value is None or callable(value) or (isinstance(value, str) and value):
        return None
    if hasattr(value, "get_config"):
        return None
    return f"needs a name of Keras, a function or an object of Keras, or a mapping or list of them; got {value!r}"


def _settings(value: Any) -> Any:
    """Return what an object of Keras was made with, if it says so in JSON values. Names that Keras made up are left
    out."""
    if isinstance(value, type) or not hasattr(value, "get_config"):
        return None
    with suppress(Exception):
        settings = {name: part for name, part in value.get_config().items() if name != "name"}
        return json.loads(json.dumps(settings))
    return None

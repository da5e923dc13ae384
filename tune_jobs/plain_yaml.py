"""YAML from a file that nobody vouched for: plain values only, no key twice, and one line on what is wrong."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from tune_jobs.errors import StudyError

_MOST_BYTES = 2**20  # a front of 500 configurations; PyYAML takes a second for so many
# what PyYAML lets through for a value that its tag does not fit, such as `!!int ""`
_ODD = (ValueError, TypeError, LookupError, AttributeError, RecursionError)


def read(path: Path, hint: str) -> Any:
    """What is in the file; `hint` says what to do where there is none.

    Raises:
        StudyError: the file cannot be read, or is no YAML.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise StudyError(f"{path} has more than {_MOST_BYTES // 2**20} MiB; {hint}")
        return yaml.load(content, Loader=_Loader)  # a SafeLoader
    except FileNotFoundError as error:
        raise StudyError(f"there is no file {path}; {hint}") from error
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, *_ODD) as error:
        raise StudyError(f"{path} is no YAML that can be read: {_why(error)}") from error


def shown(value: object) -> str:
    """A value in short, however large or deep it is."""
    try:
        return reprlib.repr(value)
    except ValueError:  # a whole number of more digits than Python writes
        return type(value).__name__


def is_value(value: object) -> bool:
    """Whether it can be a parameter's."""
    return value is None or isinstance(value, bool | str) or is_number(value)


def is_number(value: object) -> bool:
    """Whether it is a finite number, and none too large for those who count in 64 bits."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


class _Loader(yaml.SafeLoader):
    """Plain values only, nothing said by reference, of which a few lines can make billions, and no key twice: the
    second would silently win."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            what = f"the alias *{shown(event.anchor)} needs to be written out"
            raise yaml.constructor.ConstructorError(None, None, what, event.start_mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        mapping = super().construct_mapping(node, deep=deep)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                what = f"the key {shown(key.value)} is there twice"
                raise yaml.constructor.ConstructorError(None, None, what, key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else key)
        return mapping


def _why(error: Exception) -> str:
    """The error in one line, with the line of the file where it is known."""
    mark = getattr(error, "problem_mark", None)
    words = getattr(error, "problem", None) or str(error)
    line = "".join(character if character.isprintable() else " " for character in words)
    return line + (f" in line {mark.line + 1}" if mark is not None else "")

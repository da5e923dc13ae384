"""Read YAML from an untrusted file: plain values only, no key twice, and one line on what is wrong."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from tune_jobs import files
from tune_jobs.errors import StudyError
from tune_jobs.words import printable, short

_MOST_BYTES = 2**20  # a front of 500 configurations, which PyYAML reads in a second
_MOST_NODES = 100_000  # keys and values, of which such a front has 60,000; they take 70 MB
# what PyYAML raises for a value that its tag does not fit, such as `!!int ""`
_OTHER_ERRORS = (ValueError, TypeError, LookupError, AttributeError, RecursionError, ArithmeticError)
_TAGS = tuple(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map"))


def read(path: Path, hint: str) -> Any:
    """Return what a file holds; `hint` says what to do where there is no file.

    Raises:
        StudyError: the file cannot be read, or is no YAML.
    """
    return parsed(read_bytes(path, hint), str(path))


def read_bytes(path: Path, hint: str) -> bytes:
    """Return the bytes of such a file, unread.

    Raises:
        StudyError: the file cannot be read, or is too large.
    """
    try:
        with files.reading(path) as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise StudyError(f"there is no file {path}; {hint}") from error
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > _MOST_BYTES:
        raise StudyError(f"{path} has more than {_MOST_BYTES // 2**20} MiB; {hint}")
    return content


def parsed(content: bytes, name: str) -> Any:
    """Return what the bytes of a file hold; `name` is what to call it.

    Raises:
        StudyError: they are no YAML.
    """
    try:
        return yaml.load(content, Loader=_Loader)  # a SafeLoader
    except (yaml.YAMLError, *_OTHER_ERRORS) as error:
        raise StudyError(f"{name} is no YAML that can be read: {_why(error)}") from error


class _Loader(yaml.SafeLoader):
    """Loads plain values only. It refuses aliases, of which a few lines can make billions of values, and a key that is
    there twice, of which the second would silently win.

    What only YAML 1.1 takes for another value stays a text, as in YAML 1.2: off, no, 12:30, 2024-01-31 and 010.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (as in the base class)
    yaml_constructors = {  # noqa: RUF012 (as in the base class)
        tag: construct for tag, construct in yaml.SafeLoader.yaml_constructors.items() if tag in (*_TAGS, None)
    }

    _n_nodes = 0  # so far

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            what = f"the alias *{short(event.anchor)} needs to be written out"
            raise yaml.constructor.ConstructorError(None, None, what, event.start_mark)
        self._n_nodes += 1
        if self._n_nodes > _MOST_NODES:
            what = f"there are more than {_MOST_NODES} keys and values"
            raise yaml.constructor.ConstructorError(None, None, what, self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        if node.tag.endswith((":int", ":float")) and ":" in str(node.value):
            what = f"the number {short(node.value)} to base 60 needs to be an ordinary one"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)
        return super().construct_scalar(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        mapping = super().construct_mapping(node, deep=deep)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                what = f"the key {short(key.value)} is there twice"
                raise yaml.constructor.ConstructorError(None, None, what, key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else key)
        return mapping


_IMPLICIT = (  # the tags of values without quotes, with the characters that they can begin with
    ("null", ["~", "n", "N", ""], r"~|null|Null|NULL|"),
    ("bool", [*"tTfF"], r"true|True|TRUE|false|False|FALSE"),
    ("int", [*"-+0123456789"], r"[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)"),
    ("float", [*"-+.0123456789"], r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?"),
    ("float", [*"-+."], r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"),
    ("merge", ["<"], r"<<"),
)
for tag, starts, pattern in _IMPLICIT:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})$"), starts)


def _why(error: Exception) -> str:
    """Return the error in one line, with the line of the file where it is known."""
    mark = getattr(error, "problem_mark", None)
    words = getattr(error, "problem", None) or str(error)
    return printable(words) + (f" in line {mark.line + 1}" if mark is not None else "")

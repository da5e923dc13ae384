"""Read JSON into frozen dataclasses: every value has the type that its field declares, or one line says what is wrong.

A list becomes a tuple and a whole number a float where a field needs one. Nothing else is converted: neither "1" nor
true is 1. pydantic does the work, and is imported when something is first read.
"""

from __future__ import annotations

import functools
import re
import types
import typing
from collections.abc import Iterable, Sequence
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from tune_jobs.search_spaces.spelling import near
from tune_jobs.words import short

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails, SchemaValidator, ValidationError

T = TypeVar("T")

_BOUND = 2**63  # of whole numbers; most that reads them counts in 64 bits
_WORDS = {
    "bool": "true or false",
    "dataclass": "a mapping",
    "dict": "a mapping",
    "finite": "a number",
    "float": "a number",
    "greater": "a whole number",
    "int": "a whole number",
    "less": "a whole number",
    "list": "a list",
    "none": "null",
    "str": "a text",
    "string": "a text",
    "tuple": "a list",
}


class ContentError(ValueError):
    """Content that is not what it has to be; the message says where and why, in one line."""


def decode(kind: type[T], value: object, where: str, *, finite: bool = True, by_hand: bool = False) -> T:
    """Return a JSON value as a `kind`: a dataclass, a tuple, a mapping or a plain type.

    A dataclass is read from a mapping, in which fields that have a default may be missing. Numbers have to be finite
    unless `finite` is False. `where` names the value in the message. With `by_hand`, a number may be written as people
    do: 8.0 is a whole number and 1e-3, which YAML reads as a text, is 0.001.

    Raises:
        ContentError: the value, or a part of it, has another type, a key is unknown or missing, or a constructor
            refuses its arguments.
    """
    from pydantic_core import ValidationError

    try:
        return typing.cast("T", _validator(typing.cast("Any", kind), finite, by_hand).validate_python(value))
    except ValidationError as error:
        raise ContentError(_message(kind, error, where)) from error


def decode_json(kind: type[T], text: str | bytes, where: str, *, finite: bool = True) -> T:
    """Return a JSON text as a `kind`, as `decode` does.

    Raises:
        ContentError: as `decode` does, or the text is not JSON.
    """
    from pydantic_core import ValidationError

    try:
        return typing.cast("T", _validator(typing.cast("Any", kind), finite, False).validate_json(text))
    except ValidationError as error:
        raise ContentError(_message(kind, error, where)) from error


@functools.cache
def _validator(kind: Any, finite: bool, by_hand: bool) -> SchemaValidator:
    from pydantic import TypeAdapter
    from pydantic_core import SchemaValidator

    return SchemaValidator(_strict(TypeAdapter(kind).core_schema, finite, by_hand))


def _strict(schema: Any, finite: bool, by_hand: bool) -> Any:
    """Return pydantic's schema with strict numbers and closed dataclasses.

    pydantic's own strict mode would refuse a list in place of a tuple, and a mapping in place of a dataclass.
    """
    if isinstance(schema, list | tuple):
        return type(schema)(_strict(part, finite, by_hand) for part in schema)
    if not isinstance(schema, dict):
        return schema
    is_union = schema.get("type") == "union"
    parts = {name: _strict(part, finite, by_hand and not is_union) for name, part in schema.items()}
    changes: dict[str, dict[str, Any]] = {
        "bool": {"strict": True},
        "dataclass-args": {"extra_behavior": "forbid"},
        "float": {"strict": True, "allow_inf_nan": not finite},
        "int": {"strict": True, "lt": _BOUND, "gt": -_BOUND},
        "tuple": {"fail_fast": True},
        "union": {"choices": list(map(_exact, parts.get("choices", ()))), **_union_error(schema)},
    }
    strict = parts | changes.get(str(schema.get("type")), {})
    return _from_hand(strict) if by_hand else strict


def _from_hand(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a number, or of a union of numbers, that takes what a person writes for it."""
    from pydantic_core.core_schema import no_info_before_validator_function

    kind, choices = schema.get("type"), {choice["type"] for choice in schema.get("choices", ())}
    if kind == "int":
        return dict(no_info_before_validator_function(_whole, typing.cast("Any", schema)))
    if kind == "float" or (kind == "union" and choices == {"int", "function-before"}):  # that of `_exact`
        return dict(no_info_before_validator_function(_number, typing.cast("Any", schema)))
    return schema


def _number(value: object) -> object:
    """Return the number that a text with an exponent spells; anything else as it is."""
    is_spelled = isinstance(value, str) and re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+", value)
    return float(value) if isinstance(value, str) and is_spelled else value


def _whole(value: object) -> object:
    number = _number(value)
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _exact(choice: Any) -> Any:
    """Return a choice of a union that takes no whole number for a float: one that is too large is not to become one."""
    from pydantic_core.core_schema import no_info_before_validator_function

    return no_info_before_validator_function(_refuse_whole, choice) if choice["type"] == "float" else choice


def _refuse_whole(value: object) -> object:
    if isinstance(value, int):
        raise ValueError("a whole number that is too large")  # noqa: TRY004 (pydantic takes ValueError for a refusal)
    return value


def _union_error(schema: dict[str, Any]) -> dict[str, str]:
    """Return one error for a union, in place of one for each of its choices: `a number, a text, true or false`."""
    words = dict.fromkeys(_WORDS.get(choice["type"], choice["type"]) for choice in schema.get("choices", ()))
    if _WORDS["float"] in words:
        words.pop(_WORDS["int"], None)
    return {"custom_error_type": "union", "custom_error_message": ", ".join(sorted(words))}


def _message(kind: Any, error: ValidationError, where: str) -> str:
    """Return the first thing that is wrong, in one line."""
    first = _first(error.errors(include_url=False))
    path, problem = first["loc"], first["type"]
    place, outer = _place(where, path), _place(where, path[:-1])
    if problem == "invalid_key":
        return f"{outer} has the key {short(first['input'])}, which needs to be a text"
    if path[-1:] == ("[key]",):
        needed = _needed(problem, first["msg"])
        return f"{_place(where, path[:-2])} has the key {short(first['input'])}, which needs to be {needed}"
    if problem == "missing":
        return f"{outer} has no {path[-1]!r}" if isinstance(path[-1], str) else f"{outer} has too few items"
    if problem == "too_long":
        return f"{place} has more than {first['ctx']['max_length']} items"
    if problem == "unexpected_keyword_argument":
        name = str(path[-1])
        return f"{outer} has {short(name)}, which nothing here knows{near(name[:100], _names(kind, path[:-1]))}"
    if problem == "json_invalid":
        return f"{where} is not JSON ({first['ctx']['error']})"
    if problem == "value_error":
        return f"{place}: {' '.join(str(first['ctx']['error']).split())[:300]}"
    needed = first["ctx"]["expected"] if problem == "literal_error" else _needed(problem, first["msg"])
    return f"{place} needs {needed}; got {short(first['input'])}"


def _first(errors: Sequence[ErrorDetails]) -> ErrorDetails:
    """Return the first error; for a key that is missing and may be misspelt, that of the unknown one beside it."""
    first = errors[0]
    if first["type"] != "missing":
        return first
    beside = (e for e in errors if e["type"] == "unexpected_keyword_argument" and e["loc"][:-1] == first["loc"][:-1])
    return next(beside, first)


def _needed(problem: str, message: str) -> str:
    return message if problem == "union" else _WORDS.get(problem.split("_", maxsplit=1)[0], message)


def _place(where: str, path: Sequence[int | str]) -> str:
    """Return `trial 3: result.history[2].loss`."""
    parts = "".join(f"[{part}]" if isinstance(part, int) else f".{_name(part)}" for part in path)
    return f"{where}: {parts.removeprefix('.')}" if parts else where


def _name(key: str) -> str:
    return key if key.isidentifier() and key.isascii() and len(key) <= 60 else short(key)


def _names(kind: Any, path: Iterable[int | str]) -> Sequence[str]:
    """Return the fields of the dataclass that lies at `path` in a `kind`."""
    for part in path:
        kind = _without_none(kind)
        kind = typing.get_type_hints(kind)[str(part)] if is_dataclass(kind) else _of_items(kind)
    return tuple(typing.get_type_hints(_without_none(kind)))


def _without_none(kind: Any) -> Any:
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return kind
    return next(part for part in typing.get_args(kind) if part is not type(None))


def _of_items(kind: Any) -> Any:
    """Return the kind of the items of a tuple of any length, or of the values of a mapping."""
    return next(part for part in reversed(typing.get_args(kind)) if part is not Ellipsis)

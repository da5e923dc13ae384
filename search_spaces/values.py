"""Values as people write them: scalars of any library as plain values, and what a value means for a domain.

A file, a notebook and another program spell one value differently: 1 for 1.0, "1e-3" for 0.001, off for False.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tune_jobs.models.plain_values import plain
from tune_jobs.search_spaces.scalars import Choice, Float, Scalar, Value, text

_SPELLINGS: tuple[tuple[Value, frozenset[str]], ...] = (
    (True, frozenset({"true", "on", "yes"})),
    (False, frozenset({"false", "off", "no"})),
    (None, frozenset({"none", "null", "~", ""})),
)


def meant(domain: Scalar, value: object) -> Any:
    """Return the value of a domain that a person means by a value.

    If the domain has no such value, or several that may be meant, return the value as it came, which the domain
    refuses.
    """
    value = plain(value)
    if isinstance(domain, Choice):
        return meant_option(domain.options, value)
    number = _as_float(_number(value)) if isinstance(domain, Float) else _as_whole(_number(value))
    snapped = None if number is None else domain.snap(number)
    return value if snapped is None or domain.why_not(snapped) else snapped


def meant_option(options: Sequence[Value], value: object) -> Any:
    """Return the option that a person means by a value, as `meant` does."""
    value = plain(value)
    exact = [option for option in options if type(option) is type(value) and option == value]
    spelled = [option for option in options if isinstance(value, bool | int | float) and option == text(value)]
    alike = [option for option in options if _is_alike(option, value)]
    return next((found[0] for found in (exact, spelled, alike) if len(found) == 1), value)


def _is_alike(option: Value, value: object) -> bool:
    """Return True if a value may stand for an option; two texts never do, for each is spelled out."""
    if isinstance(option, str) and isinstance(value, str):
        return False
    return any(_is_same(a, b) for a in _readings(option) for b in _readings(value))


def _readings(value: object) -> list[object]:
    """Return the values that a value, or a text that spells it, can stand for."""
    if not isinstance(value, str):
        return [value]
    number = _number(value)
    named = [meaning for meaning, spellings in _SPELLINGS if value.strip().lower() in spellings]
    return [*named, *([] if number is None else [number])]


def _is_same(a: object, b: object) -> bool:
    """Return True for equal values of one kind; 1 and 1.0 are of one kind, and True is not."""
    is_number = [isinstance(value, int | float) and not isinstance(value, bool) for value in (a, b)]
    return (all(is_number) or type(a) is type(b)) and a == b


def _number(value: object) -> int | float | None:
    """Return a number, or the number that a text spells."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return None


def _as_float(number: float | None) -> float | None:
    try:
        return None if number is None else float(number)
    except OverflowError:  # a whole number beyond all floats
        return None


def _as_whole(number: float | None) -> float | None:
    return int(number) if isinstance(number, float) and number.is_integer() else number

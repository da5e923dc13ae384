"""Check the arguments of builders: each is returned, or refused by a `ValueError` of one line.

The line says what is allowed and what the argument was. A search records it as the reason why a configuration is
invalid, so it must make sense without a traceback.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence


def one_of(name: str, value: object, allowed: Iterable[str]) -> str:
    """Return a value that must be one of `allowed`. Raises ValueError."""
    known = tuple(allowed)
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}; got {value!r}")
    return value


def whole(name: str, value: object, *, at_least: int) -> int:
    """Return a whole number of `at_least` or more. Raises ValueError; `True` is not a number here."""
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise ValueError(f"{name} must be a whole number of at least {at_least}; got {value!r}")
    return value


def positive(name: str, value: object) -> float:
    """Return a finite number above 0. Raises ValueError."""
    number = _finite(value)
    if number is None or number <= 0:
        raise ValueError(f"{name} must be a finite number above 0; got {value!r}")
    return number


def fraction(name: str, value: object) -> float:
    """Return a number of at least 0 and below 1. Raises ValueError."""
    number = _finite(value)
    if number is None or not 0 <= number < 1:
        raise ValueError(f"{name} must be at least 0 and below 1; got {value!r}")
    return number


def flag(name: str, value: object) -> bool:
    """Return True or False. Raises ValueError, also for 0, 1 and "no", which Python would take for one of them."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False; got {value!r}")  # noqa: TRY004 (one kind of refusal)
    return value


def shape(name: str, value: Sequence[int], *, rank: int | None = None) -> tuple[int, ...]:
    """Return the sizes of one image, each known and at least 1, and `rank` of them if given. Raises ValueError."""
    sizes = tuple(value)
    if not sizes or not all(isinstance(size, int) and size >= 1 for size in sizes) or rank not in (None, len(sizes)):
        raise ValueError(f"{name} must be {rank or 'one or more'} sizes of at least 1; got {sizes!r}")
    return sizes


def widths(name: str, value: int | str) -> tuple[int, ...]:
    """Return the widths of successive layers: `128` is one layer, the label `"512-128-32"` three. Raises ValueError."""
    if isinstance(value, str) and re.fullmatch(r"[1-9][0-9]*(-[1-9][0-9]*)*", value, re.ASCII):
        return tuple(int(width) for width in value.split("-"))
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return (value,)
    raise ValueError(f"{name} must be a width of at least 1 or a label of widths such as '64-128'; got {value!r}")


def ascending(name: str, values: Sequence[float], *, at_least: int, at_most: int) -> tuple[float, ...]:
    """Return finite numbers, each above the one before, from `at_least` to `at_most` of them. Raises ValueError."""
    numbers = tuple(values)
    are_finite = all(_finite(number) is not None for number in numbers)
    if not are_finite or not at_least <= len(numbers) <= at_most or list(numbers) != sorted(set(numbers)):
        raise ValueError(f"{name} must be {at_least} to {at_most} ascending finite numbers; got {numbers!r}")
    return numbers


def short_text(name: str, value: object, longest: int) -> str:
    """Return a text of 1 to `longest` letters. Raises ValueError."""
    if not isinstance(value, str) or not 1 <= len(value) <= longest:
        raise ValueError(f"{name} must be a text of 1 to {longest} letters; got {value!r}")
    return value


def names(name: str, value: object) -> tuple[str, ...]:
    """Return different texts, or none. Raises ValueError."""
    texts = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (None,)
    if not all(isinstance(text, str) and text for text in texts) or len(set(texts)) != len(texts):
        raise ValueError(f"{name} must be different texts; got {value!r}")
    return texts


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)

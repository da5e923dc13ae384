"""Check the arguments of builders: each is returned, or refused by a `ValueError` of one line.

The line says what is allowed and what the argument was. A search records it as the reason why a configuration is
invalid, so it must make sense without a traceback. Scalars of NumPy are the numbers that they show.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from tune_jobs.models.plain_values import plain


def one_of(name: str, value: object, allowed: Iterable[str]) -> str:
    """Return a value that must be one of `allowed`. Raises ValueError."""
    known = tuple(allowed)
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}; got {value!r}")
    return value


def whole(name: str, value: object, *, at_least: int) -> int:
    """Return a whole number of `at_least` or more. Raises ValueError; `True` is not a number here."""
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, int) or number < at_least:
        raise ValueError(f"{name} must be a whole number of at least {at_least}; got {number!r}")
    return number


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
    is_on = plain(value)
    if not isinstance(is_on, bool):
        raise ValueError(f"{name} must be True or False; got {is_on!r}")  # noqa: TRY004 (one kind of refusal)
    return is_on


def shape(name: str, value: Sequence[int], *, rank: int | None = None) -> tuple[int, ...]:
    """Return the sizes of one image, each known and at least 1, and `rank` of them if given. Raises ValueError."""
    sizes = tuple(map(plain, value))
    if not sizes or not all(isinstance(size, int) and size >= 1 for size in sizes) or rank not in (None, len(sizes)):
        raise ValueError(f"{name} must be {rank or 'one or more'} sizes of at least 1; got {sizes!r}")
    return sizes


def widths(name: str, value: int | str) -> tuple[int, ...]:
    """Return the widths of successive layers: `128` is one layer, the label `"512-128-32"` three. Raises ValueError."""
    width = plain(value)
    if isinstance(width, str) and re.fullmatch(r"[1-9][0-9]*(-[1-9][0-9]*)*", width, re.ASCII):
        return tuple(map(int, width.split("-")))
    if isinstance(width, int) and not isinstance(width, bool) and width >= 1:
        return (width,)
    raise ValueError(f"{name} must be a width of at least 1 or a label of widths such as '64-128'; got {value!r}")


def ascending(name: str, values: Sequence[float], *, at_least: int, at_most: int) -> tuple[float, ...]:
    """Return finite numbers, each above the one before, from `at_least` to `at_most` of them. Raises ValueError."""
    numbers = tuple(map(plain, values))
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
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        return None
    return float(number)

"""Arguments of builders, read or refused: a refusal is a `ValueError` of one line, what is allowed and what came.

A search records it as the reason why a configuration is invalid, so the line must make sense without a traceback.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence


def one_of(name: str, came: object, allowed: Iterable[str]) -> str:
    """The name that came, which must be one of `allowed`. Raises ValueError."""
    known = tuple(allowed)
    if not isinstance(came, str) or came not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}; {came!r} came")
    return came


def whole(name: str, came: object, *, at_least: int) -> int:
    """The whole number that came, `at_least` included. Raises ValueError; `True` is no number here."""
    if isinstance(came, bool) or not isinstance(came, int) or came < at_least:
        raise ValueError(f"{name} must be a whole number of at least {at_least}; {came!r} came")
    return came


def positive(name: str, came: object) -> float:
    """The finite number above 0 that came. Raises ValueError."""
    number = _finite(came)
    if number is None or number <= 0:
        raise ValueError(f"{name} must be a finite number above 0; {came!r} came")
    return number


def fraction(name: str, came: object) -> float:
    """The number that came, from 0 up to but without 1. Raises ValueError."""
    number = _finite(came)
    if number is None or not 0 <= number < 1:
        raise ValueError(f"{name} must be at least 0 and below 1; {came!r} came")
    return number


def flag(name: str, came: object) -> bool:
    """The truth value that came; 0, 1 and "no" are refused, for all of them would pass for one. Raises ValueError."""
    if not isinstance(came, bool):
        raise ValueError(f"{name} must be True or False; {came!r} came")  # noqa: TRY004 (one kind of refusal)
    return came


def shape(name: str, came: Sequence[int], *, rank: int | None = None) -> tuple[int, ...]:
    """The sizes of one image, all known and at least 1; `rank` of them if that is given. Raises ValueError."""
    sizes = tuple(came)
    if not sizes or not all(isinstance(size, int) and size >= 1 for size in sizes) or rank not in (None, len(sizes)):
        raise ValueError(f"{name} must be {rank or 'one or more'} sizes of at least 1; {sizes!r} came")
    return sizes


def widths(name: str, came: int | str) -> tuple[int, ...]:
    """The widths of successive layers: `128` is one layer, the label `"512-128-32"` three. Raises ValueError."""
    if isinstance(came, str) and re.fullmatch(r"[1-9][0-9]*(-[1-9][0-9]*)*", came, re.ASCII):
        return tuple(int(width) for width in came.split("-"))
    if isinstance(came, int) and not isinstance(came, bool) and came >= 1:
        return (came,)
    raise ValueError(f"{name} must be a width of at least 1 or a label of widths such as '64-128'; {came!r} came")


def ascending(name: str, came: Sequence[float], *, at_least: int, at_most: int) -> tuple[float, ...]:
    """Return the finite numbers, each above the one before; so many of them. Raises ValueError."""
    numbers = tuple(came)
    is_right = all(_finite(number) is not None for number in numbers)
    if not is_right or not at_least <= len(numbers) <= at_most or list(numbers) != sorted(set(numbers)):
        raise ValueError(f"{name} must be {at_least} to {at_most} ascending finite numbers; {numbers!r} came")
    return numbers


def short_text(name: str, came: object, longest: int) -> str:
    """Return the text, of 1 to `longest` letters. Raises ValueError."""
    if not isinstance(came, str) or not 1 <= len(came) <= longest:
        raise ValueError(f"{name} must be a text of 1 to {longest} letters; {came!r} came")
    return came


def _finite(came: object) -> float | None:
    if isinstance(came, bool) or not isinstance(came, int | float) or not math.isfinite(came):
        return None
    return float(came)

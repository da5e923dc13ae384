"""Domains of one value: a range of floats, a range of ints, a choice of options.

They check themselves when they are made and describe themselves in words. `space.py` combines them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tune_jobs.models.plain_values import plain

Value = None | bool | int | float | str
Params = Mapping[str, Value]


class SpaceError(ValueError):
    """A space or an expression over one is invalid, or params do not belong to their space."""


@dataclass(frozen=True)
class Float:
    """Floats from `low` to `high`, both included: all of them, or those that are `step` apart, counted from `low`.

    Raises:
        SpaceError: a bound or their difference is not finite, `low` is above `high`, a log scale starts at zero or
            below, or the steps do not end on `high`.
    """

    low: float
    high: float
    log: bool = field(default=False, kw_only=True)
    step: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):
            bound = getattr(self, name)
            if name != "step" or bound is not None:
                object.__setattr__(self, name, _finite(bound, f"Float {name}"))
        _set_scale(self)
        if math.isinf(self.high / self.low if self.log else self.high - self.low):
            apart = "whose ratio is below" if self.log else "that are apart by less than"
            raise SpaceError(f"Float needs bounds {apart} 1.8e308; got {self.low} to {self.high}")
        if self.step is None:
            return
        if self.log:
            raise SpaceError(f"Float takes log or a step, not both; got log=True, step={self.step}")
        if self.step <= 0 or (_exact(self.high) - _exact(self.low)) % _exact(self.step):
            raise SpaceError(f"Float needs a step that divides {self.low} to {self.high}; got {self.step}")

    @property
    def size(self) -> int | None:
        """The number of values; None if they cannot be counted."""
        if self.low == self.high:
            return 1
        if self.step is None:
            return None
        return int((_exact(self.high) - _exact(self.low)) / _exact(self.step)) + 1

    def values(self) -> Iterator[float]:
        """Return the values from low to high as a person writes them: 0.3 and not 0.30000000000000004."""
        if self.size is None:
            raise SpaceError(f"{self.words()} cannot be counted")
        return map(self.nth, range(self.size))

    def nth(self, place: int) -> float:
        """Return the value at a place among those that can be counted, from 0."""
        return float(_exact(self.low) + _exact(self.step or 0.0) * place)

    def place(self, value: float) -> int:
        """Return the place of a value; the inverse of `nth`."""
        return 0 if self.step is None else int((_exact(value) - _exact(self.low)) / _exact(self.step))

    def why_not(self, value: object) -> str | None:
        """Return what is wrong with a value, as the rest of a sentence that begins with its name; None if it fits."""
        if isinstance(value, bool) or not isinstance(value, float):
            return f"is {value!r}; needed: a float, {self.words()}"
        on_step = self.step is None or (
            math.isfinite(value) and not (_exact(value) - _exact(self.low)) % _exact(self.step)
        )
        return None if self.low <= value <= self.high and on_step else f"is {value!r}; allowed: {self.words()}"

    def snap(self, value: Value) -> Value:
        """Return the value of the range that a sampler means, which computes `low + i * step` in binary."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return value
        if self.step is None:
            return float(value)
        steps = round((value - self.low) / self.step)
        counted = float(_exact(self.low) + steps * _exact(self.step))
        return counted if math.isclose(counted, value, rel_tol=1e-9, abs_tol=self.step * 1e-6) else value

    def at(self, share: float) -> float:
        """Return the value at a share of the range, from 0 up to 1: 0.5 is the middle, on a log scale that of the
        logarithms. Values a step apart have equal shares."""
        if self.size is not None:
            return self.nth(_part(share, self.size))
        if self.log:
            value = math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + share * (self.high - self.low)
        return min(max(value, self.low), self.high)

    def share(self, value: float) -> float:
        """Return the middle of the share that belongs to a value; the inverse of `at`."""
        if self.size is not None:
            return (round((value - self.low) / (self.step or 1.0)) + 0.5) / self.size
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def words(self) -> str:
        if self.low == self.high:
            return text(self.low)
        scale = ", on a log scale" if self.log else ""
        step = f", in steps of {text(self.step)}" if self.step is not None else ""
        return f"{text(self.low)} to {text(self.high)}{scale}{step}"

    def to_json(self) -> dict[str, Any]:
        return {"type": "float", "low": self.low, "high": self.high, "log": self.log, "step": self.step}


@dataclass(frozen=True)
class Int:
    """Whole numbers from `low` to `high`, both included, `step` apart, counted from `low`.

    Raises:
        SpaceError: a bound is not a whole number, `low` is above `high`, a log scale starts at zero or below, or the
            steps do not end on `high`.
    """

    low: int
    high: int
    log: bool = field(default=False, kw_only=True)
    step: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):
            bound = plain(getattr(self, name))
            if isinstance(bound, bool) or not isinstance(bound, int):
                raise SpaceError(f"Int {name} needs a whole number; got {bound!r}")
            _check_size(bound, f"Int {name}")
            object.__setattr__(self, name, bound)
        _set_scale(self)
        if self.log and self.step != 1:
            raise SpaceError(f"Int takes log or a step, not both; got log=True, step={self.step}")
        if self.step <= 0 or (self.high - self.low) % self.step:
            raise SpaceError(f"Int needs a step that divides {self.low} to {self.high}; got {self.step}")

    @property
    def size(self) -> int:
        return (self.high - self.low) // self.step + 1

    def values(self) -> Iterator[int]:
        return iter(range(self.low, self.high + 1, self.step))

    def nth(self, place: int) -> int:
        return self.low + self.step * place

    def place(self, value: int) -> int:
        return (value - self.low) // self.step

    def why_not(self, value: object) -> str | None:
        """As `Float.why_not`."""
        if isinstance(value, bool) or not isinstance(value, int):
            return f"is {value!r}; needed: a whole number, {self.words()}"
        fits = self.low <= value <= self.high and (value - self.low) % self.step == 0
        return None if fits else f"is {value!r}; allowed: {self.words()}"

    def snap(self, value: Value) -> Value:
        return value

    def at(self, share: float) -> int:
        """As `Float.at`; on a log scale a number has the share of all floats that round to it."""
        if not self.log:
            return self.nth(_part(share, self.size))
        low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
        return min(max(round(math.exp(low + share * (high - low))), self.low), self.high)

    def share(self, value: float) -> float:
        """As `Float.share`."""
        if not self.log:
            return ((value - self.low) / self.step + 0.5) / self.size
        low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
        return (math.log(value) - low) / (high - low)

    def words(self) -> str:
        if self.low == self.high:
            return text(self.low)
        scale = ", on a log scale" if self.log else ""
        step = f", in steps of {self.step}" if self.step != 1 else ""
        return f"{self.low} to {self.high}{scale}{step}"

    def to_json(self) -> dict[str, Any]:
        return {"type": "int", "low": self.low, "high": self.high, "log": self.log, "step": self.step}


@dataclass(frozen=True, init=False, eq=False)
class Choice:
    """One of several options, in this order: None, bools, ints, floats or strings.

    Two options may not be equal in Python (1, 1.0 and True), because stores and samplers look options up by equality.
    Nor may two be written alike (7 and "7"), because `--set` could not tell them apart.

    Raises:
        SpaceError: there are no options, one occurs twice or has another type.
    """

    options: tuple[Value, ...]

    def __init__(self, *options: Value) -> None:
        object.__setattr__(self, "options", tuple(map(plain, options)))
        if not options:
            raise SpaceError("Choice needs at least one option; got none")
        values: dict[Value, Value] = {}
        spellings: dict[str, Value] = {}
        for option in self.options:
            if not isinstance(option, None | bool | int | float | str):
                raise SpaceError(f"Choice takes None, bool, int, float and str; got {option!r}")
            if isinstance(option, float):
                _finite(option, "Choice")
            if isinstance(option, int):
                _check_size(option, "Choice")
            if option in values or _written(option) in spellings:
                earlier = values[option] if option in values else spellings[_written(option)]
                raise SpaceError(f"Choice needs options that differ; got {earlier!r} and {option!r}")
            values[option] = spellings[_written(option)] = option

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Choice) and self._typed() == other._typed()

    def __hash__(self) -> int:
        return hash(self._typed())

    def _typed(self) -> tuple[tuple[str, Value], ...]:
        return tuple(typed(option) for option in self.options)

    @property
    def size(self) -> int:
        return len(self.options)

    def values(self) -> Iterator[Value]:
        return iter(self.options)

    def nth(self, place: int) -> Value:
        return self.options[place]

    def place(self, value: Value) -> int:
        return self.options.index(value)

    def why_not(self, value: object) -> str | None:
        """As `Float.why_not`; an int is not a float here, because `params_id` differs between them."""
        fits = any(_kind(value) == _kind(option) and value == option for option in self.options)
        return None if fits else f"is {value!r}; allowed: {self.words()}"

    def snap(self, value: Value) -> Value:
        return value

    def at(self, share: float) -> Value:
        """As `Float.at`; options have equal shares, in their order."""
        return self.nth(_part(share, self.size))

    def share(self, value: Value) -> float:
        """As `Float.share`."""
        return (self.place(value) + 0.5) / self.size

    def words(self) -> str:
        return ", ".join(text(option) for option in self.options)

    def to_json(self) -> dict[str, Any]:
        return {"type": "choice", "options": list(self.options)}


Scalar = Float | Int | Choice


def params_id(params: Params) -> str:
    """Return the identity of params: 12 hex digits of the SHA-256 of their JSON with sorted keys."""
    canonical = json.dumps(dict(params), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def text(value: Value) -> str:
    """Return a value as a person writes it: a string without quotes, unless it would then read as another value."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value and not _looks_like_number(value):
        return value
    return repr(value)


def typed(value: Value) -> tuple[str, Value]:
    """Return a value with its JSON type, so that 1, 1.0 and True differ."""
    return _kind(value), value


def _written(value: Value) -> str:
    return value if isinstance(value, str) else text(value)


def _looks_like_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _part(share: float, parts: int) -> int:
    """Return the index of the part that contains a share, if 0 to 1 is divided into equal parts."""
    return min(int(share * parts), parts - 1)


def _set_scale(domain: Float | Int) -> None:
    """Check the bounds of a domain on its scale."""
    kind, log = type(domain).__name__, plain(domain.log)
    if not isinstance(log, bool):
        raise SpaceError(f"{kind} needs log True or False; got {log!r}")
    object.__setattr__(domain, "log", log)
    if domain.low > domain.high:
        raise SpaceError(f"{kind} needs low <= high; got {domain.low} to {domain.high}")
    if log and domain.low <= 0:
        raise SpaceError(f"{kind} on a log scale needs low > 0; got {domain.low}")


def _finite(number: object, what: str) -> float:
    number = plain(number)
    if isinstance(number, int) and not isinstance(number, bool):
        _check_size(number, what)
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise SpaceError(f"{what} needs a finite number; got {number!r}")
    return float(number)


def _check_size(number: int, what: str) -> None:
    """Refuse a number that stores and samplers, which count in 64 bits, cannot hold."""
    if abs(number) >= 2**63:
        raise SpaceError(f"{what} needs a number of less than 64 bits; got one of {number.bit_length()}")


def _exact(number: float) -> Fraction:
    """Return the number as it is written, so that 0.1 divides 0.1 to 0.5."""
    return Fraction(repr(float(number)))


def _kind(value: object) -> str:
    """Return the JSON type of a value: a bool is not an int, a NumPy float is a float."""
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind.__name__
    return type(value).__name__

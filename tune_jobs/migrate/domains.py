"""Domains as other tuners describe them, in ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tune_jobs.models.plain_values import plain
from tune_jobs.search_spaces.scalars import Choice, Float, Int, SpaceError, Value


def int_steps(low: int, high: int, step: int) -> Int:
    """Return whole numbers from `low` on, `step` apart, up to the last that is not above `high`."""
    return Int(low, low + (high - low) // step * step, step=step)


def float_steps(low: float, high: float, step: float) -> Float:
    """Return floats from `low` on, `step` apart as they are written, up to the last that is not above `high`."""
    first, apart = _exact(low), _exact(step)
    count = (_exact(high) - first) // apart
    return Float(low, float(first + count * apart), step=step)


def multiples(low: float, high: float, step: float) -> Float:
    """Return the multiples of `step` from `low` to `high`."""
    apart = _exact(step)
    first, last = -(-_exact(low) // apart) * apart, _exact(high) // apart * apart
    return Float(float(first), float(last), step=step)


@dataclass(frozen=True)
class Options:
    """A choice among values of any kind; those that a `Choice` cannot have are named by their text."""

    domain: Choice
    labels: Mapping[str, Any] = field(default_factory=dict)  # the values by their text; none where they are plain

    @classmethod
    def of(cls, values: Sequence[Any]) -> Options:
        """Return a choice among values.

        Raises:
            SpaceError: there are none, or two have the same text.
        """
        try:
            return cls(Choice(*map(plain, values)))
        except SpaceError:
            labels = {" ".join(str(value).split()): value for value in values}
            if len(labels) != len(values):
                raise
            return cls(Choice(*labels), labels)

    def label(self, value: Any) -> Value:
        """Return the option that stands for a value."""
        return next((label for label, own in self.labels.items() if own is value or own == value), plain(value))

    def value(self, option: Value) -> Any:
        """Return what an option stands for."""
        return self.labels[option] if isinstance(option, str) and option in self.labels else option


def _exact(number: float) -> Fraction:
    """Return the number as it is written, so that 0.1 divides 0.3."""
    return Fraction(repr(float(number)))

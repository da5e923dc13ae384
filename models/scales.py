"""Scales on which the labels of an encoding can be plotted: plain values, so that a study can keep them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from tune_jobs.models import arguments
from tune_jobs.models.plain_values import make_plain

Array = npt.NDArray[Any]
Form = Literal["number", "h:mm"]

FORMS: Final = ("number", "h:mm")
_MOST_TICKS: Final = 100
_LONGEST_TEXT: Final = 60
_LARGEST: Final = 1e12
_LEAST_ERROR: Final = 3600  # of the largest possible error, the smallest that has a tick


@dataclass(frozen=True)
class Slip:
    """A mistake by whole steps of a scale: an error that is a multiple of `step`, to within `tolerance`.

    Raises:
        ValueError: a number is not above 0, or `words` is no short text.
    """

    step: float
    tolerance: float
    words: str  # "whole hours, to within ten minutes"

    def __post_init__(self) -> None:
        make_plain(self)
        arguments.positive("step", self.step)
        arguments.positive("tolerance", self.tolerance)
        arguments.short_text("words", self.words, _LONGEST_TEXT)


@dataclass(frozen=True)
class Scale:
    """An axis for labels, and for the errors between them.

    `ticks` go from the lowest value to the highest. Values repeat after `period`; without one they do not. `form` and
    `decimals` say how a value reads as text. `error_ticks` are the errors that a logarithmic axis marks; without them
    it marks 1, 2 and 5 of each power of ten.

    Raises:
        ValueError: a part is not allowed; the message names it.
    """

    axis: str  # what a value is: "time"
    unit: str  # of values and errors, in the plural: "minutes"
    ticks: tuple[float, ...]
    period: float | None = None
    form: Form = "number"
    decimals: int = 0
    unit_of_one: str = ""  # "minute"; the same as `unit` where empty
    between_ticks: str = "interval"  # what lies between two ticks: "hour"
    error_ticks: tuple[float, ...] = ()
    slip: Slip | None = None

    def __post_init__(self) -> None:
        make_plain(self)
        for name in ("axis", "unit", "between_ticks"):
            arguments.short_text(name, getattr(self, name), _LONGEST_TEXT)
        arguments.short_text("unit_of_one", self.unit_of_one or self.unit, _LONGEST_TEXT)
        for name, least in (("ticks", 2), ("error_ticks", 0)):
            numbers = arguments.ascending(name, getattr(self, name), at_least=least, at_most=_MOST_TICKS)
            object.__setattr__(self, name, numbers)
        if self.period is not None and arguments.positive("period", self.period) < self.ticks[-1] - self.ticks[0]:
            raise ValueError(f"period must reach from the first tick to the last; got {self.period!r}")
        arguments.one_of("form", self.form, FORMS)
        if arguments.whole("decimals", self.decimals, at_least=0) > 6:
            raise ValueError(f"decimals must be 6 or fewer; got {self.decimals}")
        if self.error_ticks and self.error_ticks[0] <= 0:
            raise ValueError(f"error_ticks must be above 0; got {self.error_ticks[0]!r}")
        if not 1 / _LARGEST <= self.reach <= _LARGEST:
            raise ValueError(f"a scale must reach {1 / _LARGEST:g} to {_LARGEST:g} {self.unit}; got {self.reach:g}")

    @property
    def reach(self) -> float:
        """The largest possible error: half a period, or the way from the first tick to the last."""
        return self.ticks[-1] - self.ticks[0] if self.period is None else self.period / 2

    @property
    def error_marks(self) -> tuple[float, ...]:
        """The errors that a logarithmic axis marks, ascending."""
        return self.error_ticks or one_two_five(self.reach / _LEAST_ERROR, self.reach)

    def text(self, value: float) -> str:
        """Return a value as people write it, inside the period."""
        rounded = round(float(value), self.decimals)
        return self._text(rounded if self.period is None else rounded % self.period)

    def tick_texts(self) -> tuple[str, ...]:
        """Return the ticks as people write them; the last of a period keeps its own value."""
        return tuple(map(self._text, self.ticks))

    def error_text(self, error: float) -> str:
        """Return an error with its unit: "60 minutes", "1 minute"."""
        number = f"{error:.{self.decimals}f}"
        return f"{number} {(self.unit_of_one or self.unit) if number == '1' else self.unit}"

    def errors(self, read: Array, true: Array) -> Array:
        """Return how far values are apart, the shorter way round a period, `(N,)`."""
        difference = np.asarray(read, dtype=np.float64) - true
        if self.period is None:
            return np.asarray(np.abs(difference))
        half = self.period / 2
        return np.asarray(np.abs((difference + half) % self.period - half))

    def is_slip(self, errors: Array) -> npt.NDArray[np.bool_]:
        """Return which errors are mistakes by whole steps, `(N,)`; none on a scale without steps."""
        if self.slip is None:
            return np.zeros(len(errors), dtype=bool)
        steps = np.round(errors / self.slip.step)
        return np.asarray((steps >= 1) & (np.abs(errors - self.slip.step * steps) <= self.slip.tolerance))

    def _text(self, value: float) -> str:
        if self.form == "number":
            return f"{value:.{self.decimals}f}"
        hour, minute = divmod(abs(round(value)), 60)
        return f"{'-' * (round(value) < 0)}{hour}:{minute:02}"


def one_two_five(low: float, high: float) -> tuple[float, ...]:
    """Return 1, 2 and 5 times each power of ten, as far as these lie from `low` to `high`."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5))
    return tuple(step for step in steps if low <= step <= high)

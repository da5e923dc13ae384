"""The text after the `=` of `--set learning_rate=1e-4..1e-2`, which keeps a part of a domain.

It is one value, several values separated by commas, or a range with two dots.
"""

from __future__ import annotations

from dataclasses import dataclass

from tune_jobs.search_spaces.scalars import Choice, Float, Int, Scalar, SpaceError, Value
from tune_jobs.search_spaces.values import meant


@dataclass(frozen=True)
class Expression:
    """The text set for one name, split at its commas.

    Raises:
        SpaceError: a value is empty or occurs twice.
    """

    name: str
    source: str

    def __post_init__(self) -> None:
        words = self.words
        if not all(words):
            raise SpaceError(
                f"{self.name}={self.source} has an empty value; "
                f"write {self.name}=A, {self.name}=A,B or {self.name}=LOW..HIGH"
            )
        twice = [word for index, word in enumerate(words) if word in words[:index]]
        if twice:
            raise SpaceError(f"{self.name}={self.source} names {twice[0]} twice")

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(word.strip() for word in self.source.split(","))

    def keep(self, domain: Scalar) -> Part | None:
        """Return the part of a domain that the expression names; None if the domain has none of it."""
        whole = _value(domain, self.source.strip())
        if whole is not None:  # first, because a label may contain a comma or two dots
            return Part(Choice(whole.value), frozenset(self.words))
        if len(self.words) == 1 and ".." in self.source:
            part = self._range(domain)
            return Part(part, frozenset(self.words)) if part else None
        values = {word: value for word in self.words if (value := _value(domain, word)) is not None}
        if not values:
            return None
        return Part(_choice(domain, [value.value for value in values.values()]), frozenset(values))

    def _range(self, domain: Scalar) -> Scalar | None:
        if isinstance(domain, Choice):
            return None
        low, high = (_value(domain, word.strip()) for word in self.source.split("..", 1))
        if low is None or high is None:
            return None
        if isinstance(domain, Int) and isinstance(low.value, int) and isinstance(high.value, int):
            return Int(low.value, high.value, log=domain.log, step=domain.step)
        if isinstance(domain, Float) and isinstance(low.value, float) and isinstance(high.value, float):
            return Float(low.value, high.value, log=domain.log, step=domain.step)
        return None


@dataclass(frozen=True)
class Part:
    """A part of a domain, and the words of the expression that named it."""

    domain: Scalar
    words: frozenset[str]


@dataclass(frozen=True)
class _Match:
    value: Value  # may itself be None


def _choice(domain: Scalar, values: list[Value]) -> Choice:
    """Return the values as a choice: options in declared order, numbers of a range in the order of the expression."""
    if isinstance(domain, Choice):
        return Choice(*(option for option in domain.options if option in values))
    return Choice(*values)


def _value(domain: Scalar, word: str) -> _Match | None:
    value = meant(domain, word)
    return _Match(value) if domain.why_not(value) is None else None

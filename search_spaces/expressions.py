"""What follows the `=` of `--set learning_rate=1e-4..1e-2`: text that keeps a part of a domain.

One value, several with commas between them, or a range with two dots.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tune_jobs.search_spaces.conditions import Domain, Variants, opened, scalar
from tune_jobs.search_spaces.scalars import Choice, Float, Int, Scalar, SpaceError, Value


@dataclass(frozen=True)
class Expression:
    """The text that was set for one name, cut at its commas.

    Raises:
        SpaceError: nothing between two commas, or a value twice.
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

    def keep(self, domain: Scalar) -> Kept | None:
        """The part of a domain that the expression names; None when none of it is there."""
        whole = _value(domain, self.source.strip())
        if whole is not None:  # first, because a label may have a comma or two dots in it
            return Kept(Choice(whole.value), frozenset(self.words))
        if len(self.words) == 1 and ".." in self.source:
            part = self._range(domain)
            return Kept(part, frozenset(self.words)) if part else None
        found = {word: value for word in self.words if (value := _value(domain, word)) is not None}
        if not found:
            return None
        return Kept(_choice(domain, [value.value for value in found.values()]), frozenset(found))

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
class Kept:
    """What is left of a domain, and which words of the expression it answers."""

    domain: Scalar
    words: frozenset[str]


@dataclass
class Setting:
    """An expression on its way through a space: which of its words fitted somewhere, and what it met."""

    expression: Expression
    kept: set[str] = field(default_factory=set)
    allowed: dict[str, None] = field(default_factory=dict)  # in the order met

    def narrow(self, domain: Domain) -> Domain:
        """The part of the domain that is asked for, opened if it was Fixed; the domain itself when none of it fits."""
        self.allowed[scalar(domain).words()] = None
        found = self.expression.keep(scalar(domain))
        if found is None:
            return domain
        self.kept |= found.words
        whole = opened(domain)
        if isinstance(whole, Variants) and isinstance(found.domain, Choice):
            return whole.only(found.domain.options)
        return found.domain


@dataclass(frozen=True)
class _Found:
    value: Value  # may itself be None


def _choice(domain: Scalar, values: list[Value]) -> Choice:
    """Options stay in the order they were declared in, numbers of a range in the order they were written in."""
    if isinstance(domain, Choice):
        return Choice(*(option for option in domain.options if option in values))
    return Choice(*values)


def _value(domain: Scalar, word: str) -> _Found | None:
    for value in _readings(word):
        if domain.why_not(value) is None:
            return _Found(value)
    return None


def _readings(word: str) -> Iterable[Value]:
    """What a word may stand for, likeliest first."""
    yield word
    if word.lower() in ("true", "false"):
        yield word.lower() == "true"
    if word.lower() in ("none", "null"):
        yield None
    for number in (int, float):
        try:
            yield number(word)
        except ValueError:
            continue

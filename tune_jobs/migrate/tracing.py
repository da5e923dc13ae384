"""Finds the space of a define-by-run function: it is called again and again with other values, and what it asks for is
noted.

A parameter under whose values the function asks for others becomes `Variants`. Each choice is tried with all its values
and each number with both ends, under each value of those found before; random points show at the end what that missed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tune_jobs.search_spaces.protocol import TaskError
from tune_jobs.search_spaces.scalars import Choice, Params, Scalar, Value, text, typed
from tune_jobs.search_spaces.space import Domain, Space, Variants
from tune_jobs.words import one_line

_MOST_OPTIONS = 64  # of a parameter that others depend on
_MOST_CALLS = 2000
_CHECKS = 8  # random points


@dataclass(frozen=True)
class Asked:
    """A parameter that a function asked for, and the value that it was given."""

    domain: Scalar
    value: Value


class Answers:
    """What a function is told in one call: a given value, else the parameter's own default.

    Of a parameter that is not `known`, the default is given too. `known` None: nothing is known yet, for it is traced.
    """

    def __init__(self, given: Params, left_out: frozenset[str] | None = None) -> None:
        self._given, self._left_out = given, left_out
        self.asked: dict[str, Asked] = {}
        self.notes: list[str] = []

    @property
    def is_traced(self) -> bool:
        return self._left_out is None

    def answer(self, name: str, domain: Scalar, default: Value) -> Value:
        """Return the value of a parameter.

        Raises:
            ValueError: the params do not have it, and tracing did not find it.
        """
        if name in self.asked:
            return self.asked[name].value
        if name not in self._given and self._left_out is not None and name not in self._left_out:
            raise ValueError(f"the function asks for {name!r}, which its space does not have for these params")
        value = meant(domain, self._given[name]) if name in self._given else default
        self.asked[name] = Asked(domain, default if domain.why_not(value) else value)
        return self.asked[name].value


@dataclass(frozen=True)
class Found:
    """The space of a function, the values that it has by itself, and what was not found of it."""

    space: Space
    baseline: dict[str, Value]
    notes: tuple[str, ...]
    left_out: frozenset[str]  # parameters that have their defaults


def trace(function: Callable[[Answers], object], name: str) -> Found:
    """Return what a function of answers asks for.

    Raises:
        TaskError: it asks for nothing, or for too much to be found out by calling it.
    """
    tracer = _Tracer(function, name)
    asked = tracer.call({})
    if not asked:
        raise TaskError(f"{name} asks for no parameter{tracer.first_error}")
    space = Space.of(tracer.domains({}))
    left_out = tracer.check(space)
    values = {name: _in_space(space, name, one.value) for name, one in asked.items()}
    baseline = values if space.why_not(values) is None else {}
    return Found(space, baseline, tuple(dict.fromkeys(tracer.notes)), frozenset(left_out))


@dataclass
class _Tracer:
    function: Callable[[Answers], object]
    name: str
    notes: list[str] = field(default_factory=list)
    first_error: str = ""
    _always: dict[str, Domain] = field(default_factory=dict)  # what depends on a parameter that has no options
    _calls: dict[frozenset[tuple[str, tuple[str, Value]]], dict[str, Asked]] = field(default_factory=dict)

    def call(self, given: Params) -> dict[str, Asked]:
        """Return what the function asks for with these values, and its own for all others."""
        key = frozenset((name, typed(value)) for name, value in given.items())
        if key not in self._calls:
            self._calls[key] = self._called(given)
        return self._calls[key]

    def _called(self, given: Params) -> dict[str, Asked]:
        if len(self._calls) >= _MOST_CALLS:
            raise TaskError(
                f"{self.name} was called {_MOST_CALLS:,} times, and asks for other parameters still: "
                "write its space by hand"
            )
        answers = Answers(given)
        try:
            self.function(answers)
        except Exception as error:
            words = ", ".join(f"{name}={text(value)}" for name, value in given.items()) or "its own values"
            self.first_error = self.first_error or f": with {words} it raises {one_line(error)}"
            self.notes.append(f"with {words} it raises {one_line(error)}")
        self.notes += answers.notes
        return answers.asked

    def domains(self, given: Params) -> dict[str, Domain]:
        """Return the domains of what is asked for beside the given values."""
        asked = self.call(given)
        free = {name: one.domain for name, one in asked.items() if name not in given}
        for name, domain in free.items():
            values = [value for value in _tried(domain) if value != asked[name].value]
            calls = [self.call({**given, name: value}) for value in values]
            if all(_shape(call) == _shape(asked) for call in calls):
                continue
            if domain.size is not None and domain.size <= _MOST_OPTIONS:
                return self._branch(given, name, domain)
            self._keep_all(name, calls)
        return {**free, **{name: domain for name, domain in self._always.items() if name not in given}}

    def _branch(self, given: Params, parent: str, domain: Scalar) -> dict[str, Domain]:
        """Return the domains with `parent` as Variants: what all its options have stands beside it."""
        inside = {_option(value): self.domains({**given, parent: value}) for value in domain.values()}
        first = next(iter(inside.values()))
        common = {n: d for n, d in first.items() if all(other.get(n) == d for other in inside.values())}
        spaces = {o: Space.of({n: d for n, d in one.items() if n not in common}) for o, one in inside.items()}
        if not isinstance(domain, Choice):
            self.notes.append(f"{parent}: a choice of {domain.size} options, for other parameters depend on it")
        order = [name for name in self.call(given) if name in common or name == parent]
        order += [name for name in common if name not in order]
        return {name: Variants(spaces) if name == parent else common[name] for name in order}

    def _keep_all(self, parent: str, calls: Iterable[Mapping[str, Asked]]) -> None:
        self.notes.append(f"{parent}: has too many values for others to depend on it; these are always searched")
        for call in calls:
            self._always |= {name: one.domain for name, one in call.items()}

    def check(self, space: Space) -> set[str]:
        """Call the function at random points. Return what it asked for and the space does not have there."""
        rng, left_out = random.Random(0), set[str]()
        for _ in range(_CHECKS):
            point = space.walk(lambda name, domain, under: domain.at(rng.random()))
            left_out |= self._called(point).keys() - point.keys()
        for name in sorted(left_out):
            self.notes.append(f"{name}: asked for only with some values of several others: it keeps its default")
        return left_out


def meant(domain: Scalar, value: Value) -> Value:
    """Return the value of a domain that an option of Variants names by its text."""
    if domain.why_not(value) is None or not isinstance(value, str) or domain.size is None:
        return value
    return next((own for own in domain.values() if _option(own) == value), value)


def _tried(domain: Scalar) -> Iterator[Value]:
    """Yield values that may decide on other parameters: those of a choice, and both ends of a range."""
    if isinstance(domain, Choice) and domain.size <= _MOST_OPTIONS:
        yield from domain.values()
        return
    yield from (domain.at(share) for share in (0.0, 1.0))


def _shape(asked: Mapping[str, Asked]) -> dict[str, Scalar]:
    return {name: one.domain for name, one in asked.items()}


def _option(value: Value) -> str:
    return value if isinstance(value, str) else text(value)


def _in_space(space: Space, name: str, value: Value) -> Value:
    """Return a value as a point of the space has it: of Variants, the name of the option."""
    questions = [question for question in space.questions() if question.name == name]
    fits = any(question.domain.why_not(value) is None for question in questions)
    return value if fits else _option(value)

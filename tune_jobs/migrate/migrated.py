"""What came of a migration: a space, its baseline, what could not be translated, and the function behind both."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tune_jobs.search_spaces.scalars import Choice, Params
from tune_jobs.search_spaces.space import Domain, Space, Variants


@dataclass(frozen=True)
class Migrated:
    """A space from elsewhere, for `Task(name, found.space, …, baseline=found.baseline)`.

    `build` is the task's builder, or `run` its function: what was migrated, called with params. `notes` say what could
    not be translated. Printed, it is the space as Python, to be kept in a task file.
    """

    space: Space
    baseline: Params
    notes: tuple[str, ...] = ()
    build: Callable[..., Any] | None = field(default=None, repr=False)
    run: Callable[..., Any] | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return "\n".join([source(self.space), *(f"# {note}" for note in self.notes)])


class Called:
    """A user's function as one of params: `call(function, params)`. It has the function's name, which a study knows."""

    def __init__(
        self, function: Callable[..., Any], call: Callable[..., Any], parameters: tuple[str, ...] | None = None
    ) -> None:
        functools.update_wrapper(self, function)
        self._function, self._call, self._parameters = function, call, parameters
        named = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in parameters or ()]
        whole = [inspect.Parameter("params", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
        self.__signature__ = inspect.Signature(whole if parameters is None else named)

    def __call__(self, params: Params | None = None, **named: Any) -> Any:
        return self._call(self._function, named if params is None else params)


def source(space: Space) -> str:
    """Return a space as the Python that makes it."""
    return "\n".join(_lines(space))


def _lines(space: Space) -> Iterator[str]:
    names = [name for name, _ in space.domains]
    is_plain = all(name.isidentifier() for name in names)
    if not names:
        yield "Space()"
        return
    yield "Space(" if is_plain else "Space.of({"
    for name, domain in space.domains:
        first, *rest = _domain(domain)
        before = f"{name}=" if is_plain else f"{name!r}: "
        yield from _indented([before + first, *rest])
    yield ")" if is_plain else "})"


def _domain(domain: Domain) -> list[str]:
    if isinstance(domain, Variants):
        lines = ["Variants({"]
        for option, inside in domain.options:
            first, *rest = _lines(inside)
            lines += _indented([f"{option!r}: {first}", *rest])
        return [*lines, "})"]
    if isinstance(domain, Choice):
        return [f"Choice({', '.join(map(repr, domain.options))})"]
    form: Mapping[str, Any] = domain.to_json()
    usual = {"log": False, "step": 1 if form["type"] == "int" else None}
    more = "".join(f", {name}={form[name]!r}" for name, value in usual.items() if form[name] != value)
    return [f"{form['type'].capitalize()}({form['low']!r}, {form['high']!r}{more})"]


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in [*lines[:-1], f"{lines[-1]},"]]

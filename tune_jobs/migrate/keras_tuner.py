"""KerasTuner's `build(hp)` as a builder of ours, against the documented interface of its `HyperParameters`.

O'Malley et al., KerasTuner, 2019; https://keras.io/keras_tuner/api/hyperparameters. Its conditions are kept: a
parameter whose parent has another value is None and is not asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tune_jobs.migrate.domains import Options, float_steps, int_steps
from tune_jobs.migrate.migrated import Called, Migrated
from tune_jobs.migrate.tracing import Answers, Found, trace
from tune_jobs.search_spaces.scalars import Choice, Float, Int, Params, Scalar, Value
from tune_jobs.search_spaces.space import Space

_EXACT = 1e-8  # of a logarithm that is a whole number but for rounding


def from_keras_tuner(build: Any, space: Space | None = None) -> Migrated:
    """Return the space of a function `build(hp)`, or of a `HyperModel`, and the builder that a task names.

    The function is called once for each value that others may depend on, unless `space` is what came of that before.
    Values that `hp` gives by itself are the baseline. Names that are no identifiers are written with `_`.

    Raises:
        TaskError: it asks for nothing, or branches without end.
    """
    function: Callable[[Any], Any] = getattr(build, "build", build)
    notes: list[str] = []
    if hasattr(build, "fit"):
        notes.append("fit: that of the HyperModel is not used; what it chooses belongs to build or to the protocol")
    if space is None:
        found = trace(lambda answers: function(HyperParameters(answers)), function.__qualname__)
    else:
        found = Found(space, {}, (), frozenset())

    def call(function: Callable[[Any], Any], params: Params) -> Any:
        return function(HyperParameters(Answers(params, found.left_out)))

    called = Called(function, call, (*found.space.names(), *sorted(found.left_out)))
    return Migrated(found.space, found.baseline, (*notes, *found.notes), build=called)


@dataclass
class HyperParameters:
    """What `build(hp)` takes. Its methods have the arguments of KerasTuner's."""

    answers: Answers
    values: dict[str, Any] = field(default_factory=dict)  # of active parameters
    _scopes: list[str] = field(default_factory=list)
    _conditions: list[tuple[str, Sequence[Any]]] = field(default_factory=list)

    @contextmanager
    def name_scope(self, name: str) -> Iterator[None]:
        self._scopes.append(name)
        try:
            yield
        finally:
            self._scopes.pop()

    @contextmanager
    def conditional_scope(self, parent_name: str, parent_values: Any) -> Iterator[None]:
        self._conditions.append((self._whole(parent_name), _listed(parent_values)))
        try:
            yield
        finally:
            self._conditions.pop()

    def Int(  # noqa: N802 - as KerasTuner calls it
        self,
        name: str,
        min_value: int,
        max_value: int,
        step: int | None = None,
        sampling: str | None = "linear",
        default: int | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        scale = (sampling or "linear").lower()
        domain: Scalar
        if scale == "linear":
            domain = int_steps(min_value, max_value, step or 1)
        elif step is not None:
            domain = Choice(*map(round, _factors(min_value, max_value, step, scale)))
        else:
            domain = Int(min_value, max_value, log=scale == "log")
        lowest = min_value if default is None else default
        return self._ask(name, domain, lowest, (parent_name, parent_values), _lost(scale, step))

    def Float(  # noqa: N802
        self,
        name: str,
        min_value: float,
        max_value: float,
        step: float | None = None,
        sampling: str | None = "linear",
        default: float | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        scale, low, high = (sampling or "linear").lower(), float(min_value), float(max_value)
        domain: Scalar
        if step is None:
            domain = Float(low, high, log=scale == "log")
        elif scale == "linear":
            domain = float_steps(low, high, step)
        else:
            domain = Choice(*_factors(low, high, step, scale))
        lowest = low if default is None else float(default)
        return self._ask(name, domain, lowest, (parent_name, parent_values), _lost(scale, step))

    def Choice(  # noqa: N802
        self,
        name: str,
        values: Sequence[Any],
        ordered: bool | None = None,
        default: Any = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        options = Options.of(values)
        first = values[0] if default is None else default
        option = self._ask(name, options.domain, options.label(first), (parent_name, parent_values))
        return options.value(option)

    def Boolean(  # noqa: N802
        self, name: str, default: bool = False, parent_name: str | None = None, parent_values: Any = None
    ) -> Any:
        return self._ask(name, Choice(False, True), default, (parent_name, parent_values))

    def Fixed(  # noqa: N802
        self, name: str, value: Value, parent_name: str | None = None, parent_values: Any = None
    ) -> Any:
        return self._ask(name, Choice(value), value, (parent_name, parent_values))

    def get(self, name: str) -> Any:
        """Return the value of an active parameter that was asked for.

        Raises:
            KeyError: there is none.
        """
        return self.values[self._whole(name)]

    __getitem__ = get

    def __contains__(self, name: str) -> bool:
        return self._whole(name) in self.values

    def _whole(self, name: str) -> str:
        return "/".join([*self._scopes, name])

    def _ask(self, name: str, domain: Scalar, default: Value, parent: tuple[str | None, Any], lost: str = "") -> Any:
        """Return the value of a parameter; None if its conditions do not hold."""
        conditions = [*self._conditions]
        if parent[0] is not None:
            conditions.append((self._whole(parent[0]), _listed(parent[1])))
        if not all(condition in self.values and self.values[condition] in among for condition, among in conditions):
            return None
        whole = self._whole(name)
        if lost:
            self.answers.notes.append(f"{_identifier(whole)}: {lost}")
        self.values[whole] = self.answers.answer(_identifier(whole), domain, default)
        return self.values[whole]


def _factors(low: float, high: float, step: float, scale: str) -> list[float]:
    """Return the values that are `step` times as large as the one before, or as far from `high` for a reverse scale."""
    powers = [low]
    while powers[-1] * step <= high * (1 + _EXACT):
        powers.append(powers[-1] * step)
    rising = powers if scale == "log" else sorted(high + low - value for value in powers)
    return [float(f"{value:.12g}") for value in rising]


def _lost(scale: str, step: float | None) -> str:
    return "its range is on a plain scale now, and not reverse_log" if scale == "reverse_log" and step is None else ""


def _listed(values: Any) -> Sequence[Any]:
    return values if isinstance(values, list | tuple) else [values]


def _identifier(name: str) -> str:
    word = re.sub(r"\W", "_", name)
    return word if word.isidentifier() else f"_{word}"

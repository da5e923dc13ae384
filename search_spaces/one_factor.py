"""Spaces in which one factor at a time leaves the baseline: what a table of a report varies, row by row.

The points are the baseline and, for each factor, the baseline with what each of its levels changes. A level may change
several params at once ("Nesterov": momentum and its form), which a product of domains could not say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tune_jobs.search_spaces.conditions import check_name
from tune_jobs.search_spaces.expressions import Expression
from tune_jobs.search_spaces.scalars import Choice, Params, SpaceError, Value, params_id, text
from tune_jobs.search_spaces.space import Chooser, Decision, Question, Space
from tune_jobs.search_spaces.spelling import near

BASELINE = "baseline"
_LEVEL = "level"  # under this name a search chooses among the points

Changes = Mapping[str, Value]
Factors = Mapping[str, Mapping[str, Changes]]


@dataclass(frozen=True)
class Level:
    """One row of a factor: its name there, and the whole params."""

    name: str
    params: Params


@dataclass(frozen=True, init=False)
class OneFactor:
    """The baseline's params and the factors by name, each a mapping from the names of its levels to what they change.

    A level that changes nothing is the baseline's own. Answers as a `Space` does.

    Raises:
        SpaceError: no factors, a factor without levels, a name or a value that cannot be one, a label of no point.
    """

    baseline: tuple[tuple[str, Value], ...]
    factors: tuple[tuple[str, tuple[tuple[str, tuple[tuple[str, Value], ...]], ...]], ...]
    kept: tuple[str, ...] | None  # the labels that `narrow` left; None for all

    def __init__(self, baseline: Params, factors: Factors, kept: Iterable[str] | None = None) -> None:
        levels = {
            factor: tuple((name, tuple(changes.items())) for name, changes in named.items())
            for factor, named in factors.items()
        }
        object.__setattr__(self, "baseline", tuple(baseline.items()))
        object.__setattr__(self, "factors", tuple(levels.items()))
        object.__setattr__(self, "kept", None if kept is None else tuple(kept))
        if not levels or not all(levels.values()):
            raise SpaceError(f"OneFactor needs factors, each with a level or more; got {dict(levels)!r}")
        for factor in levels:
            if not isinstance(factor, str) or not factor or ":" in factor:  # labels are cut at their first colon
                raise SpaceError(f"a factor needs a name without ':'; got {factor!r}")
        for name, value in (*self.baseline, *(change for _, named in self.factors for _, c in named for change in c)):
            check_name(name, "a parameter")
            Choice(value)  # refuses what is no value
        if self.kept is not None and (not self.kept or set(self.kept) != set(self._points())):
            raise SpaceError(f"OneFactor keeps labels of its points, one or more; got {self.kept!r}")

    @property
    def size(self) -> int:
        """How many points there are; a point that two factors lead to counts once."""
        return len(self._points())

    def names(self) -> tuple[str, ...]:
        """Every parameter that may be there, in declared order."""
        return tuple(dict.fromkeys(name for point in self._points().values() for name in point))

    def always(self) -> frozenset[str]:
        """The parameters that every point has."""
        return frozenset.intersection(*(frozenset(point) for point in self._points().values()))

    def varied(self) -> tuple[str, ...]:
        """The names that differ between two points."""
        points = tuple(self._points().values())
        return tuple(name for name in self.names() if len({_typed(point.get(name)) for point in points}) > 1)

    def grid(self) -> Iterator[dict[str, Value]]:
        """The baseline, then factor after factor, in declared order."""
        return iter(self._points().values())

    def walk(self, choose: Chooser, *, under: str = "") -> dict[str, Value]:
        """The point whose label is chosen."""
        points = self._points()
        label = choose(_LEVEL, Choice(*points), under)
        if label not in points:
            raise SpaceError(f"{_LEVEL} was chosen outside its domain: it is {label!r}")
        return points[str(label)]

    def questions(self) -> Iterator[Question]:
        """All that `walk` asks: a label."""
        yield Question(_LEVEL, Choice(*self._points()), "")

    def decisions(self, params: Params) -> Iterator[Decision]:
        """What has to be chosen for these params: one label; nothing for those that do not belong here."""
        try:
            wanted = params_id(params)
        except (TypeError, ValueError):  # such as NaN, which no point has
            return
        points = self._points()
        for label, point in points.items():
            if params_id(point) == wanted:
                yield Decision(_LEVEL, Choice(*points), "", label)

    def levels(self) -> Iterator[tuple[str, tuple[Level, ...]]]:
        """Each factor with its levels, as a table shows them."""
        baseline = dict(self.baseline)
        for factor, named in self.factors:
            yield factor, tuple(Level(name, _without_none(baseline | dict(changes))) for name, changes in named)

    def why_not(self, params: Params) -> str | None:
        """Why params do not belong here, in one line; None when they do."""
        if any(True for _ in self.decisions(params)):
            return None
        if self.kept is not None and any(True for _ in self._whole().decisions(params)):
            return f"this point was left out when the space was narrowed; left: {'; '.join(self._points())}"
        known = self.names()
        for name in params:
            if name not in known:
                return f"no parameter {name!r} in this space{near(name, known)}; it has: {', '.join(known)}"
        baseline = dict(self.baseline)
        differing = [
            name
            for name in dict.fromkeys((*baseline, *params))
            if _typed(baseline.get(name)) != _typed(params.get(name))
        ]
        came = ", ".join(f"{name}={text(params[name])}" if name in params else f"no {name}" for name in differing)
        return f"one factor at a time may leave the baseline, to a level it has; these differ from it in {came}"

    def check(self, params: Params) -> None:
        """Refuse params that do not belong here.

        Raises:
            SpaceError: with the reason of `why_not`.
        """
        wrong = self.why_not(params)
        if wrong:
            raise SpaceError(wrong)

    def narrow(self, settings: Mapping[str, str]) -> OneFactor:
        """The points whose parameters have one of the values asked for: `{"activation": "relu,tanh"}`.

        Raises:
            SpaceError: a name or a value that no point has, or settings that leave none.
        """
        points = kept = self._points()
        for name, source in settings.items():
            asked = Expression(name, source)
            values = {_typed(point[name]): point[name] for point in points.values() if name in point}
            if not values:
                raise SpaceError(f"no parameter {name!r} in this space{near(name, self.names())}")
            found = {typed: keeps for typed, value in values.items() if (keeps := asked.keep(Choice(value)))}
            misfits = [word for word in asked.words if not any(word in keeps.words for keeps in found.values())]
            if misfits:
                allowed = ", ".join(text(value) for value in values.values())
                raise SpaceError(f"{name}={','.join(misfits)} is not in this space; allowed: {allowed}")
            kept = {label: point for label, point in kept.items() if _typed(point.get(name)) in found}
        if not kept:
            raise SpaceError("these settings leave nothing of the space: one factor at a time leaves its baseline")
        return OneFactor(dict(self.baseline), self._changes(), kept) if settings else self

    def open(self, names: Iterable[str]) -> OneFactor:
        """The space itself, in which nothing is held.

        Raises:
            SpaceError: for any name.
        """
        for name in names:
            raise SpaceError(f"{name} is not held at a value, so there is nothing to open")
        return self

    def open_all(self) -> OneFactor:
        """The space itself."""
        return self

    def describe(self) -> list[str]:
        """The space in plain words, a line a factor."""
        lines = [f"baseline: {_words(self.baseline)}"]
        for factor, named in self.factors:
            levels = [f"{name} ({_words(changes)})" if changes else name for name, changes in named]
            lines.append(f"{factor}: {'; '.join(levels)}")
        if self.kept is not None:
            lines.append(f"of these only: {'; '.join(self.kept)}")
        return lines

    def to_json(self) -> dict[str, Any]:
        """The space as JSON values; lists keep the order where stores sort their keys."""
        factors = [
            {"name": factor, "levels": [{"name": name, "changes": [list(pair) for pair in c]} for name, c in named]}
            for factor, named in self.factors
        ]
        kept = None if self.kept is None else list(self.kept)
        return {"one_factor": {"baseline": [list(pair) for pair in self.baseline], "factors": factors, "kept": kept}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> OneFactor:
        """The space that `to_json` wrote.

        Raises:
            SpaceError: the data are not of that form.
        """
        try:
            form = data["one_factor"]
            factors = {
                factor["name"]: {level["name"]: dict(level["changes"]) for level in factor["levels"]}
                for factor in form["factors"]
            }
            return cls(dict(form["baseline"]), factors, form["kept"])
        except (KeyError, TypeError, ValueError) as error:
            raise SpaceError(f"not a space in JSON form: {type(error).__name__} {error}") from None

    def _whole(self) -> OneFactor:
        return OneFactor(dict(self.baseline), self._changes())

    def _changes(self) -> Factors:
        return {factor: {name: dict(changes) for name, changes in named} for factor, named in self.factors}

    def _points(self) -> dict[str, dict[str, Value]]:
        """The points by their labels, each once."""
        points = {BASELINE: _without_none(dict(self.baseline))}
        seen = {params_id(points[BASELINE])}
        for factor, levels in self.levels():
            for level in levels:
                if params_id(level.params) not in seen:
                    seen.add(params_id(level.params))
                    points[f"{factor}: {level.name}"] = dict(level.params)
        return points if self.kept is None else {label: points[label] for label in points if label in self.kept}


AnySpace = Space | OneFactor


def space_from_json(data: Mapping[str, Any]) -> AnySpace:
    """The space, of either kind, that `to_json` wrote.

    Raises:
        SpaceError: the data are not of that form.
    """
    is_one_factor = isinstance(data, Mapping) and "one_factor" in data
    return OneFactor.from_json(data) if is_one_factor else Space.from_json(data)


def _without_none(params: Params) -> dict[str, Value]:
    """A level takes a parameter away by changing it to None: the builder's or optimizer's own default acts then."""
    return {name: value for name, value in params.items() if value is not None}


def _words(pairs: Iterable[tuple[str, Value]]) -> str:
    return ", ".join(f"{name}={text(value)}" if value is not None else f"no {name}" for name, value in pairs)


def _typed(value: Value) -> tuple[str, Value]:
    return type(value).__name__, value

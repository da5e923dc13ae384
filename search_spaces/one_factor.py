"""Spaces in which one factor at a time leaves the baseline, as the rows of a report's table do.

The points are the baseline and, for each factor, the baseline with the changes of each of its levels. A level can
change several params at once ("Nesterov": the momentum and its form), which a product of domains cannot express.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tune_jobs.models.plain_values import plain
from tune_jobs.search_spaces.decisions import Chooser, Decision, Question
from tune_jobs.search_spaces.scalars import (
    Choice,
    Float,
    Params,
    Scalar,
    SpaceError,
    Value,
    params_id,
    text,
    typed,
)
from tune_jobs.search_spaces.space import Space, check_name
from tune_jobs.search_spaces.spelling import near

BASELINE = "baseline"
_LEVEL = "level"  # the name under which a search chooses among the points

Changes = Mapping[str, Value]
Factors = Mapping[str, Mapping[str, Changes]]


@dataclass(frozen=True)
class Level:
    """One row of a factor: its name and its whole params."""

    name: str
    params: Params


@dataclass(frozen=True, init=False)
class OneFactor:
    """A baseline, and factors by name; each factor maps the names of its levels to the params that they change.

    A level without changes is the baseline itself. The methods are those of `Space`.

    Raises:
        SpaceError: there are no factors, a factor has no levels, a name or a value is invalid, or a label names no
            point.
    """

    baseline: tuple[tuple[str, Value], ...]
    factors: tuple[tuple[str, tuple[tuple[str, tuple[tuple[str, Value], ...]], ...]], ...]
    labels: tuple[str, ...] | None  # the points that are left after narrowing; None for all

    def __init__(self, baseline: Params, factors: Factors, labels: Iterable[str] | None = None) -> None:
        _check_mappings(baseline, factors)
        if not isinstance(labels, Iterable | None):
            raise SpaceError(f"OneFactor keeps labels of its points, one or more; got {labels!r}")
        levels = {
            factor: tuple((name, _plain_pairs(changes)) for name, changes in named.items())
            for factor, named in factors.items()
        }
        object.__setattr__(self, "baseline", _plain_pairs(baseline))
        object.__setattr__(self, "factors", tuple(levels.items()))
        object.__setattr__(self, "labels", None if labels is None else tuple(labels))
        if not levels or not all(levels.values()):
            raise SpaceError(f"OneFactor needs factors, each with a level or more; got {dict(levels)!r}")
        for factor in levels:
            if not isinstance(factor, str) or not factor or ":" in factor:  # labels are split at their first colon
                raise SpaceError(f"a factor needs a name without ':'; got {factor!r}")
        for name, value in (*self.baseline, *(change for _, named in self.factors for _, c in named for change in c)):
            check_name(name, "a parameter")
            Choice(value)  # raises if it is not a value
        is_text = all(isinstance(label, str) for label in self.labels or ())
        if self.labels is not None and not (self.labels and is_text and set(self.labels) == set(self.points())):
            raise SpaceError(f"OneFactor keeps labels of its points, one or more; got {self.labels!r}")

    @property
    def size(self) -> int:
        """The number of points; a point that two factors lead to counts once."""
        return len(self.points())

    def names(self) -> tuple[str, ...]:
        """Return every parameter of any point, in declared order."""
        return tuple(dict.fromkeys(name for point in self.points().values() for name in point))

    def always(self) -> frozenset[str]:
        """Return the parameters that every point has."""
        return frozenset.intersection(*(frozenset(point) for point in self.points().values()))

    def varied(self) -> tuple[str, ...]:
        """Return the parameters that differ between two points."""
        points = tuple(self.points().values())
        return tuple(name for name in self.names() if len({typed(point.get(name)) for point in points}) > 1)

    def points(self) -> dict[str, dict[str, Value]]:
        """Return each point once, by its label: "baseline", or "FACTOR: LEVEL"."""
        points = {BASELINE: _without_none(dict(self.baseline))}
        seen = {params_id(points[BASELINE])}
        for factor, levels in self.levels():
            for level in levels:
                if params_id(level.params) not in seen:
                    seen.add(params_id(level.params))
                    points[f"{factor}: {level.name}"] = dict(level.params)
        return points if self.labels is None else {label: points[label] for label in points if label in self.labels}

    def only(self, labels: Iterable[str]) -> OneFactor:
        """Return the space with these points alone."""
        return OneFactor(dict(self.baseline), self._changes(), labels)

    def grid(self) -> Iterator[dict[str, Value]]:
        """Yield the baseline, then the levels of factor after factor, in declared order."""
        return iter(self.points().values())

    def walk(self, choose: Chooser, *, under: str = "") -> dict[str, Value]:
        """Return the point whose label is chosen."""
        points = self.points()
        label = choose(_LEVEL, Choice(*points), under)
        if label not in points:
            raise SpaceError(f"{_LEVEL} was chosen outside its domain: it is {label!r}")
        return points[str(label)]

    def questions(self) -> Iterator[Question]:
        """Yield the one question of `walk`: the label of a point."""
        yield Question(_LEVEL, Choice(*self.points()), "")

    def decisions(self, params: Params) -> Iterator[Decision]:
        """Yield the label that leads to these params; nothing if they do not belong to the space."""
        try:
            wanted = params_id(params)
        except (TypeError, ValueError):  # such as NaN, which no point has
            return
        points = self.points()
        for label, point in points.items():
            if params_id(point) == wanted:
                yield Decision(_LEVEL, Choice(*points), "", label)

    def levels(self) -> Iterator[tuple[str, tuple[Level, ...]]]:
        """Yield each factor with its levels, as the rows of a table."""
        baseline = dict(self.baseline)
        for factor, named in self.factors:
            yield factor, tuple(Level(name, _without_none(baseline | dict(changes))) for name, changes in named)

    def why_not(self, params: Params) -> str | None:
        """Return why params do not belong to the space, in one line; None if they do."""
        if any(True for _ in self.decisions(params)):
            return None
        if self.labels is not None and any(True for _ in self._whole().decisions(params)):
            return f"this point was left out when the space was narrowed; left: {'; '.join(self.points())}"
        known = self.names()
        for name in params:
            if name not in known:
                return f"no parameter {name!r} in this space{near(name, known)}; it has: {', '.join(known)}"
        baseline = dict(self.baseline)
        differing = [
            name for name in dict.fromkeys((*baseline, *params)) if typed(baseline.get(name)) != typed(params.get(name))
        ]
        changes = ", ".join(f"{name}={text(params[name])}" if name in params else f"no {name}" for name in differing)
        return f"one factor at a time may leave the baseline, to a level it has; these differ from it in {changes}"

    def check(self, params: Params) -> None:
        """Refuse params that do not belong to the space.

        Raises:
            SpaceError: with the reason of `why_not`.
        """
        wrong = self.why_not(params)
        if wrong:
            raise SpaceError(wrong)

    def describe(self) -> list[str]:
        """Return the space in plain words, one line a factor."""
        lines = [f"baseline: {_words(self.baseline)}"]
        for factor, named in self.factors:
            levels = [f"{name} ({_words(changes)})" if changes else name for name, changes in named]
            lines.append(f"{factor}: {'; '.join(levels)}")
        if self.labels is not None:
            lines.append(f"of these only: {'; '.join(self.labels)}")
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return the space as JSON values; its lists keep the order in stores that sort the keys of mappings."""
        factors = [
            {"name": factor, "levels": [{"name": name, "changes": [list(pair) for pair in c]} for name, c in named]}
            for factor, named in self.factors
        ]
        labels = None if self.labels is None else list(self.labels)
        return {"one_factor": {"baseline": [list(pair) for pair in self.baseline], "factors": factors, "kept": labels}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> OneFactor:
        """Return the space that `to_json` wrote.

        Raises:
            SpaceError: the data do not have that form.
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


AnySpace = Space | OneFactor


def space_from_json(data: Mapping[str, Any]) -> AnySpace:
    """Return the space, of either kind, that `to_json` wrote.

    Raises:
        SpaceError: the data do not have that form.
    """
    is_one_factor = isinstance(data, Mapping) and "one_factor" in data
    return OneFactor.from_json(data) if is_one_factor else Space.from_json(data)


def middle(space: AnySpace) -> Params:
    """Return the point with the first option of each Choice and the middle of each range, rounded where it may be. Of
    one factor at a time it is the baseline."""

    def chosen(_name: str, domain: Scalar, _under: str) -> Value:
        value = domain.at(0.0 if isinstance(domain, Choice) else 0.5)
        short = float(f"{value:.3g}") if isinstance(domain, Float) else value
        return value if domain.why_not(short) else short

    return space.walk(chosen)


def _check_mappings(baseline: object, factors: object) -> None:
    """Refuse what is no mapping where OneFactor needs one, in the order of its arguments."""
    if not isinstance(baseline, Mapping):
        raise SpaceError(f"OneFactor needs its baseline as a mapping of params; got {baseline!r}")
    if not isinstance(factors, Mapping):
        raise SpaceError(f"OneFactor needs factors as a mapping of names to levels; got {factors!r}")
    for factor, named in factors.items():
        if not isinstance(named, Mapping) or not all(isinstance(changes, Mapping) for changes in named.values()):
            raise SpaceError(f"factor {factor!r} needs its levels as a mapping of names to changes; got {named!r}")


def _plain_pairs(params: Params) -> tuple[tuple[str, Value], ...]:
    return tuple((name, plain(value)) for name, value in params.items())


def _without_none(params: Params) -> dict[str, Value]:
    """Return params without those that are None: a level removes a parameter by changing it to None.

    The default of the builder or the optimizer then applies.
    """
    return {name: value for name, value in params.items() if value is not None}


def _words(pairs: Iterable[tuple[str, Value]]) -> str:
    return ", ".join(f"{name}={text(value)}" if value is not None else f"no {name}" for name, value in pairs)

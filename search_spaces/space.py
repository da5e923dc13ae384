"""The search space: named parameters with their domains, some of which exist only under an option of another.

`Space`, `Variants` and `Fixed` are one recursive type: each option of `Variants` brings a space, and `Fixed` holds a
domain at one value. A space knows its size and its grid, and says why params do not belong to it. `narrowing.py` takes
parts of it; sampling is left to the searches.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tune_jobs.models.plain_values import plain
from tune_jobs.search_spaces.decisions import Chooser, Decision, Question
from tune_jobs.search_spaces.products import product
from tune_jobs.search_spaces.scalars import Choice, Float, Int, Params, Scalar, SpaceError, Value, text
from tune_jobs.search_spaces.spelling import near


@dataclass(frozen=True, init=False)
class Variants:
    """Named options, of which exactly one is active and brings its own space.

    Written `Variants(sgd=Space(...), adam=Space())`, or with a mapping if a name is not an identifier.

    Raises:
        SpaceError: there are no options, or an option has no name or occurs twice.
    """

    options: tuple[tuple[str, Space], ...]

    def __init__(self, options: Mapping[str, Space] | None = None, /, **more: Space) -> None:
        if not isinstance(options, Mapping | None):
            raise SpaceError(f"Variants takes its options by name or as a mapping; got {options!r}")
        pairs = (*(options or {}).items(), *more.items())
        object.__setattr__(self, "options", pairs)
        if not pairs:
            raise SpaceError("Variants needs at least one option; got none")
        for name, _ in pairs:
            check_name(name, "an option of Variants")
        # built once, because searches use it all the time; it refuses a name given in the mapping and as a keyword
        object.__setattr__(self, "_choice", Choice(*(name for name, _ in pairs)))

    @property
    def size(self) -> int | None:
        """The number of points under all options; None if they cannot be counted."""
        return _sum([space.size for _, space in self.options])

    def choice(self) -> Choice:
        """Return the names of the options as a `Choice`."""
        choice: Choice = vars(self)["_choice"]
        return choice

    def only(self, names: Collection[Value]) -> Variants:
        """Return these options alone."""
        return Variants({name: space for name, space in self.options if name in names})

    def words(self) -> str:
        """Return the names of the options in plain words, without their spaces."""
        return self.choice().words()

    def to_json(self) -> dict[str, Any]:
        return {"type": "variants", "options": [{"name": name, "space": s.to_json()} for name, s in self.options]}


@dataclass(frozen=True)
class Fixed:
    """A parameter held at one value until a user opens it to its domain.

    `Fixed` over `Variants` holds one option, whose own space is still searched.

    Raises:
        SpaceError: the value is not in the domain, or the domain is not a domain.
    """

    value: Value
    domain: Float | Int | Choice | Variants

    def __post_init__(self) -> None:
        if not isinstance(self.domain, Float | Int | Choice | Variants):
            raise SpaceError(f"Fixed holds a Float, Int, Choice or Variants; got {self.domain!r}")
        object.__setattr__(self, "value", plain(self.value))
        if wrong := scalar(self.domain).why_not(self.value):
            raise SpaceError(f"Fixed needs a value of its domain; it {wrong}")

    @property
    def size(self) -> int | None:
        """The number of points under the held value: 1, or the size of the held option's space."""
        return _sum([space.size for _, space in live_options(self)] or [1])

    def words(self) -> str:
        return f"held at {text(self.value)} (openable: {self.domain.words()})"

    def to_json(self) -> dict[str, Any]:
        return {"type": "fixed", "value": self.value, "domain": self.domain.to_json()}


Domain = Float | Int | Choice | Variants | Fixed


def released(domain: Domain) -> Float | Int | Choice | Variants:
    """Return the whole domain that a `Fixed` holds at a value; any other domain as it is."""
    return domain.domain if isinstance(domain, Fixed) else domain


def scalar(domain: Domain) -> Scalar:
    """Return the values that the parameter itself can have once it is opened; for Variants the names of the options."""
    whole = released(domain)
    return whole.choice() if isinstance(whole, Variants) else whole


def options(domain: Domain) -> tuple[tuple[str, Space], ...]:
    """Return every option with its space, including those that a `Fixed` excludes."""
    whole = released(domain)
    return whole.options if isinstance(whole, Variants) else ()


def live_options(domain: Domain) -> tuple[tuple[str, Space], ...]:
    """Return the options that can be active."""
    if isinstance(domain, Fixed):
        return tuple((name, space) for name, space in options(domain) if name == domain.value)
    return options(domain)


@dataclass(frozen=True, init=False)
class Space:
    """Domains by name, in declared order: `Space(units=Choice(64, 128), optimizer=Variants(...))`.

    Its points are params. Params are flat: the parameters of an active option stand beside the option's own parameter.

    Raises:
        SpaceError: a value is not a domain, or two parameters of one name could be active at once.
    """

    domains: tuple[tuple[str, Domain], ...]

    def __init__(self, /, **domains: Domain) -> None:
        object.__setattr__(self, "domains", tuple(domains.items()))
        seen: set[str] = set()
        for name, domain in self.domains:
            check_name(name, "a parameter")
            if not isinstance(domain, Domain):
                raise SpaceError(f"parameter {name!r} needs a Float, Int, Choice, Variants or Fixed; got {domain!r}")
            for option, space in options(domain):
                if not isinstance(space, Space):
                    raise SpaceError(f"option {option!r} of {name!r} needs a Space; got {space!r}")
            inside = {place.name for _, space in options(domain) for place in space._places(opened=True)}
            for twice in sorted(({name} & inside) | (({name} | inside) & seen)):
                raise SpaceError(f"parameter {twice!r} could be active twice at once: it occurs again at {name!r}")
            seen |= {name} | inside

    @classmethod
    def of(cls, domains: Mapping[str, Domain]) -> Space:
        """Return the space of a mapping, whose names need not be identifiers."""
        if not isinstance(domains, Mapping):
            raise SpaceError(f"Space.of needs a mapping of names to domains; got {domains!r}")
        for name in domains:
            check_name(name, "a parameter")
        return cls(**domains)

    @property
    def size(self) -> int | None:
        """The number of points of the grid; None if they cannot be counted."""
        sizes = [domain.size for _, domain in self.domains]
        counted = [size for size in sizes if size is not None]
        return math.prod(counted) if len(counted) == len(sizes) else None

    def names(self, *, opened: bool = False) -> tuple[str, ...]:
        """Return every parameter that can be active, in declared order; with `opened`, once all are opened."""
        return tuple(dict.fromkeys(place.name for place in self._places(opened=opened)))

    def always(self) -> frozenset[str]:
        """Return the parameters that every point has."""
        names = set()
        for name, domain in self.domains:
            inside = [space.always() for _, space in live_options(domain)]
            names |= {name} | frozenset.intersection(*inside or [frozenset()])
        return frozenset(names)

    def varied(self) -> tuple[str, ...]:
        """Return the parameters that can differ between two points: those that are neither Fixed nor excluded."""
        places = [place for place in self._places() if not isinstance(place.domain, Fixed)]
        return tuple(dict.fromkeys(place.name for place in places))

    def grid(self) -> Iterator[dict[str, Value]]:
        """Yield every point in declared order; the last declared parameter varies fastest.

        An inactive parameter multiplies nothing.

        Raises:
            SpaceError: the values of a domain cannot be counted.
        """
        for place in self._places():
            domain = place.domain
            if isinstance(domain, Float) and domain.size is None:
                raise SpaceError(
                    f"a grid needs values that can be counted, and {place.name} is anything from {domain.words()}: "
                    f"list some with --set {place.name}={text(domain.low)},{text(domain.high)}, or use another search"
                )
        return self._points()

    def _points(self) -> Iterator[dict[str, Value]]:
        for parts in product([functools.partial(_parts, name, domain) for name, domain in self.domains]):
            yield {name: value for part in parts for name, value in part.items()}

    def walk(self, choose: Chooser, *, under: str = "") -> dict[str, Value]:
        """Return the point whose values are chosen one by one, in declared order, as they become active.

        `choose(name, domain, under)` returns a value of the domain. `under` names the option that brings the parameter
        ("optimizer=adam", empty at the top), because one name can have different domains under different options.
        Variants are offered as the `Choice` of their names. Fixed parameters are filled in without a question.

        Raises:
            SpaceError: a chosen value is not in the domain.
        """
        params: dict[str, Value] = {}
        for name, domain in self.domains:
            value = domain.value if isinstance(domain, Fixed) else _chosen(name, scalar(domain), under, choose)
            params[name] = value
            params |= _under(domain, value).walk(choose, under=_path(under, name, value))
        return params

    def questions(self) -> Iterator[Question]:
        """Yield every question that `walk` can ask, in declared order."""
        return self._questions("", {})

    def _questions(self, under: str, given: Mapping[tuple[str, str], Value]) -> Iterator[Question]:
        for name, domain in self.domains:
            is_asked = not isinstance(domain, Fixed)
            if is_asked:
                yield Question(name, scalar(domain), under, given)
            for option, space in live_options(domain):
                answered = {**given, (name, under): option} if is_asked else given
                yield from space._questions(_path(under, name, option), answered)

    def decisions(self, params: Params, *, under: str = "") -> Iterator[Decision]:
        """Yield the decisions that lead to these params, in the order of `walk`; skip values outside their domain."""
        for name, domain in self.domains:
            value = params.get(name)
            if not isinstance(domain, Fixed) and name in params and scalar(domain).why_not(value) is None:
                yield Decision(name, scalar(domain), under, value)
            yield from _under(domain, value).decisions(params, under=_path(under, name, value))

    def why_not(self, params: Params) -> str | None:
        """Return why params do not belong to the space, in one line; None if they do."""
        known = self.names(opened=True)
        for name in params:
            if name not in known:
                return self.why_inactive(name)
        active: set[str] = set()
        wrong = self._why_not_active(params, active)
        if wrong:
            return wrong
        for name in params:
            if name not in active:
                return self.why_inactive(name)
        return None

    def _why_not_active(self, params: Params, active: set[str]) -> str | None:
        for name, domain in self.domains:
            active.add(name)
            if name not in params:
                needed = text(domain.value) if isinstance(domain, Fixed) else domain.words()
                return f"{name} is missing; needed: {needed}"
            wrong = _why_not_here(name, params[name], domain)
            wrong = wrong or _under(domain, params[name])._why_not_active(params, active)
            if wrong:
                return wrong
        return None

    def why_inactive(self, name: str) -> str:
        """Return why a parameter is not active: the options that it needs, or that the space does not have it."""
        places = [place for place in self._places(opened=True) if place.name == name]
        if places:
            return f"{name} is active only when {' or '.join(dict.fromkeys(' and '.join(p.when) for p in places))}"
        known = self.names(opened=True)
        return f"no parameter {name!r} in this space{near(name, known)}; it has: {', '.join(known)}"

    def check(self, params: Params) -> None:
        """Refuse params that do not belong to the space.

        Raises:
            SpaceError: with the reason of `why_not`.
        """
        wrong = self.why_not(params)
        if wrong:
            raise SpaceError(wrong)

    def _places(self, when: tuple[str, ...] = (), *, opened: bool = False) -> Iterator[_Place]:
        for name, domain in self.domains:
            yield _Place(name, domain, when)
            for option, space in options(domain) if opened else live_options(domain):
                yield from space._places((*when, f"{name} is {option}"), opened=opened)

    def describe(self) -> list[str]:
        """Return the space in plain words: one line a parameter, indented under the option that brings it."""
        lines = []
        for name, domain in self.domains:
            lines.append(f"{name}: {domain.words()}")
            for option, space in options(domain):
                inside = space.describe()
                lines += [f"  when {name} is {option}:"] if inside else []
                lines += [f"    {line}" for line in inside]
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return the space as JSON values; its lists keep the order in stores that sort the keys of mappings."""
        return {"parameters": [{"name": name, **domain.to_json()} for name, domain in self.domains]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Space:
        """Return the space that `to_json` wrote.

        Raises:
            SpaceError: the data do not have that form.
        """
        try:
            return cls.of({entry["name"]: _from_json(entry) for entry in data["parameters"]})
        except (KeyError, TypeError) as error:
            raise SpaceError(f"not a space in JSON form: {type(error).__name__} {error}") from None


@dataclass(frozen=True)
class _Place:
    """A parameter in the tree of options, and the conditions under which it is active."""

    name: str
    domain: Domain
    when: tuple[str, ...]


def check_name(name: object, what: str) -> None:
    """Refuse a name that `--set NAME=VALUE` could not name.

    Raises:
        SpaceError: the name is not a string, is empty or contains '='.
    """
    if not isinstance(name, str) or not name or "=" in name:
        raise SpaceError(f"{what} needs a name without '='; got {name!r}")


def _sum(sizes: list[int | None]) -> int | None:
    return None if None in sizes else sum(size for size in sizes if size is not None)


def _path(under: str, name: str, value: Value) -> str:
    return f"{under}/{name}={value}" if under else f"{name}={value}"


def _under(domain: Domain, value: Value) -> Space:
    """Return the space that a value brings: that of an option, else an empty one."""
    return next((space for name, space in options(domain) if name == value), _NOTHING)


def _parts(name: str, domain: Domain) -> Iterator[dict[str, Value]]:
    """Yield what a parameter adds to the points of a grid: each of its values with each point of the space under it."""
    values = (domain.value,) if isinstance(domain, Fixed) else scalar(domain).values()
    for value in values:
        for inside in _under(domain, value)._points():
            yield {name: value, **inside}


_NOTHING = Space()


def _chosen(name: str, domain: Scalar, under: str, choose: Chooser) -> Value:
    value = domain.snap(choose(name, domain, under))
    wrong = domain.why_not(value)
    if wrong:
        raise SpaceError(f"{name} was chosen outside its domain: it {wrong}")
    return value


def _why_not_here(name: str, value: Value, domain: Domain) -> str | None:
    wrong = scalar(domain).why_not(value)
    if wrong is None and isinstance(domain, Fixed) and Choice(domain.value).why_not(value):
        return f"{name} is {value!r} and held at {text(domain.value)}; --set {name}={text(value)} opens it"
    return f"{name} {wrong}" if wrong else None


def _from_json(data: Mapping[str, Any]) -> Domain:
    match data["type"]:
        case "fixed":
            domain = _from_json(data["domain"])
            if isinstance(domain, Fixed):
                raise SpaceError("not a space in JSON form: a fixed domain inside a fixed domain")
            return Fixed(data["value"], domain)
        case "variants":
            return Variants({option["name"]: Space.from_json(option["space"]) for option in data["options"]})
        case "choice":
            return Choice(*data["options"])
        case "float":
            return Float(data["low"], data["high"], log=data["log"], step=data["step"])
        case "int":
            return Int(data["low"], data["high"], log=data["log"], step=data["step"])
        case other:
            raise SpaceError(f"not a space in JSON form: no domain type {other!r}")

"""The language of search spaces: named domains, some of which exist only under an option of another.

A space answers for itself: how large it is, what its grid is, whether params belong to it and why not. Sampling it and
training what comes out is left to others; the domains of one value are in `scalars.py`, the text of `--set` in
`expressions.py`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tune_jobs.search_spaces import conditions
from tune_jobs.search_spaces.conditions import Domain, Fixed, Variants, check_name, live_options, options, scalar
from tune_jobs.search_spaces.expressions import Expression, Setting
from tune_jobs.search_spaces.scalars import Choice, Float, Int, Params, Scalar, SpaceError, Value, params_id, text
from tune_jobs.search_spaces.spelling import near

__all__ = ["Choice", "Fixed", "Float", "Int", "Params", "Space", "SpaceError", "Value", "Variants", "params_id"]

Chooser = Callable[[str, Scalar, str], Value]


@dataclass(frozen=True)
class Question:
    """What `Space.walk` may ask: a value for a parameter, which may exist only under an option ("optimizer=adam"). It
    does ask where each of the earlier questions in `given`, by name and option that they are under, got this answer."""

    name: str
    domain: Scalar
    under: str
    given: Mapping[tuple[str, str], Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """A choice that led to some params: what was chosen for which parameter, and the option that it came under."""

    name: str
    domain: Scalar
    under: str
    value: Value


@dataclass(frozen=True, init=False)
class Space:
    """Domains by name, in the order they are declared: `Space(units=Choice(64, 128), optimizer=Variants(...))`.

    Params, its points, are flat: those of an active option stand beside the name of the option.

    Raises:
        SpaceError: something that is no domain, or a name that could be there twice at once.
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
                raise SpaceError(f"parameter {twice!r} could be there twice at once: seen again at {name!r}")
            seen |= {name} | inside

    @classmethod
    def of(cls, domains: Mapping[str, Domain]) -> Space:
        """For names that are no identifiers."""
        for name in domains:
            check_name(name, "a parameter")
        return cls(**domains)

    @property
    def size(self) -> int | None:
        """How many points the grid has; None when they cannot be counted."""
        sizes = [conditions.size(domain) for _, domain in self.domains]
        counted = [size for size in sizes if size is not None]
        return math.prod(counted) if len(counted) == len(sizes) else None

    def names(self) -> tuple[str, ...]:
        """Every parameter that may be active, in declared order."""
        return tuple(dict.fromkeys(place.name for place in self._places()))

    def always(self) -> frozenset[str]:
        """The parameters that every point has."""
        names = set()
        for name, domain in self.domains:
            inside = [space.always() for _, space in live_options(domain)]
            names |= {name} | frozenset.intersection(*inside or [frozenset()])
        return frozenset(names)

    def grid(self) -> Iterator[dict[str, Value]]:
        """Every point, in declared order; the last declared varies fastest, an inactive parameter multiplies nothing.

        Raises:
            SpaceError: a domain cannot be counted.
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
        # product() keeps the parts in memory, which are short, and never the product
        for parts in itertools.product(*(_parts(name, domain) for name, domain in self.domains)):
            yield {name: value for part in parts for name, value in part.items()}

    def walk(self, choose: Chooser, *, under: str = "") -> dict[str, Value]:
        """A point whose values are chosen one by one, as they become active, in declared order.

        `choose(name, domain, under)` is asked for each; `under` says which option the parameter came with
        ("optimizer=adam"; nothing at the top), for one name may have another domain under another option. Variants
        are offered as the Choice of their names, and what is Fixed is filled in unasked.

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
        """All that `walk` may ever ask, in declared order."""
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
        """The choices, as `walk` asks for them, that lead to these params; what lies outside its domain is left out."""
        for name, domain in self.domains:
            value = params.get(name)
            if not isinstance(domain, Fixed) and name in params and scalar(domain).why_not(value) is None:
                yield Decision(name, scalar(domain), under, value)
            yield from _under(domain, value).decisions(params, under=_path(under, name, value))

    def varied(self) -> tuple[str, ...]:
        """The names that can differ between two points: those that are not Fixed, and live."""
        places = [place for place in self._places() if not isinstance(place.domain, Fixed)]
        return tuple(dict.fromkeys(place.name for place in places))

    def why_not(self, params: Params) -> str | None:
        """Why params do not belong here, in one line; None when they do."""
        known = self._known()
        for name in params:
            if name not in known:
                return self._no_such(name)
        active: set[str] = set()
        wrong = self._why_not_active(params, active)
        if wrong:
            return wrong
        for name in params:
            if name not in active:
                return f"{name} is there only when {self._conditions(name)}"
        return None

    def _why_not_active(self, params: Params, active: set[str]) -> str | None:
        for name, domain in self.domains:
            active.add(name)
            if name not in params:
                return f"{name} is missing; needed: {_needed(domain)}"
            wrong = _why_not_here(name, params[name], domain)
            wrong = wrong or _under(domain, params[name])._why_not_active(params, active)
            if wrong:
                return wrong
        return None

    def check(self, params: Params) -> None:
        """Refuse params that do not belong here.

        Raises:
            SpaceError: with the reason of `why_not`.
        """
        wrong = self.why_not(params)
        if wrong:
            raise SpaceError(wrong)

    def narrow(self, settings: Mapping[str, str]) -> Space:
        """The part of the space that some settings keep, each a name and the text of an expression.

        `"adam"` keeps one option or value, `"128,512"` several, `"1e-4..1e-2"` a range of a Float or Int on the scale
        it has. A name under several options is narrowed wherever the values fit and left alone where none does. A
        Fixed parameter is opened, to these values.

        Raises:
            SpaceError: a name that is not in the space or not active in what is left, a value that fits nowhere.
        """
        asked = {name: Setting(Expression(name, source)) for name, source in settings.items()}
        narrowed = self._narrowed(asked)
        for name, setting in asked.items():
            if not setting.allowed:
                raise SpaceError(self._why_not_set(name))
            misfits = [word for word in setting.expression.words if word not in setting.kept]
            if misfits:
                allowed = "; or ".join(setting.allowed)
                raise SpaceError(f"{name}={','.join(misfits)} is not in this space; allowed: {allowed}")
        return narrowed

    def _narrowed(self, asked: Mapping[str, Setting]) -> Space:
        domains: dict[str, Domain] = {}
        for name, domain in self.domains:
            part = asked[name].narrow(domain) if name in asked else domain
            domains[name] = _inside(part, lambda space: space._narrowed(asked))
        return Space.of(domains)

    def open(self, names: Iterable[str]) -> Space:
        """With some Fixed parameters opened to their whole domains.

        Raises:
            SpaceError: a name that is not Fixed, not active or not in the space.
        """
        wanted = tuple(names)
        opened: set[str] = set()
        space = self._open(wanted, opened)
        for name in wanted:
            if name in opened:
                continue
            if name in space.names():
                raise SpaceError(f"{name} is not held at a value, so there is nothing to open")
            raise SpaceError(self._why_not_set(name))
        return space

    def open_all(self) -> Space:
        """With every Fixed parameter opened: all that a user may ask of it."""
        return self._open(None, set())

    def _open(self, names: Collection[str] | None, opened: set[str]) -> Space:
        domains: dict[str, Domain] = {}
        for name, domain in self.domains:
            part = domain
            if isinstance(domain, Fixed) and (names is None or name in names):
                opened.add(name)
                part = domain.domain
            domains[name] = _inside(part, lambda space: space._open(names, opened))
        return Space.of(domains)

    def _why_not_set(self, name: str) -> str:
        if name in self._known():
            return f"{name} is there only when {self._conditions(name)}; set that too"
        return self._no_such(name)

    def _no_such(self, name: str) -> str:
        known = self._known()
        return f"no parameter {name!r} in this space{near(name, known)}; it has: {', '.join(known)}"

    def _conditions(self, name: str) -> str:
        places = self._places(opened=True)
        return " or ".join(dict.fromkeys(" and ".join(place.when) for place in places if place.name == name))

    def _known(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(place.name for place in self._places(opened=True)))

    def _places(self, when: tuple[str, ...] = (), *, opened: bool = False) -> Iterator[_Place]:
        for name, domain in self.domains:
            yield _Place(name, domain, when)
            for option, space in options(domain) if opened else live_options(domain):
                yield from space._places((*when, f"{name} is {option}"), opened=opened)

    def describe(self) -> list[str]:
        """The space in plain words, a line a parameter, indented under the option it comes with."""
        lines = []
        for name, domain in self.domains:
            lines.append(f"{name}: {conditions.words(domain)}")
            for option, space in options(domain):
                inside = space.describe()
                lines += [f"  when {name} is {option}:"] if inside else []
                lines += [f"    {line}" for line in inside]
        return lines

    def to_json(self) -> dict[str, Any]:
        """The space as JSON values; lists keep the order where stores sort their keys."""
        return {"parameters": [{"name": name, **conditions.to_json(domain)} for name, domain in self.domains]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Space:
        """The space that `to_json` wrote.

        Raises:
            SpaceError: the data are not of that form.
        """
        try:
            return cls.of({entry["name"]: _from_json(entry) for entry in data["parameters"]})
        except (KeyError, TypeError) as error:
            raise SpaceError(f"not a space in JSON form: {type(error).__name__} {error}") from None


@dataclass(frozen=True)
class _Place:
    """A parameter where it stands, and what has to be so for it to be active."""

    name: str
    domain: Domain
    when: tuple[str, ...]


def _path(under: str, name: str, value: Value) -> str:
    return f"{under}/{name}={value}" if under else f"{name}={value}"


def _under(domain: Domain, value: Value) -> Space:
    """The space that comes with a value: that of an option, else an empty one."""
    return next((space for name, space in options(domain) if name == value), _NOTHING)


def _inside(domain: Domain, change: Callable[[Space], Space]) -> Domain:
    """The domain with the spaces of its live options changed."""
    live = {name: change(space) for name, space in live_options(domain)}
    if not live:
        return domain
    variants = Variants({name: live.get(name, space) for name, space in options(domain)})
    return Fixed(domain.value, variants) if isinstance(domain, Fixed) else variants


def _parts(name: str, domain: Domain) -> Iterator[dict[str, Value]]:
    """What a parameter adds to the points of a grid: its values, each with the points of the space under it."""
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


def _needed(domain: Domain) -> str:
    return text(domain.value) if isinstance(domain, Fixed) else conditions.words(domain)


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

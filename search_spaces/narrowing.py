"""Parts of a space that a user asks for: `--set` narrows it to some values, `--open` releases what it holds Fixed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from tune_jobs.search_spaces.expressions import Expression
from tune_jobs.search_spaces.one_factor import AnySpace, OneFactor
from tune_jobs.search_spaces.scalars import Choice, SpaceError, text, typed
from tune_jobs.search_spaces.space import Domain, Fixed, Space, Variants, live_options, options, released, scalar
from tune_jobs.search_spaces.spelling import near


def narrow(space: AnySpace, settings: Mapping[str, str]) -> AnySpace:
    """Return the part of a space that the settings keep. Each setting is a name and the text of an expression.

    `"adam"` keeps one option or value, `"128,512"` several, `"1e-4..1e-2"` a range of a Float or Int on its own scale.
    A name under several options is narrowed wherever the values fit and left alone where none fits. A Fixed parameter
    is opened to the values. Of a `OneFactor`, the points with one of the values stay.

    Raises:
        SpaceError: the space has no such name or value, or the name is not active in what is left.
    """
    if isinstance(space, OneFactor):
        return _narrow_one_factor(space, settings)
    narrowings = {name: _Setting(Expression(name, source)) for name, source in settings.items()}
    narrowed = _narrow(space, narrowings)
    for name, setting in narrowings.items():
        if not setting.allowed:
            raise _not_active(space, name)
        misfits = [word for word in setting.expression.words if word not in setting.fitting]
        if misfits:
            raise _misfit(name, misfits, "; or ".join(setting.allowed))
    return narrowed


def open_parameters(space: AnySpace, names: Iterable[str]) -> AnySpace:
    """Return the space with some of its Fixed parameters opened to their whole domains.

    Raises:
        SpaceError: a name that is not Fixed, not active or not in the space.
    """
    wanted = tuple(names)
    opened: set[str] = set()
    whole = space if isinstance(space, OneFactor) else _open(space, wanted, opened)
    for name in wanted:
        if name in opened:
            continue
        if isinstance(space, OneFactor) or name in space.names():
            raise SpaceError(f"{name} is not held at a value, so there is nothing to open")
        raise _not_active(space, name)
    return whole


def open_all(space: AnySpace) -> AnySpace:
    """Return the space with every Fixed parameter opened: everything that a user can ask for."""
    return space if isinstance(space, OneFactor) else _open(space, None, set())


@dataclass
class _Setting:
    """An expression on its way through a space: the domains that it met, and which of its words fitted one."""

    expression: Expression
    fitting: set[str] = field(default_factory=set)
    allowed: dict[str, None] = field(default_factory=dict)  # domains in words, in the order met

    def narrow(self, domain: Domain) -> Domain:
        """Return the part of the domain that the expression names, opened if it was Fixed; all of it if none fits."""
        self.allowed[scalar(domain).words()] = None
        part = self.expression.keep(scalar(domain))
        if part is None:
            return domain
        self.fitting |= part.words
        whole = released(domain)
        if isinstance(whole, Variants) and isinstance(part.domain, Choice):
            return whole.only(part.domain.options)
        return part.domain


def _narrow(space: Space, settings: Mapping[str, _Setting]) -> Space:
    domains: dict[str, Domain] = {}
    for name, domain in space.domains:
        part = settings[name].narrow(domain) if name in settings else domain
        domains[name] = _change_inside(part, lambda inner: _narrow(inner, settings))
    return Space.of(domains)


def _open(space: Space, names: Collection[str] | None, opened: set[str]) -> Space:
    """Open these parameters, or all, and note which were."""
    domains: dict[str, Domain] = {}
    for name, domain in space.domains:
        part = domain
        if isinstance(domain, Fixed) and (names is None or name in names):
            opened.add(name)
            part = domain.domain
        domains[name] = _change_inside(part, lambda inner: _open(inner, names, opened))
    return Space.of(domains)


def _change_inside(domain: Domain, change: Callable[[Space], Space]) -> Domain:
    """Return the domain with the spaces of its live options changed."""
    live = {name: change(space) for name, space in live_options(domain)}
    if not live:
        return domain
    variants = Variants({name: live.get(name, space) for name, space in options(domain)})
    return Fixed(domain.value, variants) if isinstance(domain, Fixed) else variants


def _narrow_one_factor(space: OneFactor, settings: Mapping[str, str]) -> OneFactor:
    points = left = space.points()
    for name, source in settings.items():
        expression = Expression(name, source)
        values = {typed(point[name]): point[name] for point in points.values() if name in point}
        if not values:
            raise SpaceError(f"no parameter {name!r} in this space{near(name, space.names())}")
        parts = {key: part for key, value in values.items() if (part := expression.keep(Choice(value)))}
        misfits = [word for word in expression.words if not any(word in part.words for part in parts.values())]
        if misfits:
            raise _misfit(name, misfits, ", ".join(text(value) for value in values.values()))
        left = {label: point for label, point in left.items() if typed(point.get(name)) in parts}
    if not left:
        raise SpaceError("these settings leave nothing of the space: one factor at a time leaves its baseline")
    return space.only(left) if settings else space


def _not_active(space: Space, name: str) -> SpaceError:
    advice = "; set that too" if name in space.names(opened=True) else ""
    return SpaceError(f"{space.why_inactive(name)}{advice}")


def _misfit(name: str, words: Iterable[str], allowed: str) -> SpaceError:
    return SpaceError(f"{name}={','.join(words)} is not in this space; allowed: {allowed}")

"""Domains that hold other domains: Variants, whose options bring spaces with them, and Fixed, which holds a value.

Both are inert; what they mean for a point of a space is in `domains.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tune_jobs.search_spaces.scalars import Choice, Float, Int, Scalar, SpaceError, Value, text

if TYPE_CHECKING:
    from tune_jobs.search_spaces.space import Space


@dataclass(frozen=True, init=False)
class Variants:
    """Named options of which exactly one is active, each bringing a space of its own.

    Written `Variants(sgd=Space(...), adam=Space())`, or with a mapping where a name is no identifier.

    Raises:
        SpaceError: no options, or an option twice or without a name.
    """

    options: tuple[tuple[str, Space], ...]

    def __init__(self, options: Mapping[str, Space] | None = None, /, **more: Space) -> None:
        pairs = (*(options or {}).items(), *more.items())
        object.__setattr__(self, "options", pairs)
        if not pairs:
            raise SpaceError("Variants needs at least one option; got none")
        for name, _ in pairs:
            check_name(name, "an option of Variants")
        # made once, for searches ask for it all the time; it refuses a name given in the mapping and as a keyword
        object.__setattr__(self, "_choice", Choice(*(name for name, _ in pairs)))

    def choice(self) -> Choice:
        """The options' names alone."""
        made: Choice = vars(self)["_choice"]
        return made

    def only(self, names: Collection[Value]) -> Variants:
        """Without the other options."""
        return Variants({name: space for name, space in self.options if name in names})


@dataclass(frozen=True)
class Fixed:
    """A parameter held at one value until a user opens it to its domain.

    Of Variants, it is the option that is held; the space that comes with the option is searched.

    Raises:
        SpaceError: the value is not in the domain, or the domain is none.
    """

    value: Value
    domain: Float | Int | Choice | Variants

    def __post_init__(self) -> None:
        if not isinstance(self.domain, Float | Int | Choice | Variants):
            raise SpaceError(f"Fixed holds a Float, Int, Choice or Variants; got {self.domain!r}")
        wrong = scalar(self.domain).why_not(self.value)
        if wrong:
            raise SpaceError(f"Fixed needs a value of its domain; it {wrong}")


Domain = Float | Int | Choice | Variants | Fixed


def opened(domain: Domain) -> Float | Int | Choice | Variants:
    return domain.domain if isinstance(domain, Fixed) else domain


def scalar(domain: Domain) -> Scalar:
    """What the parameter itself may be, once opened: for Variants the names of the options."""
    whole = opened(domain)
    return whole.choice() if isinstance(whole, Variants) else whole


def options(domain: Domain) -> tuple[tuple[str, Space], ...]:
    """Every option, those included that a Fixed keeps away."""
    whole = opened(domain)
    return whole.options if isinstance(whole, Variants) else ()


def live_options(domain: Domain) -> tuple[tuple[str, Space], ...]:
    """The options that can be active."""
    if isinstance(domain, Fixed):
        return tuple((name, space) for name, space in options(domain) if name == domain.value)
    return options(domain)


def size(domain: Domain) -> int | None:
    """How many points the domain adds with what is under it; None when they cannot be counted."""
    if isinstance(domain, Fixed | Variants):
        sizes = [space.size for _, space in live_options(domain)] or [1]
        return None if None in sizes else sum(counted for counted in sizes if counted is not None)
    return domain.size


def words(domain: Domain) -> str:
    """The domain in plain words, without the spaces under it."""
    if isinstance(domain, Fixed):
        return f"held at {text(domain.value)} (openable: {words(domain.domain)})"
    return scalar(domain).words()


def to_json(domain: Domain) -> dict[str, Any]:
    """The domain as JSON values; lists keep the order where stores sort their keys."""
    if isinstance(domain, Fixed):
        return {"type": "fixed", "value": domain.value, "domain": to_json(domain.domain)}
    if isinstance(domain, Variants):
        return {
            "type": "variants",
            "options": [{"name": name, "space": space.to_json()} for name, space in domain.options],
        }
    return domain.to_json()


def check_name(name: object, what: str) -> None:
    if not isinstance(name, str) or not name or "=" in name:
        raise SpaceError(f"{what} needs a name without '='; got {name!r}")

"""Params as Optuna stores them: the one translation of domains and their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    check_distribution_compatibility,
)

from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.scalars import Float, Int, Params, Scalar, Value


@dataclass(frozen=True)
class OptunaForm:
    """Params as Optuna stores them. A parameter that lives under an option has that option in its name: one name may
    have another domain under another option, which Optuna refuses in a study."""

    params: dict[str, Value]
    distributions: dict[str, BaseDistribution]


def optuna_form(space: AnySpace, params: Params) -> OptunaForm:
    """Return the active, variable parameters of `params` with their distributions."""
    decisions = {optuna_name(choice.name, choice.under): choice for choice in space.decisions(params)}
    return OptunaForm(
        {path: choice.value for path, choice in decisions.items()},
        {path: distribution(choice.domain) for path, choice in decisions.items()},
    )


def stored_form(space: AnySpace, params: Params, spaces: Sequence[AnySpace]) -> OptunaForm:
    """Return the form in which a trial of a space is stored in a study that had these spaces.

    Optuna refuses other options under one name. A parameter whose options have changed has a number in its name then.
    """
    form = optuna_form(space, params)
    known = [_distributions(each) for each in spaces] if len(spaces) > 1 else []
    names = {path: _numbered(path, one, known) for path, one in form.distributions.items()}
    return OptunaForm(
        {names[path]: value for path, value in form.params.items()},
        {names[path]: one for path, one in form.distributions.items()},
    )


def _distributions(space: AnySpace) -> dict[str, BaseDistribution]:
    return {optuna_name(question.name, question.under): distribution(question.domain) for question in space.questions()}


def _numbered(path: str, mine: BaseDistribution, known: Sequence[Mapping[str, BaseDistribution]]) -> str:
    kinds: list[BaseDistribution] = []
    for distributions in known:
        other = distributions.get(path)
        if other is not None and not any(_are_compatible(kind, other) for kind in kinds):
            kinds.append(other)
    place = next((place for place, kind in enumerate(kinds) if _are_compatible(kind, mine)), len(kinds))
    return f"{path}~{place + 1}" if place else path


def _are_compatible(one: BaseDistribution, other: BaseDistribution) -> bool:
    try:
        check_distribution_compatibility(one, other)
    except ValueError:
        return False
    return True


def optuna_name(name: str, under: str) -> str:
    """Return `adam/learning_rate` for a parameter under an option."""
    return f"{under}/{name}" if under else name


def distribution(domain: Scalar) -> BaseDistribution:
    """Return a domain as Optuna's distribution; bounds are inclusive on both sides."""
    if isinstance(domain, Float):
        return FloatDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
    if isinstance(domain, Int):
        return IntDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
    return CategoricalDistribution(domain.options)

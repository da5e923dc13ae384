"""Params as Optuna keeps them: the one translation of a domain and its names."""

from __future__ import annotations

from dataclasses import dataclass

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.scalars import Float, Int, Params, Scalar, Value


@dataclass(frozen=True)
class OptunaForm:
    """Params as Optuna keeps them: a parameter that lives under an option carries that option in its name, since
    one name may have another domain under another option, which Optuna refuses within a study."""

    params: dict[str, Value]
    distributions: dict[str, BaseDistribution]


def optuna_form(space: AnySpace, params: Params) -> OptunaForm:
    """The active, variable parameters of `params` with their distributions."""
    chosen = {optuna_name(choice.name, choice.under): choice for choice in space.decisions(params)}
    return OptunaForm(
        {path: choice.value for path, choice in chosen.items()},
        {path: distribution(choice.domain) for path, choice in chosen.items()},
    )


def optuna_name(name: str, under: str) -> str:
    return f"{under}/{name}" if under else name


def distribution(domain: Scalar) -> BaseDistribution:
    """The one translation of a domain to Optuna; bounds are inclusive on both sides."""
    if isinstance(domain, Float):
        return FloatDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
    if isinstance(domain, Int):
        return IntDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
    return CategoricalDistribution(domain.options)

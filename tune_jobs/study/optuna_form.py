"""Params as Optuna stores them: the one translation of domains and their names."""

from __future__ import annotations

from dataclasses import dataclass

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

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

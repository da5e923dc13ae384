"""Limits on what a configuration may have, such as `parameters<=100000`: what keeps to them, and what does not.

They decide on no score. A configuration that breaks one ranks behind all that keep to them.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tune_jobs.errors import Reason, UserError
from tune_jobs.records import objectives
from tune_jobs.records.trials import TrialRecord

_FORM = re.compile(
    r"\s*([A-Za-z_][\w./-]*?)\s*(<=|>=)\s*([-+]?[0-9][0-9_.]*(?:e[-+]?\d+)?)\s*([A-Za-z%]*)\s*", re.ASCII
)
NOT_KNOWN = "is not known"  # ends what is said of a limit on what was not measured
_NUMBERS: Mapping[str, float] = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "%": 0.01}
_UNITS: Mapping[str, Mapping[str, float]] = {  # of what is measured in a unit of its own, which comes first
    objectives.LATENCY: {"ms": 1, "": 1, "us": 1e-3, "s": 1e3},
    objectives.TRAIN_SECONDS: {"s": 1, "": 1, "ms": 1e-3, "m": 60, "h": 3600},
}


@dataclass(frozen=True)
class Constraint:
    """A limit on a metric, or on what else is measured of a trial; latency is in milliseconds."""

    name: str
    sign: Literal["<=", ">="]
    limit: float

    def excess(self, value: float) -> float:
        """Return by how much a value breaks the limit, as a share of it; zero or less where it keeps to it."""
        beyond = value - self.limit if self.sign == "<=" else self.limit - value
        return beyond / (abs(self.limit) or 1.0)

    def __str__(self) -> str:
        return f"{self.name}{self.sign}{self.words(self.limit)}"

    def words(self, value: float) -> str:
        """Return a value as a person reads it, with its unit where it has one."""
        number = f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.5g}"
        return number + next(iter(_UNITS.get(self.name, _NUMBERS)))


def parse(texts: Sequence[str]) -> tuple[Constraint, ...]:
    """Read limits: NAME<=NUMBER or NAME>=NUMBER, where a number may end with k, M, G, % or a unit of time; `none` alone
    is no limit.

    Raises:
        UserError: a text of another form, or one limit twice.
    """
    if list(texts) == ["none"]:
        return ()
    constraints = tuple(map(_parse, texts))
    sides = [(constraint.name, constraint.sign) for constraint in constraints]
    for name, sign in sides:
        if sides.count((name, sign)) > 1:
            raise UserError(f"--constraint {name}{sign} is there {sides.count((name, sign))} times: once is enough")
    return constraints


def _parse(text: str) -> Constraint:
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise UserError(f"--constraint needs NAME<=NUMBER or NAME>=NUMBER, such as 'parameters<=100000'; got {text!r}")
    name, sign, digits, unit = match.groups()
    units = _UNITS.get(name, _NUMBERS)
    if unit not in units:
        known = ", ".join(filter(None, units))
        raise UserError(f"--constraint {text}: no unit {unit!r}; {name} takes {known} or none")
    try:
        limit = float(digits) * units[unit]
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit):
        raise UserError(f"--constraint {text}: {digits} is no number")
    return Constraint(name, sign, limit)  # type: ignore[arg-type]


def excesses(trial: TrialRecord, constraints: Iterable[Constraint]) -> dict[str, float]:
    """Return by how much a trial breaks each limit, by the limits in words; what is not known is left out."""
    known = {constraint: objectives.measured(trial, constraint.name) for constraint in constraints}
    return {str(constraint): constraint.excess(reached) for constraint, reached in known.items() if reached is not None}


def excess(trial: TrialRecord, constraints: Iterable[Constraint]) -> float:
    """Return by how much a trial breaks its limits, all together; zero if it breaks none as far as is known."""
    return sum(max(0.0, beyond) for beyond in excesses(trial, constraints).values())


def broken(trials: Collection[TrialRecord], constraints: Iterable[Constraint]) -> tuple[str, ...]:
    """Return which limits a configuration breaks, in words; a limit counts for the mean over its trials.

    What is not known, of trials from before a limit was asked for, breaks it.
    """
    words = []
    for constraint in constraints:
        values = [reached for trial in trials if (reached := objectives.measured(trial, constraint.name)) is not None]
        mean = statistics.mean(values) if values else None
        if mean is None:
            words.append(f"{constraint.name} {NOT_KNOWN}")
        elif constraint.excess(mean) > 0:
            words.append(f"{constraint.name} {constraint.words(mean)}")
    return tuple(words)


def is_untrained(trial: TrialRecord) -> bool:
    """Return True for a trial that was not trained, because it was known beforehand to break a limit."""
    return trial.state == "failed" and trial.reason == Reason.INFEASIBLE


def still_counts(trial: TrialRecord, constraints: Sequence[Constraint]) -> bool:
    """Return False for a trial that was not trained because of limits that are others now, which it keeps to."""
    return not is_untrained(trial) or excess(trial, constraints) > 0


def words(constraints: Iterable[Constraint]) -> str:
    """Return `parameters<=100,000 and latency<=2`."""
    return " and ".join(map(str, constraints))

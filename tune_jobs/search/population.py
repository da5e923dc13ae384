"""Population based training: all trials train side by side; at intervals the worst continue from copies of the best.

Jaderberg et al., Population Based Training of Neural Networks, 2017, in its synchronous form with truncation selection.
When all members have trained to an epoch of comparison, each of the worst quarter copies the weights and params of a
member of the best quarter, drawn at random. Each of its numeric parameters is then multiplied by 0.8 or 1.2, or drawn
anew. Draws depend on the study's seed, the epoch and the member alone, so that a population that was killed continues
as an undisturbed one would have.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tune_jobs.records.trials import Lineage, Segment
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Choice, Float, Params, Scalar, Value

_SHARE = 0.25  # of the members that copy, and of those that are copied
_RESAMPLED = 0.25  # the probability that a parameter is drawn anew instead of being multiplied
_FACTORS = (0.8, 1.2)


@dataclass(frozen=True)
class Member:
    """A trial of a population at an epoch of comparison, with its score there."""

    number: int
    seed: int
    lineage: Lineage
    score: float


def comparison_epochs(epochs: int, every: int) -> tuple[int, ...]:
    """Return the epochs after which members are compared: every `every` epochs, but not after the last one."""
    return tuple(range(every, epochs, every))


def next_lineages(
    members: Sequence[Member], epoch: int, space: AnySpace, objective: Objective, seed: int
) -> dict[int, Lineage]:
    """Return each member's lineage after the comparison at `epoch`, by the member's number.

    It is the member's own lineage, or that of the member it copies, with one new segment.
    """
    ranking = sorted(members, key=functools.cmp_to_key(functools.partial(_compare, objective)))
    n_copied = int(len(members) * _SHARE) or int(len(members) > 1)
    lineages: dict[int, Lineage] = {}
    for place, member in enumerate(ranking):
        parent, params = member, member.lineage[-1].params
        if place >= len(ranking) - n_copied:
            random = np.random.default_rng((seed, epoch, member.number))
            parent = ranking[int(random.integers(n_copied))]
            params = perturb(parent.lineage[-1].params, space, random)
        lineages[member.number] = (*parent.lineage, Segment(epoch + 1, params, member.seed, parent.number))
    return lineages


def perturb(params: Params, space: AnySpace, random: np.random.Generator) -> dict[str, Value]:
    """Return the params with each rate among them moved a little or drawn anew; the network's shape stays."""
    perturbed = dict(params)
    for decision in space.decisions(params):
        if _is_rate(decision.domain, decision.value):
            is_resampled, share = random.random() < _RESAMPLED, random.random()
            factor = _FACTORS[int(random.integers(2))]
            value = decision.domain.at(share) if is_resampled else _scale(decision.domain, decision.value, factor)
            perturbed[decision.name] = value if value else decision.value  # a rate of zero is another network
    return perturbed


def _compare(objective: Objective, one: Member, other: Member) -> int:
    """Order the better member first, and equal ones by their numbers."""
    if objective.is_better(one.score, other.score):
        return -1
    if objective.is_better(other.score, one.score):
        return 1
    return one.number - other.number


def _is_rate(domain: Scalar, value: Value) -> bool:
    """Return whether a value may change during training.

    Floats are rates, such as of learning or of dropout. Whole numbers are sizes, and words are kinds.
    """
    if not isinstance(value, float) or value == 0.0:
        return False
    return isinstance(domain, Float) or (
        isinstance(domain, Choice) and all(isinstance(option, float) for option in domain.options)
    )


def _scale(domain: Scalar, value: Value, factor: float) -> Value:
    """Return the value times the factor, within its range; in a finite domain, the next value up or down."""
    assert isinstance(value, float)
    if isinstance(domain, Float) and domain.size is None:
        return min(max(value * factor, domain.low), domain.high)
    step = 1 if factor > 1 else -1
    if isinstance(domain, Float):
        return domain.nth(min(max(domain.place(value) + step, 0), (domain.size or 1) - 1))
    options = sorted(option for option in domain.values() if isinstance(option, float))
    return options[min(max(options.index(value) + step, 0), len(options) - 1)]

"""Population based training: all trials train side by side, and now and then the worst go on from copies of the best,
with params a little changed.

Jaderberg et al., Population Based Training of Neural Networks, 2017, in its synchronous form with truncation selection:
when all members have come to a boundary, those in the worst quarter take up the weights and the params of one in the
best quarter, drawn at random, and each numeric parameter is multiplied by 0.8 or 1.2, or drawn anew. What is drawn
depends on the study's seed, the epoch and the member alone, so that a population that was killed goes on as it would
have.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tune_jobs.records.trials import Lineage, Segment
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Float, Params, Scalar, Value

_SHARE = 0.25  # of the members that copy, and that are copied from
_ANEW = 0.25  # how often a parameter is drawn anew rather than changed a little
_FACTORS = (0.8, 1.2)


@dataclass(frozen=True)
class Member:
    """A trial of a population that has come to a boundary, with its score there."""

    number: int
    seed: int
    course: Lineage
    score: float


def boundaries(epochs: int, every: int) -> tuple[int, ...]:
    """The epochs after which members are compared; not the last one, after which nothing comes."""
    return tuple(range(every, epochs, every))


def moved_on(
    members: Sequence[Member], epoch: int, space: AnySpace, objective: Objective, seed: int
) -> dict[int, Lineage]:
    """The course of each member after the boundary at `epoch`: its own or that of one it copies, and a new stretch."""
    order = sorted(members, key=functools.cmp_to_key(functools.partial(_compared, objective)))
    count = int(len(members) * _SHARE) or int(len(members) > 1)
    courses: dict[int, Lineage] = {}
    for place, member in enumerate(order):
        parent, params = member, member.course[-1].params
        if place >= len(order) - count:
            rng = np.random.default_rng((seed, epoch, member.number))
            parent = order[int(rng.integers(count))]
            params = changed(parent.course[-1].params, space, rng)
        courses[member.number] = (*parent.course, Segment(epoch + 1, params, member.seed, parent.number))
    return courses


def changed(params: Params, space: AnySpace, rng: np.random.Generator) -> dict[str, Value]:
    """The params with each of their numbers moved a little or drawn anew; what shapes the network stays as it is."""
    found = dict(params)
    for decision in space.decisions(params):
        if _is_movable(decision.domain, decision.value):
            is_anew, share, factor = rng.random() < _ANEW, rng.random(), _FACTORS[int(rng.integers(2))]
            value = decision.domain.at(share) if is_anew else _near(decision.domain, decision.value, factor)
            found[decision.name] = value if value else decision.value  # a rate of zero is another network
    return found


def _compared(objective: Objective, one: Member, other: Member) -> int:
    """The better one first; equal ones in the order of their numbers."""
    if objective.is_better(one.score, other.score):
        return -1
    if objective.is_better(other.score, one.score):
        return 1
    return one.number - other.number


def _is_movable(domain: Scalar, value: Value) -> bool:
    """Floats are rates: of learning, of dropout. Whole numbers are sizes, and options that are words are kinds."""
    if not isinstance(value, float) or value == 0.0:
        return False
    return isinstance(domain, Float) or all(isinstance(option, float) for option in domain.values())


def _near(domain: Scalar, value: Value, factor: float) -> Value:
    """The value times the factor, within its range; where values can be counted, the next one up or down."""
    if isinstance(domain, Float) and domain.size is None:
        assert isinstance(value, float)
        return min(max(value * factor, domain.low), domain.high)
    options = sorted(option for option in domain.values() if isinstance(option, float))
    at = options.index(value) + (1 if factor > 1 else -1)  # type: ignore[arg-type]
    return options[min(max(at, 0), len(options) - 1)]

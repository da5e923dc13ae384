"""What a study takes over from another: its trials as prior knowledge, or only its best configurations.

A study keeps its own copy, so that it goes on in the same way once the other one has grown or is gone. None of these
trials is one of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tune_jobs.records.trials import RecordedResult, TrialRecord
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Value


@dataclass(frozen=True)
class PriorTrial:
    """A trial of another study, as far as a search can learn from it."""

    params: Mapping[str, Value]
    state: Literal["complete", "stopped", "failed"]
    score: float | None = None


@dataclass(frozen=True)
class Prior:
    """The trials of another study in their order. With `best` they are that many of its best configurations, the best
    first, which are run again and of whose scores nothing is learned."""

    study: str
    identity: str
    objective: Objective
    trials: tuple[PriorTrial, ...]
    best: int | None = None


def records(prior: Prior, objective: Objective) -> tuple[TrialRecord, ...]:
    """Return the trials as those of a study with this objective: a score has its sign turned where less of one is as
    good as more of the other."""
    sign = 1.0 if prior.objective.direction == objective.direction else -1.0
    return tuple(_record(number, trial, sign) for number, trial in enumerate(prior.trials))


def _record(number: int, trial: PriorTrial, sign: float) -> TrialRecord:
    score = None if trial.score is None else sign * trial.score
    result = RecordedResult(trial.state, score, finished=0.0)
    return TrialRecord(number, trial.params, seed=0, state=trial.state, result=result)

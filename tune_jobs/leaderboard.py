"""The configurations of a study in order, and what is known about the order. Pure functions over trial records.

A score is the mean over the seeds that a configuration was trained with. With one seed it is a single draw: another
seed moves it, and a difference below the validation split's resolution (one image in 5,000 is 0.0002 of accuracy)
means nothing at all. What is marked `tied` is only what is equal to the last digit.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from search_spaces.domains import Value
from search_spaces.task import Objective
from tune_jobs.records import State, TrialRecord

_IN_WORDS: tuple[State, ...] = ("complete", "stopped", "failed", "running", "waiting")


@dataclass(frozen=True)
class Row:
    """One configuration. `trials`, `seeds` and `best_epochs` belong together, in the order of the trials' numbers."""

    rank: int  # from one; equal scores share the smallest: 1, 1, 3
    tied: bool
    state: Literal["complete", "stopped"]
    params_id: str
    params: Mapping[str, Value]
    score: float  # the mean over its trials
    std: float | None  # of the sample (n - 1); None for a single trial
    trials: tuple[int, ...]
    seeds: tuple[int, ...]
    best_epochs: tuple[int | None, ...]
    train_seconds: float | None  # the mean of the trials that know it
    weights: int | None

    @property
    def n(self) -> int:
        """How many trials the score is the mean of."""
        return len(self.trials)


@dataclass(frozen=True)
class Summary:
    """How many trials are in each state, and how many failed for each reason (the most frequent first)."""

    states: Mapping[State, int]
    reasons: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.states.values())

    def words(self) -> str:
        """`81 trials: 76 complete, 2 stopped, 3 failed (2 diverged, 1 out-of-memory)`."""
        counts = [f"{self.states[state]} {state}" for state in _IN_WORDS if self.states[state]]
        if not counts:
            return "no trials"
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.reasons.items())
        failed = f"{self.states['failed']} failed"
        told = [f"{count} ({reasons})" if count == failed else count for count in counts]
        return f"{self.total} trial{'s' if self.total > 1 else ''}: {', '.join(told)}"


def rank(trials: Iterable[TrialRecord], objective: Objective) -> tuple[Row, ...]:
    """The configurations that have a score, best first; equal ones in the order of their first trials.

    A configuration is judged by its complete trials. One that was only ever stopped comes after all that completed,
    whatever it had reached: what it would have become is not known. Failed trials are no rows; `summary` counts them.
    """
    ordered = sorted(_configurations(trials), key=lambda configuration: configuration.order(objective))
    equals = Counter(configuration.place for configuration in ordered)
    ranks: dict[tuple[str, float], int] = {}
    for number, configuration in enumerate(ordered, start=1):
        ranks.setdefault(configuration.place, number)
    return tuple(
        _row(configuration, ranks[configuration.place], equals[configuration.place] > 1) for configuration in ordered
    )


def best(rows: Iterable[Row]) -> Row | None:
    """The first configuration that completed; among equals the one tried first."""
    return next((row for row in rows if row.state == "complete"), None)


def summary(trials: Iterable[TrialRecord]) -> Summary:
    """The trials by state, and the failed ones by reason."""
    trials = tuple(trials)
    states = Counter(trial.state for trial in trials)
    reasons = Counter(trial.reason or "unknown" for trial in trials if trial.state == "failed")
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return Summary({state: states[state] for state in _IN_WORDS}, dict(ordered))


@dataclass(frozen=True)
class _Configuration:
    """A configuration's trials that count, with their mean."""

    state: Literal["complete", "stopped"]
    trials: tuple[TrialRecord, ...]
    scores: tuple[float, ...]
    score: float

    @property
    def place(self) -> tuple[str, float]:
        """What is equal for configurations that share a rank."""
        return self.state, self.score

    def order(self, objective: Objective) -> tuple[bool, float, int]:
        cost = -self.score if objective.direction == "maximize" else self.score
        return self.state == "stopped", cost, self.trials[0].number


def _configurations(trials: Iterable[TrialRecord]) -> list[_Configuration]:
    groups: dict[str, list[TrialRecord]] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        if trial.state in ("complete", "stopped") and trial.score is not None and math.isfinite(trial.score):
            groups.setdefault(trial.params_id, []).append(trial)
    return [_configuration(group) for group in groups.values()]


def _configuration(trials: Sequence[TrialRecord]) -> _Configuration:
    complete = tuple(trial for trial in trials if trial.state == "complete")
    counted = complete or tuple(trials)
    scores = tuple(trial.score for trial in counted if trial.score is not None)
    # statistics.mean is exact, so that the order of the seeds cannot part two configurations that are equal
    return _Configuration("complete" if complete else "stopped", counted, scores, float(statistics.mean(scores)))


def _row(configuration: _Configuration, rank: int, tied: bool) -> Row:
    trials = configuration.trials
    seconds = [trial.train_seconds for trial in trials if trial.train_seconds is not None]
    return Row(
        rank=rank,
        tied=tied,
        state=configuration.state,
        params_id=trials[0].params_id,
        params=trials[0].params,
        score=configuration.score,
        std=_deviation(configuration.scores),
        trials=tuple(trial.number for trial in trials),
        seeds=tuple(trial.seed for trial in trials),
        best_epochs=tuple(trial.best_epoch for trial in trials),
        train_seconds=statistics.mean(seconds) if seconds else None,
        weights=trials[0].weights,
    )


def _deviation(scores: Sequence[float]) -> float | None:
    if len(scores) < 2:
        return None
    try:
        return float(statistics.stdev(scores))
    except OverflowError:  # a loss of 1e308 beside one of -1e308
        return math.inf

"""The configurations of a study in order, and what is known about the order. Pure functions over trial records.

A score is the mean over the seeds that a configuration was trained with; `rank` orders by it. `with_uncertainty` adds
how far that order can be trusted, which `inference.py` computes from seeds and validation images (docs/leaderboard.md).
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from tune_jobs.records.objectives import metric_on_test
from tune_jobs.records.trials import State, TrialRecord
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tune_jobs.leaderboard.inference import Sample, Uncertainty

_IN_WORDS: tuple[State, ...] = ("complete", "stopped", "failed", "running", "waiting")


@dataclass(frozen=True)
class TestScore:
    """A finalist on the test split: the mean over its evaluated trials, in the objective's unit."""

    __test__ = False  # no test class, whatever pytest makes of its name

    metric: str
    score: float
    std: float | None
    n: int
    interval: tuple[float, float] | None  # 95 %


@dataclass(frozen=True)
class Row:
    """One configuration. `trials`, `seeds` and `best_epochs` belong together, in the order of the trials' numbers."""

    rank: int  # from one; equal scores share the smallest: 1, 1, 3. With several objectives: the front
    tied: bool  # whether another has the very same score
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
    interval: tuple[float, float] | None = (
        None  # 95 %, over seeds and images; the rest of it too is what `with_uncertainty` adds
    )
    has_seed_part: bool = False  # whether it is over seeds at all
    p_best: float | None = None  # the probability of being the best
    places: tuple[int, int] | None = None  # between which it may be, at 95 %
    tested: TestScore | None = None
    values: tuple[float | None, ...] = ()  # in each objective, the means, where there are several

    @property
    def n(self) -> int:
        """How many trials the score is the mean of."""
        return len(self.trials)

    @property
    def may_be_best(self) -> bool:
        """Whether nothing speaks against it at 95 %; where nothing is known, anything may be."""
        return self.places is None or self.places[0] == 1


@dataclass(frozen=True)
class Summary:
    """How many trials are in each state, how many failed for each reason (the most frequent first), and how many of
    these were run again."""

    states: Mapping[State, int]
    reasons: Mapping[str, int]
    retried: int = 0

    @property
    def total(self) -> int:
        return sum(self.states.values())

    def words(self) -> str:
        """`81 trials: 76 complete, 2 stopped, 3 failed (2 diverged, 1 out-of-memory)`."""
        counts = [f"{self.states[state]} {state}" for state in _IN_WORDS if self.states[state]]
        if not counts:
            return "no trials"
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.reasons.items())
        reasons += f"; {self.retried} run again" if self.retried else ""
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


def finalists(rows: Iterable[Row], top: int) -> tuple[Row, ...]:
    """The best `top` that completed: replicated ones first, each in their order.

    A configuration of one seed does not come before those that were tried with more: its place may be a lucky draw.
    """
    complete = [row for row in rows if row.state == "complete"]
    return tuple(sorted(complete, key=lambda row: row.n == 1)[:top])  # stable: in the order of ranks


def best(rows: Iterable[Row]) -> Row | None:
    """The winner: the first of the replicated configurations, or of all where none is; None where none completed."""
    return next(iter(finalists(rows, 1)), None)


def with_uncertainty(rows: Sequence[Row], trials: Iterable[TrialRecord], objective: Objective) -> tuple[Row, ...]:
    """The rows with what is known about their order, and with the test split where it was read.

    Configurations that were only ever stopped are left as they are: what they would have become is not known.
    """
    from tune_jobs.leaderboard.inference import judge

    by_number = {trial.number: trial for trial in trials}
    complete = [row for row in rows if row.state == "complete"]
    samples = [_sample([by_number[number] for number in row.trials]) for row in complete]
    verdicts: dict[str, Uncertainty] = {}
    for row, verdict in zip(complete, judge(samples, maximize=objective.direction == "maximize"), strict=True):
        verdicts[row.params_id] = verdict
    tests = _tests(complete, by_number, objective)
    return tuple(_with(row, verdicts.get(row.params_id), tests.get(row.params_id)) for row in rows)


def _with(row: Row, verdict: Uncertainty | None, tested: TestScore | None) -> Row:
    if verdict is None:
        return row
    return replace(
        row,
        interval=verdict.interval,
        has_seed_part=verdict.has_seed_part,
        p_best=verdict.p_best,
        places=verdict.places,
        tested=tested,
    )


def _sample(trials: Sequence[TrialRecord]) -> Sample:
    return _sample_of([(trial.score or 0.0, trial.errors) for trial in trials])


def _sample_of(runs: Sequence[tuple[float, str | None]]) -> Sample:
    """The scores of a configuration, with what each image contributed to them where every run has kept that."""
    import numpy as np

    from tune_jobs.leaderboard.inference import Sample

    scores = np.array([score for score, _ in runs])
    if not all(packed for _, packed in runs):
        return Sample(scores)
    return Sample(scores, np.stack([_contributions(score, packed or "") for score, packed in runs]))


def _contributions(score: float, packed: str) -> NDArray[Any]:
    """`(images,)`: the errors, or their complements where the score is the share without one."""
    from tune_jobs.records.per_image import unpack

    errors = unpack(packed)
    mean = float(errors.mean())
    return errors if abs(score - mean) <= abs(score - (1 - mean)) else 1 - errors


def _tests(rows: Sequence[Row], by_number: Mapping[int, TrialRecord], objective: Objective) -> dict[str, TestScore]:
    """The test scores of the configurations that have them, judged together."""
    from tune_jobs.leaderboard.inference import judge

    metric = metric_on_test(objective)
    runs: dict[str, list[tuple[float, str | None]]] = {}
    for row in rows:
        tests = [tested for number in row.trials if (tested := by_number[number].tested) is not None]
        scored = [(tested.metrics[metric], tested.errors) for tested in tests if metric in tested.metrics]
        if scored:
            runs[row.params_id] = scored
    verdicts = judge([_sample_of(found) for found in runs.values()], maximize=objective.direction == "maximize")
    return {
        params_id: TestScore(
            metric,
            float(statistics.mean(score for score, _ in found)),
            _deviation([score for score, _ in found]),
            len(found),
            verdict.interval,
        )
        for (params_id, found), verdict in zip(runs.items(), verdicts, strict=True)
    }


def summary(trials: Iterable[TrialRecord]) -> Summary:
    """The trials by state, and the failed ones by reason."""
    trials = tuple(trials)
    last = {(trial.params_id, trial.seed): trial.number for trial in trials}
    retried = sum(trial.state == "failed" and last[trial.params_id, trial.seed] != trial.number for trial in trials)
    states = Counter(trial.state for trial in trials)
    reasons = Counter(trial.reason or "unknown" for trial in trials if trial.state == "failed")
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return Summary({state: states[state] for state in _IN_WORDS}, dict(ordered), retried)


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

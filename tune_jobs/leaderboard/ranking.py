"""The configurations of a study in order, and how far the order can be trusted. Pure functions over trial records.

A score is the mean over the seeds that a configuration was trained with; `rank` orders by it. `with_uncertainty` adds
the uncertainty, which `inference.py` computes from seeds and validation images (docs/leaderboard.md).
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from tune_jobs.records.constraints import NOT_KNOWN, Constraint, broken, is_untrained
from tune_jobs.records.objectives import metric_on_test
from tune_jobs.records.trials import State, TrialRecord
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Value
from tune_jobs.words import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tune_jobs.leaderboard.inference import Sample, Uncertainty

_IN_WORDS: tuple[State, ...] = ("complete", "stopped", "failed", "running", "waiting")


@dataclass(frozen=True)
class TestScore:
    """A finalist on the test split: the mean over its evaluated trials, in the objective's unit."""

    __test__ = False  # pytest would take it for a test class by its name

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
    # What `with_uncertainty` adds: the interval is at 95 %, over seeds and images.
    interval: tuple[float, float] | None = None
    has_seed_part: bool = False  # of the interval
    p_best: float | None = None  # the probability of being the best
    places: tuple[int, int] | None = None  # the first and the last that it may have, at 95 %
    tested: TestScore | None = None
    values: tuple[float | None, ...] = ()  # the mean in each objective, if there are several
    broken: tuple[str, ...] = ()  # the limits that it does not keep to, with what it has, in words

    @property
    def n(self) -> int:
        """The number of trials that the score is the mean of."""
        return len(self.trials)

    @property
    def may_be_best(self) -> bool:
        """True unless another is better at 95 %, or it breaks a limit; also if nothing is known of the places."""
        return not self.broken and (self.places is None or self.places[0] == 1)

    @property
    def is_result(self) -> bool:
        """True if it completed and keeps to all limits."""
        return self.state == "complete" and not self.broken


@dataclass(frozen=True)
class Summary:
    """How many trials are in each state, how many failed for each reason, and how many of these were run again.

    The most frequent reason is first. Those that were known to break a limit, and were not trained, are apart.
    """

    states: Mapping[State, int]
    reasons: Mapping[str, int]
    retried: int = 0
    untrained: int = 0

    @property
    def total(self) -> int:
        return sum(self.states.values())

    def words(self) -> str:
        """Return `81 trials: 76 complete, 2 stopped, 3 failed (2 diverged, 1 out-of-memory)`."""
        counts = [f"{self.states[state]} {state}" for state in _IN_WORDS if self.states[state]]
        apart = f"{self.untrained} more not trained, for they break a limit" if self.untrained else ""
        if not counts:
            return apart or "no trials"
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.reasons.items())
        reasons += f"; {self.retried} run again" if self.retried else ""
        failed = f"{self.states['failed']} failed"
        parts = [f"{count} ({reasons})" if count == failed else count for count in counts]
        return f"{counted(self.total, 'trial')}: {', '.join(parts)}{apart and '; '}{apart}"


def rank(
    trials: Iterable[TrialRecord], objective: Objective, constraints: Sequence[Constraint] = ()
) -> tuple[Row, ...]:
    """Return the configurations that have a score, best first; equal ones in the order of their first trials.

    The score of a configuration is that of its complete trials. If all its trials were stopped, it comes after all that
    completed, whatever its score: how it would have ended is unknown. One that breaks a limit comes after these. Failed
    trials have no row; `summary` counts them.
    """
    ordered = sorted(_configurations(trials, constraints), key=lambda configuration: configuration.order(objective))
    equals = Counter(configuration.place for configuration in ordered)
    ranks: dict[tuple[bool, str, float], int] = {}
    for number, configuration in enumerate(ordered, start=1):
        ranks.setdefault(configuration.place, number)
    return tuple(
        _row(configuration, ranks[configuration.place], equals[configuration.place] > 1) for configuration in ordered
    )


def finalists(rows: Iterable[Row], top: int) -> tuple[Row, ...]:
    """Return the best `top` that completed within all limits: replicated ones first, in their order, then the others.

    A configuration with one seed does not come before those with several: its place may be luck.
    """
    complete = [row for row in rows if row.is_result]
    return tuple(sorted(complete, key=lambda row: row.n == 1)[:top])  # stable: in the order of ranks


def best(rows: Iterable[Row]) -> Row | None:
    """Return the winner: the first replicated configuration, or the first of all if none is; None if none completed."""
    return next(iter(finalists(rows, 1)), None)


def with_uncertainty(rows: Sequence[Row], trials: Iterable[TrialRecord], objective: Objective) -> tuple[Row, ...]:
    """Return the rows with the uncertainty of their order, and with their scores on the test split where it was read.

    Configurations whose trials were all stopped stay as they are: how they would have ended is unknown. So do those
    that break a limit, for none of them may be the best.
    """
    from tune_jobs.leaderboard.inference import uncertainties

    by_number = {trial.number: trial for trial in trials}
    complete = [row for row in rows if row.is_result]
    maximize = objective.direction == "maximize"
    samples = [_sample([by_number[number] for number in row.trials], maximize) for row in complete]
    of_each = uncertainties(samples, maximize=maximize)
    known = {row.params_id: uncertainty for row, uncertainty in zip(complete, of_each, strict=True)}
    tests = _tests(complete, by_number, objective)
    return tuple(_with(row, known.get(row.params_id), tests.get(row.params_id)) for row in rows)


def _with(row: Row, uncertainty: Uncertainty | None, tested: TestScore | None) -> Row:
    if uncertainty is None:
        return row
    return replace(
        row,
        interval=uncertainty.interval,
        has_seed_part=uncertainty.has_seed_part,
        p_best=uncertainty.p_best,
        places=uncertainty.places,
        tested=tested,
    )


def _sample(trials: Sequence[TrialRecord], maximize: bool) -> Sample:
    return _sample_of([(trial.score or 0.0, trial.errors) for trial in trials], maximize)


def _sample_of(runs: Sequence[tuple[float, str | None]], maximize: bool) -> Sample:
    """Return the scores of a configuration, with the contribution of each image if every run has kept it.

    A single image has no spread, so that its contribution says nothing.
    """
    import numpy as np

    from tune_jobs.leaderboard.inference import Sample

    scores = np.array([score for score, _ in runs])
    contributions = [_contributions(score, packed, maximize) for score, packed in runs if packed]
    known = [each for each in contributions if len(each) > 1]
    if len(known) < len(runs):
        return Sample(scores)
    return Sample(scores, known[0][None] if len(known) == 1 else np.stack(known))


def _contributions(score: float, packed: str, maximize: bool) -> NDArray[Any]:
    """Return `(images,)`: the errors, or 1 less each of them, whichever the score is the mean of.

    Errors are kept where it is declared to be one of the two. At one half both are; then an objective that grows is the
    share of images without an error.
    """
    import numpy as np

    from tune_jobs.records.per_image import unpack

    errors = unpack(packed)
    mean = float(errors.mean() if errors.dtype.kind == "f" else np.count_nonzero(errors) / len(errors))
    nearer = abs(score - (1 - mean)) - abs(score - mean)  # to the mean of the errors
    are_errors = not maximize if abs(nearer) < 1 / len(errors) else nearer > 0
    return errors if are_errors else 1 - errors


def _tests(rows: Sequence[Row], by_number: Mapping[int, TrialRecord], objective: Objective) -> dict[str, TestScore]:
    """Return the test scores of the configurations that have them, their intervals estimated together."""
    from tune_jobs.leaderboard.inference import uncertainties

    metric = metric_on_test(objective)
    runs: dict[str, list[tuple[float, str | None]]] = {}
    for row in rows:
        tests = [tested for number in row.trials if (tested := by_number[number].tested) is not None]
        scored = [(tested.metrics[metric], tested.errors) for tested in tests if metric in tested.metrics]
        if scored:
            runs[row.params_id] = scored
    maximize = objective.direction == "maximize"
    of_each = uncertainties([_sample_of(scored, maximize) for scored in runs.values()], maximize=maximize)
    return {
        params_id: _test_score(metric, [score for score, _ in scored], uncertainty)
        for (params_id, scored), uncertainty in zip(runs.items(), of_each, strict=True)
    }


def _test_score(metric: str, scores: Sequence[float], uncertainty: Uncertainty) -> TestScore:
    mean = float(statistics.mean(scores))
    return TestScore(metric, mean, _deviation(scores), len(scores), uncertainty.interval)


def summary(trials: Iterable[TrialRecord]) -> Summary:
    """Count the trials by state, and the failed ones by reason."""
    every = tuple(trials)
    trials = tuple(trial for trial in every if not is_untrained(trial))
    last = {(trial.params_id, trial.seed): trial.number for trial in trials}
    retried = sum(trial.state == "failed" and last[trial.params_id, trial.seed] != trial.number for trial in trials)
    states = Counter(trial.state for trial in trials)
    reasons = Counter(trial.reason or "unknown" for trial in trials if trial.state == "failed")
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    counted = {state: states[state] for state in _IN_WORDS}
    return Summary(counted, dict(ordered), retried, len(every) - len(trials))


@dataclass(frozen=True)
class _Configuration:
    """The trials of a configuration that count, with the mean of their scores."""

    state: Literal["complete", "stopped"]
    trials: tuple[TrialRecord, ...]
    scores: tuple[float, ...]
    score: float
    broken: tuple[str, ...]

    @property
    def place(self) -> tuple[bool, str, float]:
        """Whether a limit is broken, the state and the score, which are equal for configurations that share a rank."""
        return bool(self.broken), self.state, self.score

    def order(self, objective: Objective) -> tuple[bool, bool, float, int]:
        cost = -self.score if objective.direction == "maximize" else self.score
        return bool(self.broken), self.state == "stopped", cost, self.trials[0].number


def _configurations(trials: Iterable[TrialRecord], constraints: Sequence[Constraint]) -> list[_Configuration]:
    groups: dict[str, list[TrialRecord]] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        if trial.state in ("complete", "stopped") and trial.score is not None and math.isfinite(trial.score):
            groups.setdefault(trial.params_id, []).append(trial)
    return [_configuration(group, constraints) for group in groups.values()]


def _configuration(trials: Sequence[TrialRecord], constraints: Sequence[Constraint]) -> _Configuration:
    complete = tuple(trial for trial in trials if trial.state == "complete")
    counted = complete or tuple(trials)
    scores = tuple(trial.score for trial in counted if trial.score is not None)
    state: Literal["complete", "stopped"] = "complete" if complete else "stopped"
    limits = broken(counted, constraints)
    if state == "stopped":  # what was not measured of it may be within the limits
        limits = tuple(words for words in limits if not words.endswith(NOT_KNOWN))
    return _Configuration(state, counted, scores, _mean(scores), limits)


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
        train_seconds=_mean(seconds) if seconds else None,
        weights=trials[0].weights,
        broken=configuration.broken,
    )


def _mean(values: Sequence[float]) -> float:
    """Return the exact mean: the order of the seeds does not matter, and equal configurations stay equal."""
    return float(statistics.mean(values)) if len(values) > 1 else values[0] + 0.0  # as it has no -0.0


def _deviation(scores: Sequence[float]) -> float | None:
    if len(scores) < 2:
        return None
    try:
        return float(statistics.stdev(scores))
    except OverflowError:  # a loss of 1e308 beside one of -1e308
        return math.inf

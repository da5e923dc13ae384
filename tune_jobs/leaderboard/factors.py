"""A one-factor study by its factors: the levels of each with their scores, difference from the baseline and curves.

Pure functions over a record. The levels of a factor are compared among themselves, as the leaderboard compares the
configurations of a study.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tune_jobs.errors import UserError
from tune_jobs.leaderboard import ranking
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records.studies import StudyRecord, StudyTerms
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces.one_factor import OneFactor
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Value, params_id

Standing = Literal["best", "tied", "worse"]


@dataclass(frozen=True)
class Curve:
    """The objective after each epoch, from the first on, as far as every seed was trained: `(epochs,)` each."""

    mean: tuple[float, ...]
    low: tuple[float, ...]  # the lowest of the seeds
    high: tuple[float, ...]
    n: int  # seeds


@dataclass(frozen=True)
class ScoredLevel:
    """A level with its score and curve. Without a `row` it has no score yet, or only failures."""

    name: str
    params_id: str
    is_baseline: bool
    row: Row | None
    difference: float | None  # its mean less the baseline's; None for the baseline, and if one has no score
    standing: Standing | None  # beside the factor's best; None with one seed, or with one level
    failed: tuple[str, ...]  # the reasons of its failed trials, the most frequent first: `diverged`, `2 crashed`
    curve: Curve | None


@dataclass(frozen=True)
class Factor:
    """A factor with its levels in declared order."""

    name: str
    levels: tuple[ScoredLevel, ...]


@dataclass(frozen=True)
class FactorStudy:
    """A one-factor study: its baseline, which need not be a level of any factor, and its factors in declared order."""

    study: str
    task: str
    dataset: str
    objective: Objective
    baseline: ScoredLevel
    factors: tuple[Factor, ...]

    @property
    def levels(self) -> tuple[ScoredLevel, ...]:
        """The baseline and all levels; a point that is a level of two factors is there twice."""
        return self.baseline, *(level for factor in self.factors for level in factor.levels)

    @property
    def has_curves(self) -> bool:
        return any(level.curve is not None for level in self.levels)


def is_one_factor(study: StudyRecord) -> bool:
    """Return True if the study's space changes one factor of its baseline at a time."""
    return "one_factor" in study.terms.space


def factor_study(study: StudyRecord) -> FactorStudy:
    """Return the study by its factors.

    Raises:
        UserError: its space does not change one factor at a time.
    """
    terms = study.terms
    if not is_one_factor(study):
        raise UserError(
            "factors needs a study whose space changes one factor of its baseline at a time, like mnist-mlp-factors; "
            f"study {study.name!r} searches a product of domains: run `tune-jobs leaderboard {study.name}`"
        )
    space = OneFactor.from_json(terms.space)
    points = _Points(study, params_id(_present(space.baseline)))
    factors = tuple(
        Factor(name, points.levels([(level.name, params_id(level.params)) for level in levels]))
        for name, levels in space.levels()
    )
    (baseline,) = points.levels([("baseline", points.root)])
    return FactorStudy(study.name, terms.task, terms.dataset, terms.objective, baseline, factors)


def _present(pairs: Iterable[tuple[str, Value]]) -> dict[str, Value]:
    return {name: value for name, value in pairs if value is not None}


class _Points:
    """The trials of a study by their points, of which `root` is the baseline."""

    def __init__(self, study: StudyRecord, root: str) -> None:
        self.root, self._terms = root, study.terms
        self._objective = objective = study.terms.objective
        self._trials: dict[str, list[TrialRecord]] = {}
        for trial in study.trials:
            self._trials.setdefault(trial.params_id, []).append(trial)
        baseline = ranking.best(ranking.rank(self._trials.get(root, ()), objective))
        self._reference = None if baseline is None else baseline.score

    def levels(self, levels: Sequence[tuple[str, str]]) -> tuple[ScoredLevel, ...]:
        """Return the levels, given as names with points, compared among themselves."""
        points = dict.fromkeys(point for _, point in levels)  # two levels may be one point
        trials = [trial for point in points for trial in self._trials.get(point, ())]
        rows = ranking.with_uncertainty(ranking.rank(trials, self._objective), trials, self._objective)
        by_id = {row.params_id: row for row in rows}
        complete = sum(row.state == "complete" for row in rows)
        return tuple(self._level(name, point, by_id.get(point), complete) for name, point in levels)

    def _level(self, name: str, point: str, row: Row | None, complete: int) -> ScoredLevel:
        is_baseline = point == self.root
        is_known = row is not None and row.state == "complete" and not is_baseline
        trials = self._trials.get(point, ())
        reasons = Counter(trial.reason or "unknown" for trial in trials if trial.state == "failed").most_common()
        counted = () if row is None else row.trials
        return ScoredLevel(
            name=name,
            params_id=point,
            is_baseline=is_baseline,
            row=row,
            difference=row.score - self._reference if is_known and row and self._reference is not None else None,
            standing=_standing(row, complete),
            failed=tuple(reason if count == 1 else f"{count} {reason}" for reason, count in reasons),
            curve=curve_of([trial for trial in trials if trial.number in counted], self._terms),
        )


def _standing(row: Row | None, complete: int) -> Standing | None:
    if row is None or row.places is None or complete < 2:
        return None
    if row.rank == 1:
        return "best"
    return "tied" if row.may_be_best else "worse"


def curve_of(trials: Sequence[TrialRecord], terms: StudyTerms) -> Curve | None:
    """Return the curve over the epochs that every seed has: a mean over fewer seeds would jump where one ends.

    Folds are no curve.
    """
    if terms.protocol.folds is not None:
        return None
    histories = [[epoch.get(terms.objective.metric, math.nan) for epoch in trial.history] for trial in trials]
    epochs = min((_finite(history) for history in histories), default=0)
    if not epochs:
        return None
    table = np.array([history[:epochs] for history in histories])  # (seeds, epochs)
    mean, low, high = (tuple(map(float, line)) for line in (table.mean(axis=0), table.min(axis=0), table.max(axis=0)))
    return Curve(mean, low, high, len(table))


def _finite(history: Sequence[float]) -> int:
    """Return the number of epochs before the first without a finite value."""
    return next((index for index, value in enumerate(history) if not math.isfinite(value)), len(history))

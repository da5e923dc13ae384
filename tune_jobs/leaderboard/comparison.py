"""The winners of several studies beside each other, with a paired test for each two that can be compared.

Records in, dataclasses out. The leaderboard chooses a winner and its interval; the tests here ask whether two winners
differ by more than their seeds do.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tune_jobs.errors import UserError
from tune_jobs.leaderboard import ranking
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records.studies import StudyRecord
from tune_jobs.search_spaces.protocol import Objective

MEANING = (
    "p: the probability that seeds alone make two equally good winners differ by at least this much on these "
    "validation images, on which both were chosen (two-sided paired t-test over the shared seeds); Holm: p corrected "
    "for all tests here"
)
_ROUNDING = 1e-6  # of the scores, which Keras computes in float32: smaller differences count as none


@dataclass(frozen=True)
class Winner:
    """A study's best configuration, with what another winner must share to be compared with it."""

    study: str
    task: str
    objective: Objective
    dataset: str
    data_digest: str
    row: Row
    scores: Mapping[int, float]  # by seed


@dataclass(frozen=True)
class Pair:
    """Two winners, by their studies. There is either a `difference`, or `why_not` with the reason for none.

    `interval` and `p` are None if the difference is the same at every seed, except that p is 1 for no difference.
    """

    first: str
    second: str
    seeds: tuple[int, ...] = ()  # with which both were trained
    difference: float | None = None  # first less second, the mean over these seeds
    interval: tuple[float, float] | None = None  # 95 %
    p: float | None = None  # of the paired t-test, two-sided
    p_holm: float | None = None  # adjusted for all tests of the comparison (Holm)
    why_not: str | None = None


@dataclass(frozen=True)
class Comparison:
    """The winners, best first within each objective, and all pairs of them in that order."""

    winners: tuple[Winner, ...]
    pairs: tuple[Pair, ...]


def compare(studies: Sequence[StudyRecord]) -> Comparison:
    """Return the winners of `studies`, and a test for each pair over the seeds with which both were trained.

    Raises:
        UserError: a study is named twice, or none of its trials is complete.
    """
    names = [study.name for study in studies]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"a study is compared with others; {name!r} is named {names.count(name)} times")
    winners = _ordered([_winner(study) for study in studies])
    return Comparison(
        winners, _corrected([_pair(first, second) for first, second in itertools.combinations(winners, 2)])
    )


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return the p values, in their order, adjusted so that all tests together err as often as one (Holm 1979)."""
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for passed, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - passed) * p_values[index]))
        adjusted[index] = largest
    return tuple(adjusted)


def _winner(study: StudyRecord) -> Winner:
    terms = study.terms
    rows = ranking.with_uncertainty(
        ranking.rank(study.trials, terms.objective, study.constraints), study.trials, terms.objective
    )
    row = ranking.best(rows)
    if row is None:
        raise UserError(
            f"study {study.name!r} has no winner to compare: it needs a complete trial, and has "
            f"{ranking.summary(study.trials).words()}"
        )
    scores: dict[int, list[float]] = {}
    for trial in study.trials:
        if trial.number in row.trials and trial.score is not None:
            scores.setdefault(trial.seed, []).append(trial.score)
    means = {seed: float(statistics.mean(of_seed)) for seed, of_seed in sorted(scores.items())}
    return Winner(study.name, terms.task, terms.objective, terms.dataset, terms.data_digest, row, means)


def _ordered(winners: Iterable[Winner]) -> tuple[Winner, ...]:
    """Return the winners best first; those of one objective stand together, in the order of their first."""
    groups: dict[Objective, list[Winner]] = {}
    for winner in winners:
        groups.setdefault(winner.objective, []).append(winner)
    return tuple(
        winner
        for objective, group in groups.items()
        for winner in sorted(group, key=lambda each: each.row.score, reverse=objective.direction == "maximize")
    )


def _pair(first: Winner, second: Winner) -> Pair:
    seeds = tuple(seed for seed in first.scores if seed in second.scores)
    pair = Pair(first.study, second.study, seeds)
    why_not = _why_not(first, second, seeds)
    if why_not is not None:
        return replace(pair, why_not=why_not)
    ours, theirs = (np.array([winner.scores[seed] for seed in seeds]) for winner in (first, second))
    differences = ours - theirs
    mean = float(differences.mean())
    rounding = _ROUNDING * float(np.abs([ours, theirs]).max())
    if np.ptp(differences) <= rounding:  # without a spread there is no t: SciPy returns NaN and warns
        is_none = abs(mean) <= rounding
        return replace(pair, difference=0.0 if is_none else mean, p=1.0 if is_none else None)
    from scipy import stats  # takes half a second, which one command needs

    test = stats.ttest_rel(ours, theirs)
    low, high = test.confidence_interval(0.95)
    return replace(pair, difference=mean, interval=(float(low), float(high)), p=float(test.pvalue))


def _why_not(first: Winner, second: Winner, seeds: tuple[int, ...]) -> str | None:
    """Return why two winners cannot be tested against each other, in one line; None if they can."""
    if first.objective != second.objective:
        return f"another objective: {_words(first.objective)} against {_words(second.objective)}"
    if first.data_digest != second.data_digest:
        if first.dataset != second.dataset:
            return f"other data: {first.dataset} against {second.dataset}"
        return f"other data: {first.dataset} {first.data_digest} against {second.data_digest}"
    if not seeds:
        return f"no shared seeds: {_listed(first.scores)} against {_listed(second.scores)}"
    if len(seeds) == 1:
        return f"one shared seed, {seeds[0]}, and a paired test needs two: `tune-jobs replicate` adds seeds"
    return None


def _words(objective: Objective) -> str:
    return f"{objective.direction} {objective.metric}"


def _listed(seeds: Iterable[int]) -> str:
    return ", ".join(map(str, seeds))


def _corrected(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    adjusted = iter(holm([pair.p for pair in pairs if pair.p is not None]))
    return tuple(pair if pair.p is None else replace(pair, p_holm=next(adjusted)) for pair in pairs)

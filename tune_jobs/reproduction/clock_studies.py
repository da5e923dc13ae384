"""A study of clocks by its label encodings: which reads the time best, by how much, and what the reports say of that.

Pure functions over a record. An encoding is judged by the best of its configurations.
"""

from __future__ import annotations

import inspect
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tune_jobs.leaderboard import comparison, ranking
from tune_jobs.leaderboard.comparison import Pair
from tune_jobs.leaderboard.factors import Curve, curve_of
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.models import clock_encodings
from tune_jobs.records.per_image import unpack
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces.scalars import Params, Value

Verdict = Literal["confirmed", "refuted", "not decided"]

_LEVEL = 0.05
_MEASURES = ("error_minutes", "hour_slips")  # that two-hands networks have of both readings


@dataclass(frozen=True)
class Entry:
    """An encoding with its best configuration; `metrics` are means over its seeds, on the validation split."""

    name: str
    row: Row
    configurations: int  # of the encoding that completed, of which it is the best
    metrics: Mapping[str, float]
    median: float | None  # minutes
    curve: Curve | None  # of the error in minutes


@dataclass(frozen=True)
class Claim:
    """What the reports say of an encoding beside others; the names are those of `OF_REPORTS`."""

    words: str
    subject: str
    relation: Literal["better", "worse"]
    rivals: tuple[str, ...]


@dataclass(frozen=True)
class Judgement:
    """A claim and what a study says of it.

    `rival` is the one that decides: of those that speak against the claim the clearest, else the one closest to doing
    so. `difference` is the subject's error less the rival's, in minutes.
    """

    claim: Claim
    verdict: Verdict
    why: str  # what is missing for a decision; empty where there is one
    rival: str | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None  # 95 %
    seeds: int = 0


@dataclass(frozen=True)
class ReadTwice:
    """A configuration whose outputs were read both plainly and jointly: means over its seeds, errors in minutes."""

    row: Row
    split: Literal["val", "test"]
    n: int
    errors: tuple[float, float]  # plain, joint
    slips: tuple[float, float]


# The encodings that the reports print an error for, each by the params that make it one.
OF_REPORTS: Mapping[str, Mapping[str, Value]] = {
    "regression": {"encoding": "regression"},
    "24 classes": {"encoding": "classes", "classes": 24},
    "72 classes": {"encoding": "classes", "classes": 72},
    "720 classes": {"encoding": "classes", "classes": 720},
    "multi-head": {"encoding": "multi-head"},
    "sine and cosine": {"encoding": "hour-hand"},
    "two circles": {"encoding": "two-hands"},
}


def _all_but(subject: str) -> tuple[str, ...]:
    return tuple(name for name in OF_REPORTS if name != subject)


CLAIMS = (
    Claim("720 classes are the worst", "720 classes", "worse", _all_but("720 classes")),
    Claim("regression is worse than the hour hand's sine and cosine", "regression", "worse", ("sine and cosine",)),
    Claim(
        "the hour hand's sine and cosine are better than classes and the multi-head network",
        *("sine and cosine", "better"),
        ("24 classes", "72 classes", "720 classes", "multi-head"),
    ),
    Claim("the two hands' circles are the best", "two circles", "better", _all_but("two circles")),
)


def encoding_name(params: Params) -> str:
    """`classes 720`, `two-hands joint`: the encoding with those of its settings that are words or counts.

    Weights and widths are not in it: they are tuned within an encoding.
    """
    told = [params[name] for name in inspect.signature(clock_encodings.build).parameters if name in params]
    return " ".join(str(value) for value in told if not isinstance(value, float)) or "its own"


def judged(study: StudyRecord) -> tuple[Row, ...]:
    """The configurations in order, each judged beside those of its own encoding alone.

    The spread over seeds of a network that does not learn is a hundred times that of one that does, so encodings
    cannot lend each other theirs.
    """
    objective = study.terms.objective
    rows = ranking.rank(study.trials, objective)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(encoding_name(row.params), []).append(row)
    known = {
        row.params_id: row
        for group in groups.values()
        for row in ranking.with_uncertainty(group, study.trials, objective)
    }
    return tuple(known[row.params_id] for row in rows)


def entries(study: StudyRecord) -> tuple[Entry, ...]:
    """The encodings that have a complete configuration, the one with the smallest error first."""
    groups: dict[str, list[Row]] = {}
    for row in judged(study):
        groups.setdefault(encoding_name(row.params), []).append(row)
    found = [
        _entry(study, name, best, sum(row.state == "complete" for row in rows))
        for name, rows in groups.items()
        if (best := ranking.best(rows)) is not None
    ]
    return tuple(sorted(found, key=lambda entry: entry.row.score))


def judgements(study: StudyRecord) -> tuple[Judgement, ...]:
    """What the study says of each claim, by paired tests over the seeds that two encodings share.

    A claim about several rivals is confirmed if it holds beside each; it is refuted if it is wrong beside one, where
    the tests are corrected for their number (Holm).
    """
    of_each = {name: _part(study, params) for name, params in OF_REPORTS.items()}
    there = [replace(part, name=name) for name, part in of_each.items() if _has_complete(part)]
    pairs = {(pair.first, pair.second): pair for pair in comparison.compare(there).pairs}
    known = pairs | {(second, first): _turned(pair) for (first, second), pair in pairs.items()}
    return tuple(_judgement(claim, {part.name for part in there}, known) for claim in CLAIMS)


def can_judge(study: StudyRecord) -> bool:
    """Whether the encodings of a claim, the one it is about and another, have been run."""
    there = {name for name, params in OF_REPORTS.items() if _has_complete(_part(study, params))}
    return any(claim.subject in there and there & set(claim.rivals) for claim in CLAIMS)


def read_twice(study: StudyRecord) -> tuple[ReadTwice, ...]:
    """All configurations that were read plainly and jointly, best joint error first, on each split that was read."""
    numbers = {trial.number: trial for trial in study.trials}
    found = [
        twice
        for row in ranking.rank(study.trials, study.terms.objective)
        if row.state == "complete"
        for twice in _read_twice(row, [numbers[number] for number in row.trials])
    ]
    return tuple(sorted(found, key=lambda twice: (twice.split == "test", twice.errors[1])))


def evaluated(study: StudyRecord, row: Row) -> TrialRecord | None:
    """The first trial of a configuration that kept what it read on the test split: not the luckiest of its seeds."""
    kept = [trial for trial in study.trials if trial.tested is not None and trial.tested.readings is not None]
    return next((trial for trial in kept if trial.number in row.trials), None)


def _entry(study: StudyRecord, name: str, row: Row, configurations: int) -> Entry:
    trials = [trial for trial in study.trials if trial.number in row.trials]
    medians = [median for trial in trials if (median := _median(trial)) is not None]
    return Entry(
        name=name,
        row=row,
        configurations=configurations,
        metrics=means([trial.metrics for trial in trials]),
        median=statistics.mean(medians) if medians else None,
        curve=curve_of(trials, study.terms.objective.metric),
    )


def means(measured: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each metric that all have."""
    names = set.intersection(*(set(metrics) for metrics in measured)) if measured else set()
    return {name: statistics.mean(metrics[name] for metrics in measured) for name in sorted(names)}


def _median(trial: TrialRecord) -> float | None:
    """Over the validation images; of a trial that kept them neither as a metric nor one by one, None."""
    if "val_median_minutes" in trial.metrics:
        return trial.metrics["val_median_minutes"]
    return None if trial.errors is None else float(np.median(unpack(trial.errors)))


def _part(study: StudyRecord, params: Mapping[str, Value]) -> StudyRecord:
    return replace(study, trials=tuple(trial for trial in study.trials if params.items() <= trial.params.items()))


def _has_complete(study: StudyRecord) -> bool:
    return ranking.best(ranking.rank(study.trials, study.terms.objective)) is not None


def _turned(pair: Pair) -> Pair:
    difference = None if pair.difference is None else -pair.difference
    interval = None if pair.interval is None else (-pair.interval[1], -pair.interval[0])
    return replace(pair, first=pair.second, second=pair.first, difference=difference, interval=interval)


def _judgement(claim: Claim, there: set[str], known: Mapping[tuple[str, str], Pair]) -> Judgement:
    missing = [name for name in (claim.subject, *claim.rivals) if name not in there]
    pairs = [known[claim.subject, rival] for rival in claim.rivals if (claim.subject, rival) in known]
    tested = [pair for pair in pairs if pair.p is not None]
    lacks = [pair.why_not or "the difference is the same at every seed" for pair in pairs if pair.p is None]
    if not tested:
        why = f"not run: {', '.join(missing)}" if missing else lacks[0]
        return Judgement(claim, "not decided", why)
    corrected = comparison.holm([pair.p for pair in tested if pair.p is not None])
    against = [pair for pair, p in zip(tested, corrected, strict=True) if _support(claim, pair) < 0 and p < _LEVEL]
    decides = min(against or tested, key=lambda pair: _support(claim, pair))
    if against:
        return _told(claim, "refuted", "", decides)
    doubtful = [pair for pair in tested if pair.p is None or pair.p >= _LEVEL or _support(claim, pair) < 0]
    if doubtful:
        beside = ", ".join(pair.second for pair in doubtful)
        return _told(claim, "not decided", f"too close: {beside}", min(doubtful, key=lambda p: _support(claim, p)))
    if missing or lacks:
        why = f"not run: {', '.join(missing)}" if missing else lacks[0]
        return _told(claim, "not decided", why, decides)
    return _told(claim, "confirmed", "", decides)


def _support(claim: Claim, pair: Pair) -> float:
    """How many minutes a difference speaks for the claim; below 0 it speaks against it."""
    difference = pair.difference or 0.0
    return difference if claim.relation == "worse" else -difference


def _told(claim: Claim, verdict: Verdict, why: str, pair: Pair) -> Judgement:
    return Judgement(claim, verdict, why, pair.second, pair.difference, pair.interval, len(pair.seeds))


def _read_twice(row: Row, trials: Sequence[TrialRecord]) -> list[ReadTwice]:
    tested = [trial.tested.metrics for trial in trials if trial.tested is not None and trial.tested.metrics]
    splits: tuple[tuple[Literal["val", "test"], list[Mapping[str, float]]], ...] = (
        ("val", [trial.metrics for trial in trials]),
        ("test", tested),
    )
    found = []
    for split, measured in splits:
        mean = means(measured)
        names = [f"{split}_{reading}_{what}" for what in _MEASURES for reading in clock_encodings.DECODINGS]
        if all(name in mean for name in names):
            plain, joint, plain_slips, joint_slips = (mean[name] for name in names)
            found.append(ReadTwice(row, split, len(measured), (plain, joint), (plain_slips, joint_slips)))
    return found

"""A study of generative networks: the baseline against the best, and how far scores agree, from its record alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tune_jobs.leaderboard import comparison, encodings, fronts, ranking
from tune_jobs.leaderboard.comparison import Pair
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.reproduction.reported import ranked_rows, task_of
from tune_jobs.search_spaces.catalog import TASKS
from tune_jobs.search_spaces.scalars import Value, params_id

GENERATIVE_TASKS = tuple(task for task in TASKS if getattr(task.build, "__module__", "").find(".generative.") > 0)


@dataclass(frozen=True)
class Contest:
    """A study's baseline and its best configuration; with several objectives, the best of those that are nowhere worse
    than the baseline. They are one row if nothing was better.

    `difference` is the best's score less the baseline's at the seeds that both have; None where they share too few.
    """

    study: StudyRecord
    rows: tuple[Row, ...]
    baseline: Row
    best: Row
    difference: Pair | None

    @property
    def changes(self) -> dict[str, tuple[Value | None, Value | None]]:
        """The parameters in which both differ: the baseline's value and the best's; None where it has none."""
        names = dict.fromkeys([*self.baseline.params, *self.best.params])
        pairs = {name: (self.baseline.params.get(name), self.best.params.get(name)) for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def is_generative(study: StudyRecord) -> bool:
    """Return True for a study of a task of the catalogue whose networks make pictures."""
    return task_of(study) in GENERATIVE_TASKS


def contest_of(study: StudyRecord) -> Contest | None:
    """Return the baseline of a study against its best configuration; None if one of them has no score."""
    task = task_of(study)
    assert task is not None
    rows = fronts.by_front(ranked_rows(study), study.trials, study.terms.objectives)
    complete = [row for row in rows if row.state == "complete"]
    baseline = next((row for row in complete if row.params_id == params_id(task.baseline)), None)
    if baseline is None:
        return None
    best = ranking.best([row for row in complete if _is_nowhere_worse(row, baseline, study)])
    assert best is not None  # the baseline itself, at least
    return Contest(study, rows, baseline, best, _difference(study, baseline, best))


def _is_nowhere_worse(row: Row, other: Row, study: StudyRecord) -> bool:
    pairs = zip(study.terms.objectives, row.values, other.values, strict=False)  # no values: of one objective alone
    return all(
        value is not None and (value == limit or (limit is not None and objective.is_better(value, limit)))
        for objective, value, limit in list(pairs)[1:]
    )


def _difference(study: StudyRecord, baseline: Row, best: Row) -> Pair | None:
    if baseline is best:
        return None
    parts = [
        replace(study, name=name, trials=trials_of(study, row))
        for name, row in (("best", best), ("baseline", baseline))
    ]
    (pair,) = comparison.compare(parts).pairs
    if pair.difference is None or pair.first == "best":
        return pair
    interval = None if pair.interval is None else (-pair.interval[1], -pair.interval[0])
    return replace(pair, first="best", second="baseline", difference=-pair.difference, interval=interval)


def trials_of(study: StudyRecord, row: Row) -> tuple[TrialRecord, ...]:
    """Return the trials of a configuration, in the order of their numbers."""
    return tuple(trial for trial in study.trials if trial.number in row.trials)


def shown_trial(study: StudyRecord, row: Row) -> TrialRecord | None:
    """Return the trial of a configuration whose pictures are shown: the last of its seeds that has any.

    A search chooses by the first seed, so the last one of several shows what the configuration draws, not why it won.
    """
    return next((trial for trial in reversed(trials_of(study, row)) if trial.pictures), None)


def scores(study: StudyRecord, row: Row) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Return the mean of each validation score over a configuration's seeds, and of each test score, by their names
    without `val_` and `test_`."""
    trials = trials_of(study, row)
    tested = [trial.tested.metrics for trial in trials if trial.tested is not None and trial.tested.metrics]
    validation = encodings.means([trial.metrics for trial in trials])
    test = encodings.means(tested) if tested else {}
    return _stripped(validation, "val_"), _stripped(test, "test_")


def _stripped(metrics: Mapping[str, float], start: str) -> dict[str, float]:
    return {name.removeprefix(start): value for name, value in metrics.items() if name.startswith(start)}


def agreements(study: StudyRecord, metric: str, others: Sequence[str]) -> Iterator[tuple[str, float, int]]:
    """Yield for each other score its rank correlation with one score over the trials that have both, and their number.

    Both scores are worse where they are larger. Fewer than five trials say nothing.
    """
    from scipy.stats import spearmanr

    ended = [trial for trial in study.trials if trial.state in ("complete", "stopped")]
    for other in others:
        both = [trial for trial in ended if {metric, other} <= trial.metrics.keys()]
        if len(both) >= 5:
            columns = [[trial.metrics[name] for trial in both] for name in (metric, other)]
            yield other, float(spearmanr(*columns).statistic), len(both)

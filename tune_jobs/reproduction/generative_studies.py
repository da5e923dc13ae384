"""A study of generative networks: its scores, the pictures that are shown, and how far scores agree, from its record
alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tune_jobs.leaderboard import encodings
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.reproduction.contests import trials_of
from tune_jobs.reproduction.reported import task_of
from tune_jobs.search_spaces.catalog import TASKS

GENERATIVE_TASKS = tuple(task for task in TASKS if getattr(task.build, "__module__", "").find(".generative.") > 0)


def is_generative(study: StudyRecord) -> bool:
    """Return True for a study of a task of the catalogue whose networks make pictures."""
    return task_of(study) in GENERATIVE_TASKS


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

"""A study's baseline against the best configuration that it found, from its record alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tune_jobs.leaderboard import comparison, fronts, ranking
from tune_jobs.leaderboard.comparison import Pair
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.reproduction.reported import ABSENT, budget, ranked_rows, task_of
from tune_jobs.search_spaces.scalars import Value, params_id, text


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


def how(study: StudyRecord) -> str:
    """Return the data, the trials, the search with its scheduler and the budget of a study, in words.

    A search that has not run all the trials that it was given is said to be unfinished.
    """
    parts = [f"`{study.terms.dataset}`", ranking.summary(study.trials).words()]
    launch, ended = study.launch, sum(trial.is_finished for trial in study.trials)
    if launch is not None:
        parts.append(launch.search + ("" if launch.scheduling.name == "none" else f" with {launch.scheduling.name}"))
        if launch.trials is not None and ended < launch.trials:
            parts.append(f"**unfinished: {ended} of {launch.trials} trials**")
    return ", ".join([*parts, f"budget: {budget(study)}"])


def changes(contest: Contest) -> str:
    """Say in which parameters the best differs from the baseline; nothing where it is the baseline."""
    changed = [f"{name} {value_text(old)} → {value_text(new)}" for name, (old, new) in contest.changes.items()]
    return f"From the baseline to the best: {', '.join(changed)}." if changed else ""


def value_text(value: Value | None) -> str:
    """Return a parameter's value as a page shows it: numbers with four digits, `-` for None."""
    if value is None:
        return ABSENT
    return f"{value:.4g}" if isinstance(value, float) else text(value)

"""A study that goes on with another space, or as a new version, because its scores mean something else from then on."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from tune_jobs.execution.plan import StudyInputs
from tune_jobs.leaderboard import ranking
from tune_jobs.records.studies import Change, StudyRecord
from tune_jobs.search.fitting import Fit, fitted
from tune_jobs.search_spaces import fitting
from tune_jobs.search_spaces.moving import transfer_params
from tune_jobs.search_spaces.scalars import Params, SpaceError
from tune_jobs.study.terms import difference
from tune_jobs.words import Say


def is_new_version(before: StudyRecord | None, inputs: StudyInputs) -> bool:
    """Return True if a launch with these inputs would make a new version of the study."""
    return before is not None and difference(before.terms, inputs.terms) is not None


def fit_of(record: StudyRecord, inputs: StudyInputs) -> Fit | None:
    """Return how trials fit the study's space; None where it had no other in this version."""
    if not record.spaces:
        return None
    return partial(fitting.fitted, inputs.space, defaults=fitting.defaults(inputs.task))


def best_before(before: StudyRecord, inputs: StudyInputs, top: int) -> list[Params]:
    """Return the best configurations of the version before, the best first, without those that the task has no more."""
    rows = ranking.finalists(ranking.rank(before.trials, before.terms.objective, before.constraints), top)
    points: list[Params] = []
    for row in rows:
        with suppress(SpaceError):
            points.append(transfer_params(inputs.task, row.params, f"place {row.rank}"))
    return points


def say_change(change: Change, before: StudyRecord, now: StudyRecord, inputs: StudyInputs, say: Say) -> None:
    """Say what has changed of a study, and what that means for the trials that it has."""
    n = len(before.trials)
    if change.is_version:
        say(
            f"study {now.name} goes on as version {now.version} ({change.why}): {change.what}. Its {n} trials of "
            f"version {before.version} are not compared with new ones; "
            f"`tune-jobs leaderboard {now.name} --version {before.version}` has them"
        )
        return
    fit = fit_of(now, inputs)
    n_fit = n if fit is None else len(fitted(before.trials, fit))
    say(f"study {now.name} goes on, and {change.what} has changed: {n_fit} of its {n} trials fit and teach the search")

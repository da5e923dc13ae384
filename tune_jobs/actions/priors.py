"""What a study takes over from another: all of its trials as prior knowledge, or its best ones to begin with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from tune_jobs.errors import StudyError, UserError
from tune_jobs.execution.plan import StudyInputs
from tune_jobs.leaderboard import ranking
from tune_jobs.records import priors
from tune_jobs.records.constraints import is_untrained
from tune_jobs.records.priors import Prior, PriorTrial
from tune_jobs.records.studies import Search, StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search import samplers
from tune_jobs.search.fitting import fitted
from tune_jobs.search_spaces import fitting
from tune_jobs.search_spaces.moving import transfer_params
from tune_jobs.search_spaces.scalars import Params, Value
from tune_jobs.search_spaces.task import Task
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.words import Say

NONE = "none"  # in place of a study's name: what was taken over is forgotten
BEST = 5  # configurations, where a search cannot learn from the rest
_LEAST = 3  # trials with a score, from which a model can be made


def check(seed_from: str | None, best: int | None) -> None:
    """Check that a number of best configurations goes with the study that they are of.

    Raises:
        UserError: it does not.
    """
    if best is not None and seed_from in (None, NONE):
        raise UserError("--seed-from-best N says how many of the study of --seed-from come first: name the study")


def asked(
    name: str | None,
    best: int | None,
    begun: StudyRecord | None,
    inputs: StudyInputs,
    search: Search,
    settings: Settings,
    say: Say,
) -> Prior | None:
    """Return what a study takes over from the study `name` of the same or another task; without a name, what it took
    over before.

    A study that has the trials of `name` already keeps its copy: the other one may have grown since, or be gone.

    Raises:
        StudyError: there is no such study, or it has nothing that helps here.
        SpaceError: one of the best configurations does not belong to the task.
    """
    before = begun.prior if begun else None
    if name is None or name == NONE:
        return before if name is None else None
    if best is None and not samplers.learns_from_prior(search, inputs.further):
        best = BEST
        why = "several objectives" if inputs.further else f"--search {search}"
        say(f"{why} cannot learn from another study: its best {best} configurations come first")
    if before is not None and (before.study, before.best) == (name, best):
        return before
    record = Study.open(name, settings).record()
    prior = _whole(record) if best is None else _best(record, best)
    _say_use(prior, inputs, say)
    return prior


def first(prior: Prior | None, inputs: StudyInputs) -> list[Params]:
    """Return the configurations that come first, as points of the task: as many of the best as are asked for, or the
    best one of those to learn from.

    Raises:
        SpaceError: one of them does not belong to the task.
    """
    if prior is None:
        return []
    if prior.best is None:
        return _best_known(prior, inputs)
    return [
        transfer_params(inputs.task, trial.params, f"place {place} of study {prior.study!r}")
        for place, trial in enumerate(prior.trials, start=1)
    ]


def known(prior: Prior | None, inputs: StudyInputs) -> tuple[TrialRecord, ...]:
    """Return the trials to learn from, those that are points of the study's space."""
    if prior is None or prior.best is not None:
        return ()
    fit = partial(fitting.overlapping, inputs.space, defaults=_defaults(inputs.task))
    return fitted(priors.records(prior, inputs.task.objective), fit)


def _best_known(prior: Prior, inputs: StudyInputs) -> list[Params]:
    sign = -1 if inputs.task.objective.direction == "maximize" else 1
    complete = [trial for trial in known(prior, inputs) if trial.state == "complete" and trial.score is not None]
    return [min(complete, key=lambda trial: sign * (trial.score or 0.0)).params] if complete else []


def _defaults(task: Task) -> Mapping[str, Value]:
    """Return what a parameter has that the other task lacks: its value in the baseline, else its function's default."""
    return {**fitting.defaults(task), **task.baseline}


def _whole(record: StudyRecord) -> Prior:
    trials = tuple(
        PriorTrial(trial.params, trial.state, trial.score)  # type: ignore[arg-type]
        for trial in record.searched
        if trial.is_finished and not is_untrained(trial)
    )
    return Prior(record.name, record.identity, record.terms.objective, trials)


def _best(record: StudyRecord, top: int) -> Prior:
    rows = ranking.finalists(ranking.rank(record.trials, record.terms.objective, record.constraints), top)
    if not rows:
        raise StudyError(f"study {record.name!r} has nothing to begin with: {record.no_result}")
    trials = tuple(PriorTrial(row.params, "complete", row.score) for row in rows)
    return Prior(record.name, record.identity, record.terms.objective, trials, top)


def _say_use(prior: Prior, inputs: StudyInputs, say: Say) -> None:
    """Say how much of another study helps here.

    Raises:
        StudyError: too little of it does.
    """
    if prior.best is not None:
        return
    fit = known(prior, inputs)
    n_scores = sum(trial.state == "complete" for trial in fit)
    if n_scores < _LEAST:
        raise StudyError(
            f"study {prior.study!r} teaches nothing here: {n_scores} of its {len(prior.trials)} trials are complete "
            f"and points of this space, and {_LEAST} are needed; --seed-from-best {BEST} runs its best ones"
        )
    n = len(prior.trials)
    say(f"{len(fit)} of {n} trials of study {prior.study} are points of this space and teach the search")

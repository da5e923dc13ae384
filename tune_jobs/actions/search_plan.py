"""What is left to run of a launch: who proposes its trials, what comes first, and whether it is at its end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tune_jobs.actions import growing, priors
from tune_jobs.execution.plan import Plan, StudyInputs
from tune_jobs.records.constraints import is_untrained, still_counts
from tune_jobs.records.studies import Budget, Launch, Search, StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search import budgets, candidates, samplers, schedulers, warm_starts
from tune_jobs.search.enqueued import EnqueuedSampler
from tune_jobs.search.fitting import Fit, FittedSampler, fitted
from tune_jobs.search_spaces.narrowing import open_all
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.scalars import Params, params_id
from tune_jobs.study.enqueued import waiting
from tune_jobs.study.study import Study
from tune_jobs.words import Say

LISTS: tuple[Search, ...] = ("baseline", "reported")  # of configurations that the task itself names
_UNCOUNTED = 10**12  # trials
_Points = Callable[[], Sequence[Params]]


def make_plan(
    study: Study, inputs: StudyInputs, now: Launch, first: list[candidates.Candidate], say: Say
) -> Plan | None:
    """Return what is left to run, or None, with a message on why, if nothing is."""
    unfinished = study.unfinished()  # before the record: it settles trials that a crash left with their result
    record = study.record()
    if unfinished:
        say(f"study {study.name}: {len(unfinished)} of {len(record.trials)} trials did not finish and run again")
    points = _enqueued(study, inputs, say)
    if now.search in LISTS:
        plan, done = _listed(record, inputs, now.search, points)
    else:
        plan, done = _searched(record, inputs, now, first, points)
    if done and not unfinished and not (plan.enqueued and plan.enqueued.has_enqueued(now=True)):
        say(done)
        return None
    return plan


def _enqueued(study: Study, inputs: StudyInputs, say: Say) -> _Points:
    """Return a function that returns the points that users handed to the study, those of this task alone."""
    whole = open_all(inputs.task.space)
    enqueued = study.enqueued()
    misfits = [wrong for point in enqueued if (wrong := whole.why_not(point)) is not None]
    if misfits:
        say(f"study {study.name}: {len(misfits)} of its enqueued points do not belong to the task now: {misfits[0]}")
    if n := len(enqueued) - len(misfits):
        say(f"study {study.name}: {n} enqueued {'points come' if n > 1 else 'point comes'} first")
    return lambda: [point for point in study.handed if whole.why_not(point) is None]


def _listed(record: StudyRecord, inputs: StudyInputs, search: Search, points: _Points) -> tuple[Plan, str | None]:
    """Return the plan to run configurations that the task itself names, and a message if all were run."""
    named = [inputs.task.baseline]
    if search == "reported":
        named += [reported.params for reported in inputs.task.reported if reported.params is not None]
    wanted = {params_id(point): candidates.Candidate(point, inputs.seed) for point in named}
    missing = wanted.keys() - {trial.params_id for trial in record.trials}
    done = None if missing else f"study {record.name} has run its task's {search}{' ones' * (search == 'reported')}"
    listed = candidates.ListSampler(wanted.values(), record.trials)
    sampler = EnqueuedSampler(points, listed, inputs.seed, record.trials)
    return Plan(sampler, None, len(record.trials) + len(missing), enqueued=sampler), done


def _searched(
    record: StudyRecord, inputs: StudyInputs, now: Launch, first: list[candidates.Candidate], points: _Points
) -> tuple[Plan, str | None]:
    """Return the plan of a search, and a message if it is at its end."""
    searched = tuple(trial for trial in record.searched if still_counts(trial, inputs.constraints))
    fit = growing.fit_of(record, inputs)
    known = searched if fit is None else fitted(searched, fit)
    search = _search(inputs, now, known, fit, priors.known(record.prior, inputs))
    if first:
        search = warm_starts.WarmStartSampler(first, search, searched)
    sampler = EnqueuedSampler(points, search, inputs.seed, searched)
    bounded = _bounded(sampler, record, inputs, now)
    trained = [trial for trial in searched if not is_untrained(trial)]
    total = _total(inputs.space, now, [trial.params for trial in trained] + [candidate.params for candidate in first])
    if total is not None:
        n_first = len(trained) + len(waiting(points(), (trial.params_id for trial in searched)))
        total = max(total, n_first) + len(record.trials) - len(record.searched)
    scheduling, task = now.scheduling, inputs.task
    judge = schedulers.make_scheduler(scheduling, task.objective, task.protocol, searched, images=inputs.n_images)
    compare_every = scheduling.grace if scheduling.name == "pbt" else None
    rungs = schedulers.image_rungs(scheduling, inputs.n_images)
    plan = Plan(bounded or sampler, now.trials, total, judge, bounded, compare_every, sampler, rungs)
    n_inside = sum(inputs.space.why_not(trial.params) is None for trial in known)  # what was transferred may be outside
    return plan, _end(record.name, len(trained), n_inside, inputs.space, now, bounded)


def _search(
    inputs: StudyInputs, now: Launch, known: tuple[TrialRecord, ...], fit: Fit | None, prior: tuple[TrialRecord, ...]
) -> candidates.Sampler:
    """Return the search as it is after the trials that it may know; `prior` are those of another study."""
    search = samplers.make_sampler(
        now.search,
        inputs.space,
        inputs.task.objective,
        inputs.seed,
        known,
        further_objectives=inputs.further,
        constraints=inputs.constraints,
        prior=prior,
    )
    return search if fit is None else FittedSampler(search, fit)


def _bounded(
    sampler: candidates.Sampler, record: StudyRecord, inputs: StudyInputs, now: Launch
) -> budgets.BudgetedSampler | None:
    """Return the sampler with what may end it before its number of trials; None if nothing may."""
    limits, has_folds = inputs.constraints, inputs.task.protocol.folds is not None
    if now.budget == Budget() and not limits:
        return None
    counted = tuple(trial for trial in record.trials if still_counts(trial, limits))
    return budgets.BudgetedSampler(sampler, now.budget, inputs.task.objective, counted, limits, has_folds=has_folds)


def _total(space: AnySpace, now: Launch, known: Sequence[Params]) -> int | None:
    """Return how many trials the search comes to: no more than its space has, beside what is known outside of it. None
    if there are more than anybody can count down."""
    if space.size is None:
        return now.trials
    outside = {params_id(params) for params in known if space.why_not(params) is not None}
    total = min(space.size + len(outside), now.trials or math.inf)
    return int(total) if total < _UNCOUNTED else None


def _end(
    name: str,
    n_trained: int,
    n_inside: int,
    space: AnySpace,
    now: Launch,
    bounded: budgets.BudgetedSampler | None,
) -> str | None:
    """Return why the search is at its end; None while it is not."""
    if now.trials is not None and n_trained >= now.trials:
        return f"study {name} has its {n_trained} trials; --trials asks for more"
    if space.size is not None and n_inside >= space.size:
        return f"study {name} has tried all {space.size} configurations of its space"
    if bounded is not None and bounded.end_reason is not None:
        return f"study {name}: {bounded.end_reason}"
    return None

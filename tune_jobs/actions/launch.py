"""The main job: from a task's name to a study with its trials run, its MLflow view delivered and its exports written.

Everything that can be refused is refused here, before Ray starts and before anything is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tune_jobs import datasets, tracking
from tune_jobs.actions import session
from tune_jobs.actions.session import Outcome
from tune_jobs.errors import StudyError, UserError
from tune_jobs.execution.plan import Plan, Resources, StudyInputs
from tune_jobs.leaderboard import ranking
from tune_jobs.records import objectives
from tune_jobs.records.studies import (
    SCHEDULERS,
    AskedSearch,
    Budget,
    Launch,
    SchedulerName,
    Scheduling,
    Search,
    StudyRecord,
)
from tune_jobs.search import auto, budgets, candidates, samplers, schedulers, warm_starts
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.moving import transfer_params
from tune_jobs.search_spaces.narrowing import narrow, open_all, open_parameters
from tune_jobs.search_spaces.one_factor import space_from_json
from tune_jobs.search_spaces.protocol import Objective, Precision
from tune_jobs.search_spaces.scalars import Params, params_id
from tune_jobs.search_spaces.task import Task
from tune_jobs.settings import Settings
from tune_jobs.study import provenance
from tune_jobs.study.study import Study
from tune_jobs.words import Say

DEFAULT_SEARCH: Search = "tpe"
DEFAULT_TRIALS = 20  # of a search that could go on for ever; a grid runs to its end
_GENERATIONS = 8  # of a population, where nobody says how often its members are compared
_LISTS: tuple[Search, ...] = ("baseline", "reported")  # of configurations that the task itself names


@dataclass(frozen=True)
class LaunchRequest:
    """What a user asked for. None is 'not said': the study's own value where there is one already, else the default."""

    task: str
    study: str | None = None
    trials: int | None = None
    search: AskedSearch | None = None
    epochs: int | None = None
    images: int | None = None
    precision: Precision | None = None
    deterministic: bool | None = None
    seed: int | None = None
    narrowed: Mapping[str, str] = field(default_factory=dict)
    opened: tuple[str, ...] = ()
    no_baseline: bool = False  # else the task's baseline is the first trial of a study
    objectives: tuple[str, ...] = ()  # as `objectives.asked` takes them; the task's own where there are none
    tried: Path | None = None  # a file of configurations to begin with
    seed_from: str | None = None  # a study whose best configurations to begin with
    scheduler: SchedulerName | None = None
    grace: int | None = None
    eta: int | None = None
    total_epochs: int | None = None
    stop_when_flat: int | None = None
    resources: Resources = field(default_factory=Resources)


def launch(request: LaunchRequest, settings: Settings, say: Say) -> Outcome:
    """Begins or continues a study and runs it until its trials are done, its time is up or a signal ends it.

    Raises:
        UserError, TaskError, SpaceError: for what the user has to mend; nothing was run then.
    """
    task = catalog.find(request.task)
    name = request.study or task.name
    settings.prepare()
    tracking.check(settings)
    with Study.hold(name, settings) as study:
        begun = study.record() if study.has_begun else None
        if begun is not None and (changed := provenance.changed_versions(begun.launch)):
            say(f"study {name} was last run with {changed}: the last digits of scores may differ")
        work = resolve(task, request, begun, settings)
        search, trials = _search(request, begun, work, say)
        samplers.check(search, work.space, work.further)
        first = _first(request, search, begun, work, settings, say)
        schedule = _scheduling(request, search, work, begun)
        session.check(work.task, request.resources, is_population=schedule.name == "pbt" and search not in _LISTS)
        study.begin(work.terms)
        now = replace(provenance.note(search, trials), scheduling=schedule, budget=_budget(request, begun))
        study.note_launch(now)
        plan = _plan(study, work, now, first, say)
        outcome = session.run(study, work, plan, request.resources, settings, say)
        if plan is not None and plan.bounded is not None and plan.bounded.spent is not None:
            say(f"no further trial began: {plan.bounded.spent}")
        return outcome


def extend(name: str, trials: str, resources: Resources, settings: Settings, say: Say) -> Outcome:
    """Continues a study up to more trials: `trials` in all, or with a plus so many more than were asked for last.

    A study that lacks trials it was to have gets these alone, so that the same command again does not add twice.

    Raises:
        UserError, TaskError, SpaceError: as `launch`; fewer trials are asked for than the study has.
    """
    record = Study.open(name, settings).record()
    had = len(record.searched)
    asked = record.launch.trials if record.launch and record.launch.trials else had
    total = asked + int(trials) if trials.startswith("+") else int(trials)
    if trials.startswith("+") and had < asked:
        say(f"study {name} has {had} of its {asked} trials: these first, then the same command adds {trials[1:]}")
        total = asked
    if total < had:
        raise StudyError(
            f"study {name!r} has {had} trials already, and {total} in all are asked for: --trials +N adds some"
        )
    catalog.find_said(record.terms.reference, f"study {name!r}")
    request = LaunchRequest(task=record.terms.reference, study=name, trials=total, resources=resources)
    return launch(request, settings, say)


def resolve(task: Task, request: LaunchRequest, begun: StudyRecord | None, settings: Settings) -> StudyInputs:
    """Fills in what was not said: from the study where it was begun already, else from the task."""
    space = task.space if begun is None else space_from_json(begun.terms.space)
    if begun is None or request.narrowed or request.opened:
        space = narrow(open_parameters(task.space, request.opened), request.narrowed)
    protocol = task.protocol if begun is None else begun.terms.protocol
    settable = ("epochs", "images", "precision", "deterministic")
    asked = {name: getattr(request, name) for name in settable if getattr(request, name) is not None}
    protocol = replace(protocol, **asked)
    first, *further = _objectives(task, request, begun)
    seed = request.seed if request.seed is not None else (begun.terms.seed if begun else 0)
    trained = replace(task, protocol=protocol, objective=first)
    data = datasets.load_for_task(trained, settings.data_dir).training
    return StudyInputs(trained, task.digest(), request.task, space, seed, data, tuple(further))


def _objectives(task: Task, request: LaunchRequest, begun: StudyRecord | None) -> tuple[Objective, ...]:
    if request.objectives:
        return objectives.asked(request.objectives, task)
    return (task.objective,) if begun is None else begun.terms.objectives


def resumed(study: Study, settings: Settings) -> StudyInputs:
    """The work of a study as it was begun, for those who add to it.

    Raises:
        UserError, TaskError: the task or its data are not there or not what they were; the study was never begun.
    """
    if not study.has_begun:
        raise StudyError(f"no study named {study.name!r}. `tune-jobs studies` lists all")
    record = study.record()
    task = catalog.find_said(record.terms.reference, f"study {study.name!r}")
    work = resolve(task, LaunchRequest(task=record.terms.reference), record, settings)
    study.begin(work.terms)
    return work


def _search(
    request: LaunchRequest, begun: StudyRecord | None, work: StudyInputs, say: Say
) -> tuple[Search, int | None]:
    """The search and its number of trials; a study in which a task's own were run has no search of its own yet."""
    last = begun.launch if begun and begun.launch and begun.launch.search not in _LISTS else None
    trials = request.trials or (last.trials if last else None)
    if request.search == "auto":
        search, why = auto.pick_search(work.space, trials or DEFAULT_TRIALS, has_several=bool(work.further))
        if last:
            search, why = last.search, "the study was begun with it"
        say(f"search: {search}, for {why}")
    else:
        search = request.search or (last.search if last else DEFAULT_SEARCH)
    if trials is None and search != "grid" and search not in _LISTS:
        trials = DEFAULT_TRIALS
    return search, trials


def _first(
    request: LaunchRequest, search: Search, begun: StudyRecord | None, work: StudyInputs, settings: Settings, say: Say
) -> list[candidates.Candidate]:
    """What the search is to begin with: the task's baseline, the user's own configurations, the best of another study.

    A study that has trials goes on as it was begun, with its baseline or without.

    Raises:
        UserError, SpaceError: the file or the study is not there, or does not belong to the task; the search is a list.
    """
    if search in _LISTS:
        if request.tried or request.seed_from or request.no_baseline:
            given = "--try, --seed-from and --no-baseline are about what a search begins with"
            raise UserError(f"{given}; --search {search} has a list of its own")
        return []
    points: list[Params] = []
    if not (request.no_baseline or (begun and begun.trials)):
        # a grid is its own points; elsewhere the baseline may well have another value of what is only held
        space = work.space if search == "grid" else open_all(work.space)
        outside = space.why_not(work.task.baseline)
        if outside is None:
            points.append(work.task.baseline)
        else:
            say(f"without the task's baseline, which is outside this space: {outside}")
    if request.tried is not None:
        points += warm_starts.from_file(request.tried, work.task)
    if request.seed_from is not None:
        points += from_study(request.seed_from, work.task, settings)
    return [candidates.Candidate(point, work.seed) for point in points]


def _scheduling(request: LaunchRequest, search: Search, work: StudyInputs, begun: StudyRecord | None) -> Scheduling:
    """Who stops trials early: what was said, else as the study was run last.

    Raises:
        UserError: it has nothing to decide, or the search is a list, whose trials all run to their end.
    """
    last = begun.launch.scheduling if begun and begun.launch else Scheduling()
    name = request.scheduler or last.name
    if name == "none":
        if request.grace or request.eta:
            names = ", ".join(one for one in SCHEDULERS if one != "none")
            raise UserError(f"--grace and --eta are a scheduler's: say which with --scheduler ({names})")
        return Scheduling()
    if search in _LISTS:
        if request.scheduler:
            raise UserError(f"--search {search} runs every trial to its end: leave out --scheduler {name}")
        return last
    eta, epochs = request.eta or last.eta, work.task.protocol.epochs
    usual = max(1, epochs // (_GENERATIONS if name == "pbt" else eta**3))
    grace = request.grace or (last.grace if last.name == name else usual)
    found = Scheduling(name, grace, eta)
    schedulers.scheduler(found, work.task.objective, epochs, ())
    return found


def _budget(request: LaunchRequest, begun: StudyRecord | None) -> Budget:
    last = begun.launch.budget if begun and begun.launch else Budget()
    return Budget(request.total_epochs or last.epochs, request.stop_when_flat or last.flat)


def _plan(study: Study, work: StudyInputs, now: Launch, first: list[candidates.Candidate], say: Say) -> Plan | None:
    """What is left to run; None where nothing is, with a word on why."""
    unfinished = study.unfinished()  # first, for it settles trials that a crash left with their result
    record = study.record()
    if unfinished:
        say(f"study {study.name}: {len(unfinished)} of {len(record.trials)} trials did not finish and run again")
    if now.search in _LISTS:
        plan, done = _listed(record, work, now.search)
    else:
        plan, done = _searched(record, work, now, first)
    if done and not unfinished:
        say(done)
        return None
    return plan


def _listed(record: StudyRecord, work: StudyInputs, search: Search) -> tuple[Plan, str | None]:
    """The plan to run configurations that the task itself names, and a word where all were."""
    points = [work.task.baseline]
    if search == "reported":
        points += [reported.params for reported in work.task.reported if reported.params is not None]
    wanted = {params_id(point): candidates.Candidate(point, work.seed) for point in points}
    missing = wanted.keys() - {trial.params_id for trial in record.trials}
    done = None if missing else f"study {record.name} has run its task's {search}{' ones' * (search == 'reported')}"
    return Plan(candidates.ListSampler(wanted.values(), record.trials), None, len(record.trials) + len(missing)), done


def _searched(
    record: StudyRecord, work: StudyInputs, now: Launch, first: list[candidates.Candidate]
) -> tuple[Plan, str | None]:
    """The plan of a search, and a word where it is at its end."""
    searched, others = record.searched, len(record.trials) - len(record.searched)
    inside = sum(work.space.why_not(trial.params) is None for trial in searched)  # what was transferred may be outside
    objective, size = work.task.objective, work.space.size
    sampler = samplers.sampler(now.search, work.space, objective, work.seed, searched, further=work.further)
    if first:
        sampler = warm_starts.WarmStartSampler(first, sampler, searched)
    bounded = budgets.BudgetedSampler(sampler, now.budget, objective, record.trials) if now.budget != Budget() else None
    done = None
    if now.trials is not None and len(searched) >= now.trials:
        done = f"study {record.name} has its {len(searched)} trials; --trials asks for more"
    elif size is not None and inside >= size:
        done = f"study {record.name} has tried all {size} configurations of its space"
    elif bounded is not None and bounded.spent is not None:
        done = f"study {record.name}: {bounded.spent}"
    total = size if now.trials is None else now.trials
    judge = schedulers.scheduler(now.scheduling, objective, work.task.protocol.epochs, searched)
    every = now.scheduling.grace if now.scheduling.name == "pbt" else None
    plan = Plan(bounded or sampler, now.trials, None if total is None else total + others, judge, bounded, every)
    return plan, done


def from_study(name: str, task: Task, settings: Settings) -> list[Params]:
    """The best configurations of another study, the best first, as points of this task.

    Raises:
        StudyError: there is no such study, or nothing in it is complete.
        SpaceError: one of them does not belong to the task.
    """
    record = Study.open(name, settings).record()
    rows = ranking.finalists(ranking.rank(record.trials, record.terms.objective), BEST)
    if not rows:
        raise StudyError(f"study {name!r} has nothing to begin with: none of its trials is complete")
    return [transfer_params(task, row.params, f"place {row.rank} of study {name!r}") for row in rows]


BEST = 5  # of another study, to begin with

"""Launch a study: from a task's name to trials run, delivered to MLflow and exported.

Everything that can be refused is refused here, before Ray starts and before anything is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tune_jobs.actions import growing, priors, session
from tune_jobs.actions.search_plan import LISTS, make_plan
from tune_jobs.actions.session import Outcome
from tune_jobs.datasets.progress import silent
from tune_jobs.errors import UserError
from tune_jobs.execution.plan import Conditions, Resources, StudyInputs, check_counts
from tune_jobs.models.plain_values import make_plain
from tune_jobs.records import constraints, objectives
from tune_jobs.records.priors import Prior
from tune_jobs.records.studies import (
    RESOURCES,
    SCHEDULERS,
    SEARCHES,
    AskedSearch,
    Budget,
    Launch,
    Resource,
    SchedulerName,
    Scheduling,
    Search,
    StudyRecord,
    StudyTerms,
)
from tune_jobs.search import auto, candidates, samplers, schedulers, warm_starts
from tune_jobs.search_spaces import digests
from tune_jobs.search_spaces.narrowing import narrow, open_all, open_parameters
from tune_jobs.search_spaces.protocol import DEFAULT_VALIDATION, Precision, Protocol
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.search_spaces.spelling import near
from tune_jobs.search_spaces.task import Task
from tune_jobs.settings import Settings
from tune_jobs.study import provenance
from tune_jobs.words import Say

DEFAULT_SEARCH: Search = "tpe"
DEFAULT_TRIALS = 20  # of a search that has no end of its own, as a grid has
_BEST = 5  # configurations of the version before to begin with
_GENERATIONS = 8  # of a population whose comparisons the user did not space


@dataclass(frozen=True)
class LaunchRequest:
    """What a user asks for. None means the value the study has already, else the default.

    Raises:
        UserError: a number that cannot be, or a search or scheduler that does not exist.
    """

    task: str
    study: str | None = None
    trials: int | None = None
    search: AskedSearch | None = None
    epochs: int | None = None
    images: int | None = None
    precision: Precision | None = None
    deterministic: bool | None = None
    portable: bool | None = None
    folds: int | None = None  # in place of one part for validation
    seed: int | None = None
    narrowed: Mapping[str, str] = field(default_factory=dict)
    opened: tuple[str, ...] = ()
    no_baseline: bool = False  # do not begin the study with the task's baseline
    objectives: tuple[str, ...] = ()  # in the form that `objectives.parse` reads; empty: the task's own
    accept_change: str | None = None  # why scores may mean something else from now on
    constraints: tuple[str, ...] = ()  # in the form that `constraints.parse` reads; empty: as the study was last run
    tried: Path | Sequence[Params] | None = None  # configurations to begin with, or a file of them
    seed_from: str | None = None  # a study to learn from; "none": from no other
    seed_from_best: int | None = None  # run only so many of its best configurations first
    scheduler: SchedulerName | None = None
    grace: int | None = None
    eta: int | None = None
    resource: Resource | None = None  # what a scheduler gives trials more and more of
    total_epochs: int | None = None
    stop_when_flat: int | None = None
    data: str | None = None  # the name of a data set in place of the task's own
    with_paths: tuple[Path, ...] = ()  # what goes with the task's file, beside what lies there
    resources: Resources = field(default_factory=Resources)

    def __post_init__(self) -> None:
        make_plain(self)
        check_counts(1, trials=self.trials, grace=self.grace, stop_when_flat=self.stop_when_flat)
        check_counts(1, seed_from_best=self.seed_from_best)
        priors.check(self.seed_from, self.seed_from_best)
        check_counts(1, epochs=self.epochs, images=self.images, total_epochs=self.total_epochs)
        check_counts(2, eta=self.eta, folds=self.folds)
        check_counts(0, seed=self.seed)
        _check_name("search", self.search, (*SEARCHES, "auto"))
        _check_name("scheduler", self.scheduler, SCHEDULERS)
        _check_name("resource", self.resource, RESOURCES)


def _check_name(kind: str, name: str | None, names: tuple[str, ...]) -> None:
    if name is not None and name not in names:
        raise UserError(f"no {kind} named {name!r}{near(name, names)}; there are {', '.join(names)}")


@dataclass(frozen=True)
class _Launching:
    """A request with all that is known when it is decided on: the study as it was begun, if it was, and its inputs."""

    request: LaunchRequest
    begun: StudyRecord | None
    inputs: StudyInputs
    settings: Settings
    say: Say

    @property
    def last(self) -> Launch | None:
        """How the study was last run."""
        return self.begun.launch if self.begun else None

    @property
    def is_new_version(self) -> bool:
        return growing.is_new_version(self.begun, self.inputs)


def launch(request: LaunchRequest, settings: Settings, say: Say) -> Outcome:
    """Begin or continue a study and run it until its trials are done, its time is up or a signal ends it.

    Raises:
        UserError, TaskError, SpaceError: for what the user has to mend; nothing was run then.
    """
    task = session.find_task(request.task, session.absolute(request.with_paths))
    name = request.study or task.name
    with session.hold(name, settings, say) as held:
        begun = held.study.record() if held.study.has_begun else None
        if begun is not None and (changed := provenance.changed_versions(begun.launch)):
            say(f"study {name} was last run with {changed}: the last digits of scores may differ")
        inputs = resolve(task, request, begun, settings, say)
        launching = _Launching(request, begun, inputs, settings, say)
        search, trials = _search(launching)
        samplers.check_search(search, inputs.space, inputs.further)
        prior = _prior(launching, search)
        first = _first(launching, search, prior)
        scheduling = _scheduling(launching, search)
        is_population = scheduling.name == "pbt" and search not in LISTS
        session.check(inputs.task, request.resources, is_population=is_population)
        change = held.study.begin(inputs.terms, request.accept_change or "")
        if begun is not None and change is not None:
            growing.say_change(change, begun, held.study.record(), inputs, say)
        if begun is not None:
            session.say_changed_code(begun, inputs, say)
        now = replace(session.launch_note(search, trials, inputs), scheduling=scheduling, budget=_budget(launching))
        held.study.note_launch(now)
        if prior != (begun.prior if begun else None):
            held.study.note_prior(prior)
        plan = make_plan(held.study, inputs, now, first, say)
        outcome = held.run(inputs, plan, request.resources)
        if plan is not None and plan.bounded is not None and plan.bounded.end_reason is not None:
            say(f"no further trial began: {plan.bounded.end_reason}")
        return outcome


def resolve(
    task: Task, request: LaunchRequest, begun: StudyRecord | None, settings: Settings, say: Say = silent
) -> StudyInputs:
    """Fill in what the request leaves open: from the study where it was begun already, else from the task.

    Raises:
        UserError, SpaceError: if the request does not fit the task, or its data cannot be had.
    """
    terms = None if begun is None else begun.terms
    first = Conditions(task.space, task.protocol, task.objectives, 0, declared=digests.of_space(task.space))
    before = first if terms is None else Conditions.of(terms)
    if terms is not None and request.accept_change and not _is_same_task(task, terms):
        before = replace(before, protocol=task.protocol, objectives=task.objectives)
    conditions = replace(
        _with_space(task, request, before),
        protocol=_protocol(task, request, before),
        objectives=objectives.parse(request.objectives, task) if request.objectives else before.objectives,
        seed=before.seed if request.seed is None else request.seed,
        given_data=_given_data(task, request, before),
    )
    limits = constraints.parse(request.constraints)
    also = session.absolute(request.with_paths)
    inputs = session.study_inputs(task, request.task, conditions, settings, begun, say, also)
    if request.accept_change and growing.is_new_version(begun, inputs):
        session.rehearse(inputs, say)
    return replace(inputs, constraints=limits) if request.constraints else inputs


def _given_data(task: Task, request: LaunchRequest, before: Conditions) -> str | None:
    if request.data is None:
        return before.given_data
    return None if request.data == task.dataset else request.data


def _is_same_task(task: Task, terms: StudyTerms) -> bool:
    """Return True if a study knows the task, whatever its space."""
    return task.digest() == terms.task_digest or digests.of_scores(task) == terms.scored_by


def _with_space(task: Task, request: LaunchRequest, before: Conditions) -> Conditions:
    """Return the conditions with the space that is asked for, else with the one before; if the task's own was edited
    since, with what --set and --open said then made of that."""
    declared = digests.of_space(task.space)
    narrowed, opened = request.narrowed, request.opened
    if not (narrowed or opened):
        if before.declared in ("", declared):
            return before
        narrowed, opened = before.narrowed, before.opened
    space = narrow(open_parameters(task.space, opened), narrowed)
    return replace(before, space=space, declared=declared, narrowed=narrowed, opened=opened)


def _protocol(task: Task, request: LaunchRequest, before: Conditions) -> Protocol:
    names = ("epochs", "images", "precision", "deterministic", "portable")
    asked = {name: getattr(request, name) for name in names if getattr(request, name) is not None}
    if request.folds is not None:
        asked |= {"folds": request.folds, "validation": DEFAULT_VALIDATION}
    for option in ("images", "folds"):
        if task.run is not None and getattr(request, option) is not None:
            raise UserError(f"task {task.name!r} has {task.own_code}, which has no data set: leave out --{option}")
    return replace(before.protocol, **asked)


def _search(launching: _Launching) -> tuple[Search, int | None]:
    """Return the search and its number of trials. A study that only ran a task's own list has no search yet."""
    request, inputs = launching.request, launching.inputs
    last = launching.last if launching.last and launching.last.search not in LISTS else None
    trials = request.trials or (last.trials if last else None)
    if request.search == "auto":
        search, why = auto.pick_search(inputs.space, trials or DEFAULT_TRIALS, multi_objective=bool(inputs.further))
        if last:
            search, why = last.search, "the study was begun with it"
        launching.say(f"search: {search}, for {why}")
    else:
        search = request.search or (last.search if last else DEFAULT_SEARCH)
    if trials is None and search != "grid" and search not in LISTS:
        trials = DEFAULT_TRIALS
    return search, trials


def _prior(launching: _Launching, search: Search) -> Prior | None:
    """Return what the study takes over from another, as asked, else as before.

    Raises:
        StudyError, SpaceError: as `priors.asked`.
    """
    request, begun = launching.request, launching.begun
    if search in LISTS:
        return begun.prior if begun else None
    name, best = request.seed_from, request.seed_from_best
    return priors.asked(name, best, begun, launching.inputs, search, launching.settings, launching.say)


def _first(launching: _Launching, search: Search, prior: Prior | None) -> list[candidates.Candidate]:
    """Return what the search begins with: the task's baseline, the user's own configurations, another study's best.

    A study that has trials goes on as it was begun, with its baseline or without. A new version of it begins with the
    best of the version before, too.

    Raises:
        UserError, SpaceError: if the file is missing, the file or the other study does not belong to the task, or the
            search is a list.
    """
    request, inputs = launching.request, launching.inputs
    if search in LISTS:
        if request.tried or request.seed_from or request.no_baseline:
            options = "--try, --seed-from and --no-baseline are about what a search begins with"
            raise UserError(f"{options}; --search {search} has a list of its own")
        return []
    points = _baseline(launching, search)
    if launching.begun is not None and launching.is_new_version:
        points += growing.best_before(launching.begun, inputs, _BEST)
    if isinstance(request.tried, Path):
        points += warm_starts.from_file(request.tried, inputs.task)
    elif request.tried is not None:
        points += warm_starts.from_list(request.tried, inputs.task)
    points += priors.first(prior, inputs)
    return [candidates.Candidate(point, inputs.seed) for point in points]


def _baseline(launching: _Launching, search: Search) -> list[Params]:
    """Return the task's baseline, if the study begins with it and it is inside the space."""
    has_begun = launching.begun and launching.begun.trials and not launching.is_new_version
    if launching.request.no_baseline or has_begun:
        return []
    inputs = launching.inputs
    # A grid is its own points; any other search may begin with another value of what is only held.
    space = inputs.space if search == "grid" else open_all(inputs.space)
    outside = space.why_not(inputs.task.baseline)
    if outside is not None:
        launching.say(f"without the task's baseline, which is outside this space: {outside}")
        return []
    return [inputs.task.baseline]


def _scheduling(launching: _Launching, search: Search) -> Scheduling:
    """Return who stops trials early: as asked, else as the study was run last.

    Raises:
        UserError: if it has nothing to decide, or the search is a list, whose trials all run to their end.
    """
    request = launching.request
    last = launching.last.scheduling if launching.last else Scheduling()
    name = request.scheduler or last.name
    if name == "none":
        if request.grace or request.eta or request.resource:
            names = ", ".join(scheduler for scheduler in SCHEDULERS if scheduler != "none")
            raise UserError(f"--grace, --eta and --resource are a scheduler's: say which with --scheduler ({names})")
        return Scheduling()
    if search in LISTS:
        if request.scheduler:
            raise UserError(f"--search {search} runs every trial to its end: leave out --scheduler {name}")
        return last
    eta, task, images = request.eta or last.eta, launching.inputs.task, launching.inputs.n_images
    resource = request.resource or (last.resource if last.name == name else "epochs")
    most = images if resource == "images" else task.protocol.steps
    least = task.grace if resource == "epochs" and task.protocol.folds is None else 1
    usual = max(least, (most or 1) // (_GENERATIONS if name == "pbt" else eta**3))
    grace = request.grace or (last.grace if (last.name, last.resource) == (name, resource) else usual)
    if grace < least:
        launching.say(
            f"--grace {grace} judges trials of task {task.name} before they have learned anything, which takes "
            f"{least} epochs by its declaration"
        )
    scheduling = Scheduling(name, grace, eta, resource)
    if resource == "images" and request.resources.checkpoint_every is not None:
        raise UserError("a trial of --resource images that is interrupted begins anew: leave out --checkpoint-every")
    schedulers.make_scheduler(scheduling, task.objective, task.protocol, (), images=images)
    return scheduling


def _budget(launching: _Launching) -> Budget:
    last = launching.last.budget if launching.last else Budget()
    request = launching.request
    return Budget(request.total_epochs or last.epochs, request.stop_when_flat or last.flat)

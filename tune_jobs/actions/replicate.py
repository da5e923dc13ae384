"""Further seeds for the best configurations: a place that one seed gave may be luck.

What is to be replicated is chosen once and written to the study before the first trial. A run that was killed
therefore goes on with the same configurations, although their means have moved meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tune_jobs.actions import session
from tune_jobs.actions.session import Outcome
from tune_jobs.errors import UserError
from tune_jobs.execution.plan import Plan, Resources, StudyInputs, check_counts
from tune_jobs.leaderboard import ranking
from tune_jobs.models.plain_values import make_plain
from tune_jobs.records.studies import Replication, StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search.candidates import Candidate, ListSampler
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Params, params_id
from tune_jobs.search_spaces.task import Task
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.words import Say, counted

DEFAULT_BUDGET = 50  # further trials at most, of a race that might never end between equals


@dataclass(frozen=True)
class ReplicateRequest:
    """The best `top` configurations, with `baseline` the task's own too, with `seeds` seeds each; then, in a race,
    `budget` further trials in all."""

    study: str
    top: int
    seeds: int
    until_separated: bool = False
    budget: int | None = None
    resources: Resources = field(default_factory=Resources)
    baseline: bool = False

    def __post_init__(self) -> None:
        make_plain(self)
        check_counts(1, top=self.top, budget=self.budget)
        check_counts(2, seeds=self.seeds)


def replicate(request: ReplicateRequest, settings: Settings, say: Say) -> Outcome:
    """Train the best configurations again with further seeds, the same ones for each: those after the study's own.

    Raises:
        UserError, TaskError: if the study, its task or its data are missing or have changed, or nothing is complete.
    """
    if request.budget is not None and not request.until_separated:
        raise UserError("--budget is for --until-separated; without it --top and --seeds say how many trials there are")
    with session.hold(request.study, settings, say) as held:
        inputs = held.resume()
        if inputs.task.run is not None and "seed" not in inputs.task.run_takes:
            say(f"the function of task {inputs.task.name!r} takes no seed: replicates differ in what it draws itself")
        plan = _plan(held.study, inputs, request, say)
        outcome = held.run(inputs, plan, request.resources)
        _announce_more(outcome, request, inputs.task, say)
        return outcome


def _plan(study: Study, inputs: StudyInputs, request: ReplicateRequest, say: Say) -> Plan | None:
    """Return what is left to run, or None, with a message on why, if nothing is."""
    unfinished = study.unfinished()  # before the record: it settles trials that a crash left with their result
    record = study.record()
    baseline = _baseline(record, inputs.task) if request.baseline else None
    replication = _chosen(record, request, baseline)
    study.note_replication(replication)
    if request.until_separated:
        race = Race(replication, record.trials, inputs.seed, inputs.task.objective)
        done, plan = race.how_it_ended(), Plan(race, None, None)
    else:
        missing = _missing(replication, record.trials, inputs.seed)
        all_of = f"its best {request.top}{' and its baseline' if request.baseline else ''}"
        done = None if missing else f"{all_of} have {request.seeds} seeds each; --seeds asks for more"
        plan = Plan(ListSampler(missing, ()), None, len(record.trials) + len(missing))
    if done is None or unfinished:
        return plan
    say(f"study {study.name}: {done}")
    return None


def _baseline(record: StudyRecord, task: Task) -> str:
    """Return the identity of the task's own configuration, which the study has trained.

    Raises:
        UserError: it has not.
    """
    identity = params_id(task.baseline)
    if not any(trial.params_id == identity and trial.state == "complete" for trial in record.trials):
        raise UserError(
            f"study {record.name!r} has no complete trial of its task's baseline: "
            f"`tune-jobs launch {record.reference} --study {record.name} --search baseline` trains it"
        )
    return identity


def _chosen(record: StudyRecord, request: ReplicateRequest, baseline: str | None = None) -> Replication:
    """Return the earlier choice, if the request is the same and not done; else the best as they are now, and the
    baseline if it is asked for.

    A race whose best are still the same stays as it is: its budget is not given twice.
    """
    earlier = record.replication
    asked = (request.top, request.seeds, request.until_separated, request.budget, request.baseline)
    ids = _best(record, request.top)
    ids += () if baseline is None or baseline in ids else (baseline,)
    if earlier is not None and asked == _asked(earlier) and _goes_on(earlier, record, ids):
        return earlier
    if not ids:
        raise UserError(f"study {record.name!r} has nothing to replicate: {record.no_result}")
    changed = [trial.number for trial in record.trials if trial.params_id in ids and trial.changes]
    if changed:
        raise UserError(
            f"trial {changed[0]} of study {record.name!r} changed its params in flight: further seeds of those it "
            "began with would be other models. `tune-jobs train` with the study's best.yaml trains it again"
        )
    return Replication(
        request.top,
        request.seeds,
        request.until_separated,
        request.budget,
        ids,
        begun_at=record.next_number,
        baseline=request.baseline,
    )


def _goes_on(earlier: Replication, record: StudyRecord, ids: tuple[str, ...]) -> bool:
    """Return True if an earlier choice stays: it is not done, or the same configurations would be chosen again."""
    return not _is_done(earlier, record) or set(earlier.params_ids) == {*ids}


def _asked(earlier: Replication) -> tuple[object, ...]:
    return (earlier.top, earlier.seeds, earlier.until_separated, earlier.budget, earlier.baseline)


def _best(record: StudyRecord, top: int) -> tuple[str, ...]:
    """Return the first `top` of the leaderboard that are results, those with one seed included."""
    rows = ranking.rank(record.trials, record.terms.objective, record.constraints)
    return tuple(row.params_id for row in rows if row.is_result)[:top]


def _is_done(replication: Replication, record: StudyRecord) -> bool:
    terms = record.terms
    if replication.until_separated:
        return Race(replication, record.trials, terms.seed, terms.objective).how_it_ended() is not None
    mine = [trial for trial in record.trials if trial.params_id in replication.params_ids]
    return all(trial.is_finished for trial in mine) and not _missing(replication, mine, terms.seed)


def _missing(replication: Replication, trials: Iterable[TrialRecord], first_seed: int) -> list[Candidate]:
    """Return the trials that the study lacks: the second seed of each configuration, then the third of each.

    A trial that failed is not tried again: with its seed it would fail again.
    """
    params: dict[str, Params] = {}
    tried: set[tuple[str, int]] = set()
    for trial in trials:
        params.setdefault(trial.params_id, trial.params)
        tried.add((trial.params_id, trial.seed))
    return [
        Candidate(params[chosen], first_seed + offset)
        for offset in range(replication.seeds)
        for chosen in replication.params_ids
        if (chosen, first_seed + offset) not in tried
    ]


class Race:
    """Proposes seeds while the order is in doubt: of all that may be the best, those with the fewest seeds first.

    In the manner of F-Race (Birattari et al., A Racing Algorithm for Configuring Metaheuristics, GECCO 2002), with the
    leaderboard's own criterion: a configuration leaves the race when another is better at 95 %, over all comparisons
    together. The race looks after every trial, which makes that a little easier than 95 % says.
    """

    def __init__(
        self, replication: Replication, trials: tuple[TrialRecord, ...], first_seed: int, objective: Objective
    ) -> None:
        self._chosen = replication.params_ids
        self._objective = objective
        self._first_seed = first_seed
        budget = DEFAULT_BUDGET if replication.budget is None else replication.budget
        self._to_begin = _missing(replication, trials, first_seed)
        mine = [trial for trial in trials if trial.params_id in self._chosen]
        opened = first_seed + replication.seeds  # the first seed that the budget pays for
        self._left = max(0, budget - sum(t.number >= replication.begun_at and t.seed >= opened for t in mine))
        self._trials = {(trial.params_id, trial.seed): trial for trial in mine}
        self._asked = {key for key, trial in self._trials.items() if not trial.is_finished}  # by a run that was killed

    def ask(self) -> Candidate | None:
        if self._to_begin:
            return self._taken(self._to_begin.pop(0))
        if self._left == 0 or any(self._is_pending(key) for key in self._asked):
            return None  # the order is looked at when all that was asked for is known
        in_doubt = self._in_doubt()
        if len(in_doubt) < 2:
            return None
        self._to_begin = [self._next_of(chosen) for chosen in in_doubt][: self._left]
        self._left -= len(self._to_begin)
        return self._taken(self._to_begin.pop(0))

    def how_it_ended(self) -> str | None:
        """Return why nothing more is to be trained; None as long as something is."""
        if self._to_begin or any(self._is_pending(key) for key in self._asked):
            return None
        in_doubt = len(self._in_doubt())
        if in_doubt < 2:
            return "the best of them is separated from the others"
        return f"the budget is spent and {in_doubt} of them may still be the best" if self._left == 0 else None

    def tell(self, trial: TrialRecord) -> None:
        if trial.params_id in self._chosen:
            self._trials[trial.params_id, trial.seed] = trial

    def _taken(self, candidate: Candidate) -> Candidate:
        self._asked.add((params_id(candidate.params), candidate.seed))
        return candidate

    def _is_pending(self, key: tuple[str, int]) -> bool:
        return key not in self._trials or not self._trials[key].is_finished

    def _in_doubt(self) -> list[str]:
        """Return the configurations that may still be the best, those with the fewest seeds first."""
        mine = list(self._trials.values())
        rows = ranking.with_uncertainty(ranking.rank(mine, self._objective), mine, self._objective)
        seeds = Counter(trial.params_id for trial in mine)
        return sorted((row.params_id for row in rows if row.may_be_best), key=lambda chosen: seeds[chosen])

    def _next_of(self, chosen: str) -> Candidate:
        had = [trial for trial in self._trials.values() if trial.params_id == chosen]
        return Candidate(had[0].params, max(self._first_seed, *(trial.seed for trial in had)) + 1)


def _announce_more(outcome: Outcome, request: ReplicateRequest, task: Task, say: Say) -> None:
    """Say so if the same command would go on, with configurations that are among the best only now."""
    record = outcome.study
    if outcome.signal is not None or request.until_separated:
        return
    upcoming = _chosen(record, request, _baseline(record, task) if request.baseline else None)
    fewer = {params_id(candidate.params) for candidate in _missing(upcoming, record.trials, record.terms.seed)}
    if fewer and upcoming != record.replication:
        configurations = counted(len(fewer), "configuration")
        say(f"{configurations} with fewer seeds now among the best {request.top}: the same command replicates more")

"""Train the best configurations of one task on another: do its gains translate?

They become trials of a study of the other task, beside its baseline, and are compared with that and with the best that
a search of its own found there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tune_jobs.actions import session
from tune_jobs.actions.launch import LaunchRequest, resolve
from tune_jobs.actions.session import Outcome, Session
from tune_jobs.errors import UserError
from tune_jobs.execution.plan import Plan, Resources, StudyInputs, check_counts
from tune_jobs.leaderboard import ranking
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.models.plain_values import make_plain
from tune_jobs.records.studies import StudyRecord, Transfer
from tune_jobs.search.candidates import Candidate, ListSampler
from tune_jobs.search_spaces.moving import transfer_params
from tune_jobs.search_spaces.scalars import Params, params_id
from tune_jobs.search_spaces.task import Task
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.words import Say


@dataclass(frozen=True)
class TransferRequest:
    """The `top` best of a study, trained on task `to` with `seeds` seeds each; `into` names the study there."""

    study: str
    to: str
    top: int
    seeds: int = 1
    into: str | None = None
    epochs: int | None = None
    images: int | None = None
    resources: Resources = field(default_factory=Resources)

    def __post_init__(self) -> None:
        make_plain(self)
        check_counts(1, top=self.top, seeds=self.seeds, epochs=self.epochs, images=self.images)


@dataclass(frozen=True)
class Line:
    """One line of the comparison: where a configuration is from, and its row there; None if it has no score."""

    origin: str
    row: Row | None


def transfer(request: TransferRequest, settings: Settings, say: Say) -> Outcome:
    """Train the best of a study, and the other task's baseline, in a study of the other task.

    Raises:
        UserError, TaskError: if the studies, the task or its data are missing or have changed.
        SpaceError: if a configuration does not belong to the other task's space; it names what does not.
    """
    source = Study.open(request.study, settings).record()
    rows = ranking.finalists(ranking.rank(source.trials, source.terms.objective, source.constraints), request.top)
    if not rows:
        raise UserError(f"study {source.name!r} has nothing to transfer: {source.no_result}")
    task = session.find_task(request.to)
    moved = [transfer_params(task, row.params, f"place {row.rank} of study {source.name!r}") for row in rows]
    name = request.into or task.name
    if name == source.name:
        raise UserError(f"study {name!r} cannot be transferred into itself: --study NAME names another")
    with session.hold(name, settings, say) as held:
        inputs = _begin(held, task, request)
        transfers = [
            Transfer(source.name, row.rank, params_id(params)) for row, params in zip(rows, moved, strict=True)
        ]
        held.study.note_transfers(transfers)
        return held.run(inputs, _plan(held, inputs, moved, request.seeds), request.resources)


def _begin(held: Session, task: Task, request: TransferRequest) -> StudyInputs:
    """Begin the study there, or take it up with the search it has."""
    begun = held.study.record() if held.study.has_begun else None
    asked = LaunchRequest(task=request.to, epochs=request.epochs, images=request.images)
    inputs = resolve(task, asked, begun, held.settings, held.say)
    held.study.begin(inputs.terms)
    earlier = begun.launch if begun else None
    search, trials = (earlier.search, earlier.trials) if earlier else ("baseline", None)
    now = session.launch_note(search, trials, inputs)
    held.study.note_launch(replace(now, scheduling=earlier.scheduling, budget=earlier.budget) if earlier else now)
    return inputs


def _plan(held: Session, inputs: StudyInputs, moved: Sequence[Params], seeds: int) -> Plan | None:
    """Return what is left to run, or None, with a message on why, if nothing is."""
    trials = held.study.record().trials
    wanted = [
        Candidate(params, inputs.seed + offset) for offset in range(seeds) for params in (inputs.task.baseline, *moved)
    ]
    tried = {(trial.params_id, trial.seed) for trial in trials}
    missing = {(params_id(candidate.params), candidate.seed) for candidate in wanted} - tried
    if missing or held.study.unfinished():
        return Plan(ListSampler(wanted, trials), None, len(trials) + len(missing))
    held.say(f"study {held.study.name} has run all of these; --seeds asks for more")
    return None


def compared(record: StudyRecord, task: Task) -> tuple[Line, ...]:
    """Compare the task's baseline, what was transferred and the best of its own, among all that the study has."""
    objective = record.terms.objective
    rows = ranking.with_uncertainty(
        ranking.rank(record.trials, objective, record.constraints), record.trials, objective
    )
    by_id = {row.params_id: row for row in rows}
    baseline_id = params_id(task.baseline)
    lines = [Line("baseline", by_id.get(baseline_id))]
    lines += [Line(f"{moved.study}, place {moved.place}", by_id.get(moved.params_id)) for moved in record.transfers]
    foreign = {baseline_id, *(moved.params_id for moved in record.transfers)}
    own = ranking.best(_without(rows, foreign))
    return (*lines, Line("best of its own", own))


def _without(rows: Sequence[Row], ids: set[str]) -> list[Row]:
    return [row for row in rows if row.params_id not in ids]

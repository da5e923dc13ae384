"""The best configurations of one task on another: do its gains translate?

They become trials of a study of the other task, beside its baseline, and are compared with that and with the best that
a search of its own found there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tune_jobs import tracking
from tune_jobs.actions import session
from tune_jobs.actions.launch import LaunchRequest, resolve
from tune_jobs.actions.session import Outcome
from tune_jobs.errors import UserError
from tune_jobs.execution.plan import Plan, Resources
from tune_jobs.leaderboard import ranking
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records.studies import StudyRecord, Transfer
from tune_jobs.search.candidates import Candidate, ListSampler
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.moving import transfer_params
from tune_jobs.search_spaces.scalars import params_id
from tune_jobs.search_spaces.task import Task
from tune_jobs.settings import Settings
from tune_jobs.study import provenance
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


@dataclass(frozen=True)
class Line:
    """One line of the comparison: where a configuration is from, and its row there; None where it has no score."""

    origin: str
    row: Row | None


def transfer(request: TransferRequest, settings: Settings, say: Say) -> Outcome:
    """Trains the best of a study, and the other task's baseline, in a study of the other task.

    Raises:
        UserError, TaskError: the studies, the task or its data are not there or not what they were.
        SpaceError: a configuration does not belong to the other task's space; it names what does not.
    """
    source = Study.open(request.study, settings).record()
    rows = ranking.finalists(ranking.rank(source.trials, source.terms.objective), request.top)
    if not rows:
        raise UserError(f"study {source.name!r} has nothing to transfer: none of its trials is complete")
    task = catalog.find(request.to)
    moved = [transfer_params(task, row.params, f"place {row.rank} of study {source.name!r}") for row in rows]
    name = request.into or task.name
    if name == source.name:
        raise UserError(f"study {name!r} cannot be transferred into itself: --study NAME names another")
    settings.prepare()
    tracking.check(settings)
    with Study.hold(name, settings) as study:
        begun = study.record() if study.has_begun else None
        asked = LaunchRequest(task=request.to, epochs=request.epochs, images=request.images)
        work = resolve(task, asked, begun, settings)
        study.begin(work.terms)
        earlier = begun.launch if begun and begun.launch else None
        search, trials = (earlier.search, earlier.trials) if earlier else ("baseline", None)
        now = provenance.note(search, trials)
        study.note_launch(replace(now, scheduling=earlier.scheduling, budget=earlier.budget) if earlier else now)
        study.note_transfers(
            [Transfer(source.name, row.rank, params_id(params)) for row, params in zip(rows, moved, strict=True)]
        )
        had = study.record().trials
        wanted = [
            Candidate(params, work.seed + offset)
            for offset in range(request.seeds)
            for params in (work.task.baseline, *moved)
        ]
        tried = {(trial.params_id, trial.seed) for trial in had}
        missing = {(params_id(one.params), one.seed) for one in wanted} - tried
        plan = None
        if missing or study.unfinished():
            plan = Plan(ListSampler(wanted, had), None, len(had) + len(missing))
        else:
            say(f"study {name} has run all of these; --seeds asks for more")
        return session.run(study, work, plan, request.resources, settings, say)


def compared(record: StudyRecord, task: Task) -> tuple[Line, ...]:
    """The task's baseline, what was transferred and the best of its own, judged together with all the study has."""
    objective = record.terms.objective
    rows = ranking.with_uncertainty(ranking.rank(record.trials, objective), record.trials, objective)
    by_id = {row.params_id: row for row in rows}
    baseline_id = params_id(task.baseline)
    lines = [Line("baseline", by_id.get(baseline_id))]
    lines += [Line(f"{moved.study}, place {moved.place}", by_id.get(moved.params_id)) for moved in record.transfers]
    foreign = {baseline_id, *(moved.params_id for moved in record.transfers)}
    own = ranking.best(_without(rows, foreign))
    return (*lines, Line("best of its own", own))


def _without(rows: Sequence[Row], ids: set[str]) -> list[Row]:
    return [row for row in rows if row.params_id not in ids]

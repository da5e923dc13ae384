"""Runs trials of a study that is held: starts Ray, lets a sampler propose, delivers to MLflow, writes the exports.

Whoever calls it has decided what is to be run: a search (`launching.py`), further seeds (`replication.py`), another
task's configurations (`transferring.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tune_jobs import exports
from tune_jobs.errors import UserError
from tune_jobs.execution.plan import Plan, Resources, StudyInputs
from tune_jobs.execution.searching import run_trials
from tune_jobs.live.signals import interruptible
from tune_jobs.records.studies import StudyRecord
from tune_jobs.search_spaces.task import Task
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.tracking import delivery
from tune_jobs.words import Say

if TYPE_CHECKING:
    from tune_jobs.execution.rules import TaskFailure


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    study: StudyRecord
    exports_dir: Path
    is_delivered: bool  # whether MLflow has everything
    signal: int | None  # that ended it early
    trouble: TaskFailure | None = None  # of the task's, that ended it early


def run(
    study: Study, work: StudyInputs, plan: Plan | None, resources: Resources, settings: Settings, say: Say
) -> Outcome:
    """Runs the study's unfinished trials and what the plan proposes until it is fulfilled, late or interrupted.

    Without a plan nothing is trained: what is there is delivered and exported.
    """
    if plan is not None:
        check(work.task, resources, is_population=plan.compare_every is not None)
        if plan.compare_every is None and any(trial.course for trial in study.unfinished()):
            raise UserError(f"a population of study {study.name!r} is under way: launch it with --scheduler pbt first")
    trouble = None
    with interruptible(say) as interruption, delivery.alongside(study.name, settings) as delivered:
        if plan is not None:
            trouble = run_trials(study, work, plan, resources, settings, interruption, delivered.sweep_ended, say)
        record = study.record()
        exports.write_all(record, settings.exports_dir(study.name))
        say("delivering to MLflow …")
        is_delivered = delivered.is_complete()
    return Outcome(record, settings.exports_dir(study.name), is_delivered, interruption.signal, trouble)


def check(task: Task, resources: Resources, *, is_population: bool) -> None:
    """Whether trials of a task can be run so; `is_population` is whether they are a population.

    Raises:
        UserError: if not; the message says what else to ask for.
    """
    asked = (
        "--scheduler pbt" if is_population else "--checkpoint-every" if resources.checkpoint_every is not None else None
    )
    if asked and task.train is not None:
        raise UserError(
            f"task {task.name!r} has a training loop of its own, which cannot be taken up in the middle: "
            f"leave out {asked}"
        )
    if is_population and resources.checkpoint_every is not None:
        raise UserError("a population keeps checkpoints of its own: leave out --checkpoint-every")

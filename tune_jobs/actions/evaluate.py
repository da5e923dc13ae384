"""Reads the test split: for finalists only, on request only, and never without a note of it in the study.

The note is durable before the first image is read. No search, replicate or leaderboard imports this module.
"""

from __future__ import annotations

import getpass
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tune_jobs import exports, tracking
from tune_jobs.actions.launch import resumed
from tune_jobs.actions.session import Outcome
from tune_jobs.errors import UserError
from tune_jobs.execution.evaluating import score_finalists
from tune_jobs.execution.plan import Resources
from tune_jobs.leaderboard import ranking
from tune_jobs.live.signals import interruptible
from tune_jobs.records.studies import Evaluation, StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.tracking import delivery
from tune_jobs.words import Say


@dataclass(frozen=True)
class EvaluateRequest:
    """The `top` best configurations, all their seeds; `again` where the test split was read before."""

    study: str
    top: int
    by: str | None = None  # None is whoever is logged in
    again: bool = False
    resources: Resources = field(default_factory=Resources)


def evaluate(request: EvaluateRequest, settings: Settings, say: Say) -> Outcome:
    """Scores finalists on the test split and writes that to the study, to MLflow and to the exports.

    An evaluation that was killed goes on with its own finalists and is no second reading.

    Raises:
        UserError, TaskError: the study, its task or its data are not there or not what they were; nothing is complete;
            the test split was read before.
    """
    settings.prepare()
    tracking.check(settings)
    with Study.hold(request.study, settings) as study:
        work = resumed(study, settings)
        if work.task.train is not None:
            raise UserError(f"task {work.task.name!r} trains itself: it leaves no model that could be evaluated")
        record = study.record()
        trials = _begun(record) or _wanted(record, request, say)
        with interruptible(say) as interruption, delivery.alongside(study.name, settings) as delivered:
            if trials:
                if not _begun(record):
                    study.note_reading(_reading(trials, request))
                score_finalists(study, work, trials, request.resources, settings, interruption, say)
            record = study.record()
            exports.write_all(record, settings.exports_dir(study.name))
            say("delivering to MLflow …")
            is_delivered = delivered.is_complete()
        return Outcome(record, settings.exports_dir(study.name), is_delivered, interruption.signal)


def _begun(record: StudyRecord) -> list[TrialRecord]:
    """What is left of a reading that did not come to its end."""
    if not record.readings:
        return []
    return [trial for trial in record.trials if trial.number in record.readings[-1].trials and trial.tested is None]


def _wanted(record: StudyRecord, request: EvaluateRequest, say: Say) -> list[TrialRecord]:
    """The trials to score that were not scored yet; empty, with a word on it, where all were.

    Raises:
        UserError: nothing is complete, or the test split was read before and that was not said.
    """
    rows = ranking.finalists(ranking.rank(record.trials, record.terms.objective), request.top)
    if not rows:
        raise UserError(f"study {record.name!r} has no finalists: none of its trials is complete")
    numbers = {number for row in rows for number in row.trials}
    trials = [trial for trial in record.trials if trial.number in numbers and trial.tested is None]
    if not trials:
        say(
            f"the best {request.top} of study {record.name} were all evaluated before; the test split is not read again"
        )
    elif record.readings and not request.again:
        last = record.readings[-1]
        at = datetime.fromtimestamp(last.at, UTC).strftime("%Y-%m-%d %H:%M UTC")
        raise UserError(
            f"the test split was read for study {record.name!r} on {at} for {last.by} "
            f"({_times(len(record.readings))} in all): each further reading makes its best figure a little luckier; "
            "--again if it has to be"
        )
    return trials


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _reading(trials: list[TrialRecord], request: EvaluateRequest) -> Evaluation:
    return Evaluation(time.time(), request.by or getpass.getuser(), tuple(trial.number for trial in trials))

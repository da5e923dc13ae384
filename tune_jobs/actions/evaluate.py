"""Reads the test split: for finalists only, on request only, and never without a note of it in the study.

The note is durable before the first image is read. No search, replicate or leaderboard imports this module.
"""

from __future__ import annotations

import getpass
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tune_jobs import datasets, exports, tracking
from tune_jobs.tracking import delivery
from tune_jobs.leaderboard import ranking
from tune_jobs.errors import TrialError, UserError
from tune_jobs.live.signals import Interruption, interruptible
from tune_jobs.actions.launch import resumed
from tune_jobs.records.studies import Reading, StudyRecord, TestResult, TrialRecord
from tune_jobs.actions.session import Outcome, Resources, Say, Work
from tune_jobs.settings import Settings, prepare_ray
from tune_jobs.study.study import Study


@dataclass(frozen=True)
class Request:
    """The `top` best configurations, all their seeds; `again` where the test split was read before."""

    study: str
    top: int
    by: str | None = None  # None is whoever is logged in
    again: bool = False
    resources: Resources = field(default_factory=Resources)


def evaluate(request: Request, settings: Settings, say: Say) -> Outcome:
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
                _score(study, work, trials, request.resources, settings, interruption, say)
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


def _wanted(record: StudyRecord, request: Request, say: Say) -> list[TrialRecord]:
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


def _reading(trials: list[TrialRecord], request: Request) -> Reading:
    return Reading(time.time(), request.by or getpass.getuser(), tuple(trial.number for trial in trials))


def _score(
    study: Study,
    work: Work,
    trials: list[TrialRecord],
    resources: Resources,
    settings: Settings,
    interruption: Interruption,
    say: Say,
) -> None:
    data = datasets.of_task(work.task, settings.data_dir)
    cpus = trials[0].cpus or resources.cpus_per_trial  # as many threads as the trials had, or a score does not repeat
    prepare_ray(is_own_cluster=resources.address is None)
    from tune_jobs.execution import cluster

    say("starting Ray …")
    with cluster.cluster(resources.address):
        from tune_jobs.execution import evaluating, worker

        slots = cluster.slots(
            cpus, None if resources.gpus_per_trial == "auto" else resources.gpus_per_trial, resources.max_concurrent
        )
        kept = settings.weights_dir(study.record().identity)
        source = worker.TaskSource.of(work.reference)
        task = work.task
        job = evaluating.TestJob(source, task.protocol, task.objective, data.training, data.test, cpus, kept)
        scored = _Scored(study, len(trials), say)
        evaluating.evaluate(trials, job, slots, interruption, scored.note)


class _Scored:
    """Writes each result down as it comes, and says so."""

    def __init__(self, study: Study, total: int, say: Say) -> None:
        self._study, self._total, self._say = study, total, say
        self._done = 0

    def note(self, trial: TrialRecord, result: TestResult | TrialError) -> None:
        self._done += 1
        head = f"[{self._done}/{self._total}] trial {trial.number}"
        if isinstance(result, TrialError):
            self._study.note_test(trial.number, TestResult(failure=f"{result.reason} ({result})"))
            self._say(f"{head} could not be evaluated: {result.reason} ({result})")
            return
        self._study.note_test(trial.number, result)
        words = ", ".join(f"{name} {value:.4f}" for name, value in result.metrics.items())
        same = "" if result.val_score == trial.score else f" (validation {result.val_score:.4f}, was {trial.score:.4f})"
        self._say(f"{head} {words}{same}")

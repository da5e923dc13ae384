"""Failed trials once more: the same params and seed as a new trial, which stands for the old one from then on.

What has ended does not change, so the failed trial stays in the study and says why it failed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tune_jobs import tracking
from tune_jobs.actions import session
from tune_jobs.actions.launch import resumed
from tune_jobs.actions.session import Outcome
from tune_jobs.errors import Reason, UserError
from tune_jobs.execution.plan import Plan, Resources
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search.candidates import Candidate, ListSampler
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.words import Say

# What may end otherwise the next time; a trial that diverged or was refused ends so again, unless its code was mended.
BY_ITSELF = (Reason.CRASHED, Reason.OUT_OF_MEMORY, Reason.TIMED_OUT)


@dataclass(frozen=True)
class RetryRequest:
    """Which failed trials of a study to run again."""

    study: str
    reasons: tuple[Reason, ...] = BY_ITSELF
    resources: Resources = field(default_factory=Resources)


def retry(request: RetryRequest, settings: Settings, say: Say) -> Outcome:
    """Runs a study's failed trials again, and first of all what did not finish.

    Raises:
        UserError, TaskError: the study, its task or its data are not there or not what they were; nothing failed so.
    """
    settings.prepare()
    tracking.check(settings)
    with Study.hold(request.study, settings) as study:
        work = resumed(study, settings)
        unfinished = study.unfinished()
        record = study.record()
        failed = _failed(record, request.reasons)
        if not failed and not unfinished:
            raise UserError(f"study {request.study!r} has nothing to retry: {_what_there_is(record, request.reasons)}")
        say(f"study {study.name}: {len(failed)} failed trial{'s run' if len(failed) != 1 else ' runs'} again")
        sampler = ListSampler((Candidate(trial.params, trial.seed) for trial in failed), ())
        plan = Plan(sampler, None, len(record.trials) + len(failed))
        return session.run(study, work, plan, request.resources, settings, say)


def _failed(record: StudyRecord, reasons: tuple[Reason, ...]) -> list[TrialRecord]:
    """The trials that failed for one of these reasons and were not run again since."""
    return [trial for trial in record.standing if trial.state == "failed" and trial.reason in reasons]


def _what_there_is(record: StudyRecord, reasons: tuple[Reason, ...]) -> str:
    other = sorted({str(trial.reason) for trial in record.standing if trial.state == "failed"})
    if not other:
        return "none of its trials failed"
    return f"none failed as {', '.join(reasons)}; some did as {', '.join(other)} (--reason {other[0]})"

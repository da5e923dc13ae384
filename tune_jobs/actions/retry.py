"""Run failed trials again: each as a new trial with the same params and seed, which takes the place of the old one.

What has ended does not change: the failed trial stays in the study and says why it failed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tune_jobs.actions import session
from tune_jobs.actions.session import Outcome
from tune_jobs.errors import Reason, UserError
from tune_jobs.execution.plan import Plan, Resources
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import LOST, TrialRecord
from tune_jobs.search.candidates import Candidate, ListSampler
from tune_jobs.settings import Settings
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
    """Run a study's failed trials again, after all that did not finish.

    If all of them have run again already, deliver and export the study as it is: an earlier retry may have been killed
    before it did.

    Raises:
        UserError, TaskError: if the study, its task or its data are missing or have changed, or nothing failed for
            these reasons.
    """
    with session.hold(request.study, settings, say) as held:
        inputs = held.resume()
        unfinished = held.study.unfinished()
        record = held.study.record()
        failed = _failed(record, request.reasons)
        if not failed and not unfinished and _has_retried(record, request.reasons):
            say(f"study {request.study}: all that failed has run again; the exports and MLflow are brought up to date")
            return held.run(inputs, None, request.resources)
        if not failed and not unfinished:
            raise UserError(f"study {request.study!r} has nothing to retry: {_no_failure(record, request.reasons)}")
        say(f"study {request.study}: {len(failed)} failed trial{'s run' if len(failed) != 1 else ' runs'} again")
        sampler = ListSampler((Candidate(trial.params, trial.seed) for trial in failed), ())
        return held.run(inputs, Plan(sampler, None, len(record.trials) + len(failed)), request.resources)


def _failed(record: StudyRecord, reasons: tuple[Reason, ...]) -> list[TrialRecord]:
    """Return the trials that failed for one of these reasons and were not run again since."""
    return [trial for trial in record.standing if trial.state == "failed" and trial.reason in reasons]


def _has_retried(record: StudyRecord, reasons: tuple[Reason, ...]) -> bool:
    """Return True if a trial that failed for one of these reasons was run again since."""
    first = [trial for trial in record.trials if trial.state == "failed" and trial.reason in reasons]
    return len(first) > len(_failed(record, reasons))


def _no_failure(record: StudyRecord, reasons: tuple[Reason, ...]) -> str:
    """Say what failed instead, if anything did."""
    other = sorted({str(trial.reason) for trial in record.standing if trial.state == "failed"} - {LOST})
    lost = [f"trial {trial.number}" for trial in record.trials if trial.reason == LOST]
    if not other:
        return "none of its trials failed" + (f", and the params of {', '.join(lost)} are lost" if lost else "")
    return f"none failed as {', '.join(reasons)}; some did as {', '.join(other)} (--reason {other[0]})"

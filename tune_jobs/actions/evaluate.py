"""Read the test split: for finalists only, on request only, and never without a note of it in the study.

The note is durable before the first image is read. No search, replicate or leaderboard imports this module.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from tune_jobs.actions import session
from tune_jobs.actions.readings import known_studies
from tune_jobs.actions.session import Outcome
from tune_jobs.errors import UserError
from tune_jobs.execution.evaluating import score_finalists
from tune_jobs.execution.plan import Beside, Resources, StudyRun, check_counts
from tune_jobs.execution.rules import TaskFailure
from tune_jobs.leaderboard import ranking
from tune_jobs.models.plain_values import make_plain
from tune_jobs.records.split_readings import SplitReading, begun_since, readings_of
from tune_jobs.records.studies import Evaluation, StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.settings import Settings
from tune_jobs.study import provenance
from tune_jobs.study.locks import user_name
from tune_jobs.words import Say, ordinal, times


@dataclass(frozen=True)
class EvaluateRequest:
    """The `top` best configurations, with all their seeds; `again` allows a further reading of the test split."""

    study: str
    top: int
    by: str | None = None  # for whom the test split is read; None: who is logged in
    again: bool = False
    resources: Resources = field(default_factory=Resources)

    def __post_init__(self) -> None:
        make_plain(self)
        check_counts(1, top=self.top)


def evaluate(request: EvaluateRequest, settings: Settings, say: Say) -> Outcome:
    """Score finalists on the test split and write that to the study, to MLflow and to the exports.

    An evaluation that was killed goes on with its own finalists and is no second reading.

    Raises:
        UserError, TaskError: if the study, its task or its data are missing or have changed; nothing is complete; or
            the test split was read before.
    """
    with session.hold(request.study, settings, say) as held:
        inputs = held.resume()
        if inputs.task.trains_itself or inputs.data is None:
            raise UserError(f"task {inputs.task.name!r} trains itself: it leaves no model that could be evaluated")
        record, split = held.study.record(), inputs.data.test_digest
        begun = _begun(record)
        known = known_studies(settings, say)
        earlier = readings_of(split, record.terms, known)
        trials = begun or _wanted(record, request, earlier, say)

        def score(run: StudyRun, beside: Beside) -> None:
            beside.sweep_began()
            if not begun:
                say(_announcement(record, earlier, known))
                if record.launch and (other := provenance.other_machine(record.launch.numerics, record.terms.protocol)):
                    say(other)
                run.study.note_evaluation(_reading(trials, request, split, len(earlier) + 1))
            score_finalists(run, trials)

        outcome = held.conduct(score if trials else None, inputs, request.resources)
        return outcome if outcome.signal else replace(outcome, task_failure=_all_failed(outcome.study, trials))


def _begun(record: StudyRecord) -> list[TrialRecord]:
    """Return the trials that a reading which was cut short has left."""
    if not record.readings:
        return []
    own = record.readings[-1].trials
    return [trial for trial in record.trials if trial.number in own and not _is_read(trial, len(record.readings))]


def _is_read(trial: TrialRecord, reading: int) -> bool:
    """Return whether a reading, counted from one, has scored a trial; studies from before do not say which did."""
    return trial.tested is not None and trial.tested.reading in (None, reading)


def _wanted(
    record: StudyRecord, request: EvaluateRequest, earlier: Sequence[SplitReading], say: Say
) -> list[TrialRecord]:
    """Return the finalists that were not scored yet. If all were, return them all where the request says `again`; else
    none, with a message.

    Raises:
        UserError: if nothing is complete, or the test split was read before for a study of this task and the request
            does not say `again`.
    """
    rows = ranking.finalists(ranking.rank(record.trials, record.terms.objective, record.constraints), request.top)
    if not rows:
        raise UserError(f"study {record.name!r} has no finalists: {record.no_result}")
    numbers = {number for row in rows for number in row.trials}
    finalists = [trial for trial in record.trials if trial.number in numbers]
    trials = [trial for trial in finalists if trial.tested is None]
    if not trials and request.again:
        return finalists
    if not trials:
        say(
            f"the best {request.top} of study {record.name} were all evaluated before; the test split is not read again"
        )
    elif not request.again and (own := [reading for reading in earlier if reading.task == record.terms.task]):
        last = own[-1].evaluation
        date = datetime.fromtimestamp(last.at, UTC).strftime("%Y-%m-%d %H:%M UTC")
        raise UserError(
            f"the test split was read for study {own[-1].study!r} on {date} for {last.by} "
            f"({times(len(earlier))} in all): each further reading makes its best figure a little luckier; "
            "--again if it has to be"
        )
    return trials


def _announcement(record: StudyRecord, earlier: Sequence[SplitReading], known: Sequence[StudyRecord]) -> str:
    """Say how often the split was read before, and whether that could have been learned from."""
    head = f"this is the {ordinal(len(earlier) + 1)} reading of the test split of {record.terms.dataset} known here"
    if not earlier:
        return head
    last = earlier[-1]
    day = datetime.fromtimestamp(last.evaluation.at, UTC).strftime("%Y-%m-%d")
    n = begun_since(last.evaluation.at, record.terms, known)
    since = f"{n} trial{' has' if n == 1 else 's have'} begun on these data since" if n else "no trial began since"
    place = ordinal(len(record.readings) + 1)
    return f"{head}, the {place} of this study; the last was on {day} for study {last.study}, and {since}"


def _all_failed(record: StudyRecord, finalists: list[TrialRecord]) -> TaskFailure | None:
    """Return how all finalists of this evaluation failed; None if one was scored, or there was none."""
    tested = [(trial.number, record.trial(trial.number).tested) for trial in finalists]
    failures = [
        f"trial {number}: {result.failure}"
        for number, result in tested
        if result is not None and result.failure is not None and result.reading == len(record.readings)
    ]
    if not failures or len(failures) < len(tested):
        return None
    message = f"no finalist could be evaluated ({len(failures)} failed); the first was {failures[0]}"
    return TaskFailure(message, is_early=False, is_of_evaluation=True)


def _reading(trials: list[TrialRecord], request: EvaluateRequest, split: str, place: int) -> Evaluation:
    return Evaluation(time.time(), request.by or user_name(), tuple(trial.number for trial in trials), split, place)

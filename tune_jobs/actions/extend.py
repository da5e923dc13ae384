"""Give a study more trials, with the search it had."""

from __future__ import annotations

from dataclasses import dataclass, field

from tune_jobs.actions import session
from tune_jobs.actions.launch import LaunchRequest, launch
from tune_jobs.actions.session import Outcome
from tune_jobs.errors import StudyError
from tune_jobs.execution.plan import Resources, check_counts
from tune_jobs.models.plain_values import make_plain
from tune_jobs.records.constraints import is_untrained
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.words import Say


@dataclass(frozen=True)
class ExtendRequest:
    """How many trials a study is to have: `trials` in all, or that many more than were asked for last."""

    study: str
    trials: int
    is_more: bool = False
    resources: Resources = field(default_factory=Resources)

    def __post_init__(self) -> None:
        make_plain(self)
        check_counts(1, trials=self.trials)


def extend(request: ExtendRequest, settings: Settings, say: Say) -> Outcome:
    """Continue a study up to more trials.

    A study that lacks trials it was to have gets these alone, so that the same command again does not add twice.

    Raises:
        UserError, TaskError, SpaceError: as `launch`; or if fewer trials are asked for than the study has.
    """
    name, record = request.study, Study.open(request.study, settings).record()
    present = sum(not is_untrained(trial) for trial in record.searched)
    asked = record.launch.trials if record.launch and record.launch.trials else present
    total = asked + request.trials if request.is_more else request.trials
    if request.is_more and present < asked:
        say(
            f"study {name} has {present} of its {asked} trials: these first, "
            f"then the same command adds {request.trials}"
        )
        total = asked
    if total < present:
        raise StudyError(
            f"study {name!r} has {present} trials already, and {total} in all are asked for: --trials +N adds some"
        )
    session.find_begun(record)
    wanted = LaunchRequest(record.reference, name, total, with_paths=record.with_paths, resources=request.resources)
    return launch(wanted, settings, say)

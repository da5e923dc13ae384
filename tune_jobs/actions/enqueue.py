"""Hand points to a study, whether or not a process runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tune_jobs.actions import session
from tune_jobs.search import warm_starts
from tune_jobs.search_spaces.scalars import Params, params_id
from tune_jobs.settings import Settings
from tune_jobs.study.enqueued import waiting
from tune_jobs.study.locks import Holder
from tune_jobs.study.study import Study


@dataclass(frozen=True)
class Enqueued:
    """What became of points that were handed to a study."""

    added: tuple[Params, ...]  # the points that were not known to it
    waiting: tuple[Params, ...]  # all that wait now, the next one first
    left_out: tuple[str, ...]  # why the others were, in words
    holder: Holder | None  # the process on this machine that runs the study


def enqueue(name: str, tried: Path | Sequence[Params], settings: Settings) -> Enqueued:
    """Hand configurations, or those of a file, to a study: they become its next trials, in their order.

    The baseline fills what they lack. One that the study has, or that waits already, is left out.

    Raises:
        StudyError, SpaceError: there is no such study or file, a configuration does not belong to the task, or nothing
            could be written; nothing was enqueued then.
        TaskError: the study's task cannot be found.
    """
    study = Study.open(name, settings)
    record = study.record()
    task = session.find_begun(record)
    points = warm_starts.from_file(tried, task) if isinstance(tried, Path) else warm_starts.from_list(tried, task)
    trials = {trial.params_id: f"is trial {trial.number} already" for trial in reversed(record.trials)}
    before = study.enqueued()
    added = waiting(points, [*trials, *map(params_id, before)])
    if added:
        study.enqueue(added)
    kept = set(map(params_id, added))
    left_out = tuple(
        f"point {place} {trials.get(params_id(point), 'waits already')}"
        for place, point in enumerate(points, start=1)
        if params_id(point) not in kept
    )
    return Enqueued(added, (*before, *added), left_out, study.holder())

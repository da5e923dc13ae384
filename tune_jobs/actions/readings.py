"""All readings of test splits that are known here: by whom, when, for which study, and what began on the data since.

They are those of all studies of the home or the storage, also of studies that were deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tune_jobs.errors import StudyError
from tune_jobs.records.split_readings import begun_since, is_same_data, readings_of
from tune_jobs.records.studies import Evaluation, StudyRecord
from tune_jobs.settings import Settings
from tune_jobs.study import deleted
from tune_jobs.study.storage import study_names
from tune_jobs.study.study import Study
from tune_jobs.words import Say


@dataclass(frozen=True)
class NotedReading:
    """One reading of a test split. `place` is its place among all of that split, from one."""

    data: str
    place: int
    at: float  # unix seconds
    by: str
    study: str
    task: str
    trials: int  # that were scored
    begun_since: int  # trials on the same data, of any study, that began after it
    is_deleted: bool  # the study


def known_studies(settings: Settings, say: Say) -> list[StudyRecord]:
    """Return all studies of the home or the storage with the trials of all their versions, and those that were deleted
    after they had read a test split. One that cannot be read is named."""
    known: list[StudyRecord] = []
    for name in study_names(settings):
        try:
            known.append(Study.open(name, settings).history())
        except StudyError as error:
            say(f"readings of the test split by study {name!r} are not counted, for it cannot be read: {error}")
    here = {study.identity for study in known}
    return known + [study for study in deleted.readers(settings) if study.identity not in here]  # not imported again


def all_readings(settings: Settings, say: Say) -> tuple[NotedReading, ...]:
    """Return all readings of test splits, by data set, the first one first."""
    known = known_studies(settings, say)
    noted = [_noted(study, reading, known) for study in known for reading in study.readings]
    return tuple(sorted(noted, key=lambda reading: (reading.data, reading.at)))


def _noted(study: StudyRecord, reading: Evaluation, known: Sequence[StudyRecord]) -> NotedReading:
    return NotedReading(
        data=study.terms.dataset,
        place=1 + sum(other.at < reading.at for other in _of_the_split(study, reading, known)),
        at=reading.at,
        by=reading.by,
        study=study.name,
        task=study.terms.task,
        trials=len(reading.trials),
        begun_since=begun_since(reading.at, study.terms, known),
        is_deleted=not study.trials,  # a study that reads a test split has some
    )


def _of_the_split(study: StudyRecord, reading: Evaluation, known: Sequence[StudyRecord]) -> list[Evaluation]:
    """Return all readings of the split that a reading is of; if it does not say which one that is, all on its data."""
    if reading.split is not None:
        return [other.evaluation for other in readings_of(reading.split, study.terms, known)]
    return [other for one in known if is_same_data(one.terms, study.terms) for other in one.readings]

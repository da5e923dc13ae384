"""What stays of a study that was deleted: its readings of the test split, which count for every later study.

They are JSON lines in the home folder, a line a study, or notes of one Optuna study in the database that had it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from optuna.exceptions import DuplicatedStudyError
from optuna.study import StudyDirection

from tune_jobs import files
from tune_jobs.decoding import ContentError
from tune_jobs.errors import StudyError
from tune_jobs.records.studies import StudyRecord
from tune_jobs.settings import Settings
from tune_jobs.study import contents
from tune_jobs.study.storage import database, study_id
from tune_jobs.study.terms import note_of_terms

_STUDY = "tune-jobs: readings of deleted studies"  # no name that a study of ours can have
_NAME = "name"  # beside the notes


def keep(record: StudyRecord, settings: Settings) -> None:
    """Keep the readings of a study that is about to be deleted; nothing is kept of one without readings.

    Raises:
        StudyError: they cannot be kept, and the study should stay.
    """
    if not record.readings:
        return
    kept = _kept(record)
    if settings.storage is not None:
        _keep_in_database(kept, settings.storage)
        return
    try:
        with files.opened(file_of(settings)) as file:
            file.write(b"\n" + json.dumps(kept).encode() + b"\n")  # what a killed writer left has a line of its own
            file.flush()
            files.sync(file_of(settings))
    except OSError as error:
        raise StudyError(f"the readings of study {record.name!r} cannot be kept: {error.strerror}") from error


def readers(settings: Settings) -> tuple[StudyRecord, ...]:
    """Return the deleted studies that had read a test split, without their trials. What cannot be read is left out."""
    found: dict[str, StudyRecord] = {}
    for kept in _all_kept(settings):
        with suppress(ContentError, TypeError, AttributeError):
            notes = contents.notes_of({name: value for name, value in kept.items() if name != _NAME})
            found[notes.identity] = contents.study_record(str(kept[_NAME]), notes, ())
    return tuple(found.values())


def file_of(settings: Settings) -> Path:
    """Return the file of a home in which the readings of its deleted studies are."""
    return settings.studies_dir / "deleted.readings"


def _kept(record: StudyRecord) -> dict[str, Any]:
    return {
        _NAME: record.name,
        "created": record.created,
        "identity": record.identity,
        "terms": note_of_terms(record.terms),
        "readings": contents.plain(record.readings),
    }


def _keep_in_database(kept: Mapping[str, Any], url: str) -> None:
    storage = database(url)
    with suppress(DuplicatedStudyError):
        storage.create_new_study([StudyDirection.MINIMIZE], _STUDY)
    number = study_id(storage, _STUDY)
    assert number is not None  # it was made here, or was there
    storage.set_study_user_attr(number, kept["identity"], kept)


def _all_kept(settings: Settings) -> Iterator[Mapping[str, Any]]:
    if settings.storage is not None:
        storage = database(settings.storage)
        number = study_id(storage, _STUDY)
        yield from () if number is None else storage.get_study_user_attrs(number).values()
        return
    try:
        with files.reading(file_of(settings)) as file:
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:
        with suppress(ValueError):
            yield json.loads(line)

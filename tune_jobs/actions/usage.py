"""What studies took of the machines: CPU and GPU seconds, idle shares and energy, by study, user and month."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tune_jobs.errors import StudyError
from tune_jobs.exports import accounts
from tune_jobs.exports.accounts import KEYS, Key
from tune_jobs.records.studies import StudyRecord
from tune_jobs.settings import Settings
from tune_jobs.study.storage import study_names
from tune_jobs.study.study import Study
from tune_jobs.words import Say


def usage(
    studies: Sequence[str], settings: Settings, say: Say, by: Sequence[Key] = KEYS
) -> tuple[list[Mapping[str, Any]], accounts.Account]:
    """Return the accounts of these studies, or of all, as mappings; and their sum.

    If all are asked for, one that cannot be read is told, and left out.

    Raises:
        StudyError: a study that is named does not exist or cannot be read.
    """
    records = list(_records(studies, settings, say))
    every = [trial for record in records for trial in accounts.counted(record)]
    return accounts.accounts(records, by), accounts.account(every)


def _records(studies: Sequence[str], settings: Settings, say: Say) -> Iterator[StudyRecord]:
    for name in studies or study_names(settings):
        try:
            yield Study.open(name, settings).history()
        except StudyError as error:
            if studies:
                raise
            say(f"without study {name}: {error}")

"""Where the task of a best.yaml or a saved model is, whose task file may have been moved since."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tune_jobs.errors import StudyError
from tune_jobs.search_spaces import catalog
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study


def find_place(
    reference: str, study: str | None, task: str, data_digest: str, settings: Settings
) -> tuple[str, tuple[Path, ...]]:
    """Return a reference to the task, and what goes with its file.

    If the file is gone, it is where the study was last launched in this home, provided that it is the same task on the
    same data.
    """
    file, _ = catalog.split(reference)
    if file is None or study is None:
        return reference, ()
    with suppress(StudyError):
        record = Study.open(study, settings).record()
        if (record.terms.task, record.terms.data_digest) == (task, data_digest):
            return reference if file.is_file() else record.reference, record.with_paths
    return reference, ()

"""What is known of a study's label encoding: which params are its own, and on which scale its errors are.

A task of the catalogue is asked itself. A task file is not run here: which params its encoding takes stands in the
study's launch.
"""

from __future__ import annotations

from tune_jobs.models.presentation import Presentation
from tune_jobs.models.scales import Scale
from tune_jobs.records.studies import StudyRecord
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.protocol import TaskError
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.search_spaces.task import Task


def encoding_params(study: StudyRecord) -> tuple[str, ...]:
    """Return the names of the params that the study's encoding takes; none if all trials have one encoding."""
    task = _catalogue_task(study)
    if task is not None:
        return task.encoding_params
    return study.launch.encoding_params if study.launch else ()


def error_scale(study: StudyRecord, params: Params) -> Scale | None:
    """Return the scale of the encoding of `params` if the study's objective is its mean error, as far as is known."""
    task = _catalogue_task(study)
    if task is None or task.encoding is None:
        return None
    try:
        shown = Presentation(task.encoding_of(params))
    except ValueError:  # of an earlier version of the task
        return None
    is_mean_error = shown.mean_of(study.terms.objective.metric.removeprefix("val_")) == "error"
    return shown.scale if is_mean_error else None


def _catalogue_task(study: StudyRecord) -> Task | None:
    file, _ = catalog.split(study.terms.reference)
    if file is not None:
        return None
    try:
        return catalog.find(study.terms.reference)
    except TaskError:  # of another version
        return None

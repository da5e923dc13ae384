"""What people added to a run of ours: a run with additions is never deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tune_jobs.records.studies import StudyRecord
from tune_jobs.tracking import experiments, mlflow_form
from tune_jobs.tracking.marks import METRICS, PARENT, Mark, has_our_note
from tune_jobs.tracking.names import is_true_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_OUR_TAGS = {
    *("state", "reason", "seed", "precision", "deterministic", "portable"),  # of trials
    *("study", "task", "trials", "search", "scheduler", "best_trial", "best_params"),
}
_OUR_FILES = {"leaderboard", "test", "artifacts", "report.html"}


def has_additions(client: MlflowClient, run: Run, study: StudyRecord) -> bool:
    """Return True if a run has anything that we did not write."""
    found = client.get_run(run.info.run_id)  # with its models, which a search leaves out
    return any(_additions(client, found, study))


def _additions(client: MlflowClient, run: Run, study: StudyRecord) -> Iterator[bool]:
    """Yield whether there are additions of a kind, kind by kind: those that need another question come last."""
    tags = run.data.tags
    yield any(not _is_our_tag(name) for name in tags)
    yield not has_our_note(tags, _beginning(run, study))
    yield not _has_our_name(run, study)
    yield not set(run.data.params) <= set(mlflow_form.param_names(study).values())
    yield METRICS in tags and not set(run.data.metrics) <= set(tags[METRICS].split("\n"))
    yield bool(run.outputs is not None and run.outputs.model_outputs)
    yield any(file.path not in _OUR_FILES for file in client.list_artifacts(run.info.run_id))
    children = experiments.search_runs(client, [run.info.experiment_id], f"tags.`{PARENT}` = '{run.info.run_id}'")
    yield any(child.info.lifecycle_stage == "active" for child in children)


def _is_our_tag(name: str) -> bool:
    return name.startswith("mlflow.") or name in _OUR_TAGS or is_true_name(name)


def _has_our_name(run: Run, study: StudyRecord) -> bool:
    """Return True if people left a run's name as we wrote it. A study may have had another name before an import."""
    name, mark = run.info.run_name or "", Mark.read(run)
    return name == study.name if mark is None else name.endswith(f"-{mark.number:04d}")


def _beginning(run: Run, study: StudyRecord) -> str:
    """Return how the description that we wrote begins."""
    return "trial " if PARENT in run.data.tags else mlflow_form.note_beginning(study.terms)

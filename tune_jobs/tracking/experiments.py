"""The experiment of a study: found by our tags, whatever people call it, and taken out of MLflow's trash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tune_jobs.records.studies import StudyRecord
from tune_jobs.settings import Settings
from tune_jobs.tracking.marks import NOTE, STUDY, TASK
from tune_jobs.words import Say

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

_KIND = {"mlflow.experimentKind": "custom_model_development"}  # else MLflow opens it on traces of language models


def parents(client: MlflowClient, study: StudyRecord) -> list[Run]:
    """Return the parent runs of a study, those in the trash too: of its task's experiments, else of any."""
    near = _of_task(client, study.terms.task)
    found = _parents_in(client, near, study)
    if found:
        return found
    known = {experiment.experiment_id for experiment in near}
    others = [experiment for experiment in _search(client) if experiment.experiment_id not in known]
    return _parents_in(client, others, study)


def of_task(client: MlflowClient, task: str, settings: Settings, say: Say, about: str = "") -> str:
    """Return the id of a task's experiment, which is created with `about` as its description if there is none."""
    found = _of_task(client, task)
    if found:
        return ready(client, found[0].experiment_id, task, say)
    location = None if settings.tracking_uri.startswith("http") else (settings.artifacts_dir / task).as_uri()
    try:
        tags = _KIND | {TASK: task} | ({NOTE: about} if about else {})
        return str(client.create_experiment(task, artifact_location=location, tags=tags))
    except Exception:
        found = _of_task(client, task)  # another process may have been faster
        if not found:
            raise
        return ready(client, found[0].experiment_id, task, say)


def ready(client: MlflowClient, experiment_id: str, task: str, say: Say) -> str:
    """Take an experiment out of the trash, mark it as the task's, and return its id."""
    experiment = client.get_experiment(experiment_id)
    if experiment.lifecycle_stage != "active":
        client.restore_experiment(experiment_id)
        say(f"the experiment {experiment.name!r} was in MLflow's trash: it is restored, with all its runs")
    for name, value in ({TASK: task} | _KIND).items():
        if name not in experiment.tags:
            client.set_experiment_tag(experiment_id, name, value)
    return str(experiment_id)


def search_runs(client: MlflowClient, experiment_ids: Sequence[str], filter_string: str) -> list[Run]:
    """Return all runs that a filter finds, those in the trash too."""
    from mlflow.entities import ViewType

    runs: list[Run] = []
    token = None
    while experiment_ids:
        page = client.search_runs(experiment_ids, filter_string, ViewType.ALL, max_results=1000, page_token=token)
        runs += page
        token = page.token
        if not token:
            break
    return runs


def _of_task(client: MlflowClient, task: str) -> list[Experiment]:
    """Return the experiments of a task, the best first: not in the trash, by our tag, the oldest."""
    found = _search(client, f"tags.`{TASK}` = '{task}'")
    named = client.get_experiment_by_name(task)
    if named is not None and named.experiment_id not in {one.experiment_id for one in found}:
        found.append(named)
    found.sort(key=lambda one: (one.lifecycle_stage != "active", one.tags.get(TASK) != task, one.creation_time or 0))
    return found


def _search(client: MlflowClient, filter_string: str | None = None) -> list[Experiment]:
    from mlflow.entities import ViewType

    found: list[Experiment] = []
    token = None
    while True:
        page = client.search_experiments(ViewType.ALL, 1000, filter_string, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _parents_in(client: MlflowClient, experiments: Sequence[Experiment], study: StudyRecord) -> list[Run]:
    ids = [experiment.experiment_id for experiment in experiments]
    return search_runs(client, ids, f"tags.`{STUDY}` = '{study.identity}'")

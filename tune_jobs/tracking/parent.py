"""The run of a study: what it is, what came out of it, its data set, its leaderboard, and how its trials are shown."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from tune_jobs import exports, temporary
from tune_jobs.records.studies import StudyRecord, StudyTerms
from tune_jobs.tracking import marks, mlflow_form
from tune_jobs.tracking.names import MetricNames, cut
from tune_jobs.tracking.sending import Sender

if TYPE_CHECKING:
    from mlflow.entities import Run


def deliver(sender: Sender, study: StudyRecord, names: MetricNames) -> None:
    """Bring the run of a study up to date: the leaderboard as an artifact, and all that is new of the rest."""
    run = sender.client.get_run(sender.run_id)
    with temporary.folder() as folder:
        exports.write_all(study, folder)
        sender.log_folder(folder, "leaderboard")
    if study.terms.has_data and not run.inputs.dataset_inputs:
        log_data(sender, study.terms)
    _log_summary(sender, run, study, names)


def log_data(sender: Sender, terms: StudyTerms) -> None:
    """Log the data set of a study's or a trial's run. Doing so twice changes nothing."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    name, digest = cut(terms.dataset, 500), cut(terms.data_digest, 36)  # MLflow's limits
    dataset = Dataset(name, digest, "local", json.dumps({"name": terms.dataset}))
    inputs = [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
    sender.call("its data set", lambda: sender.client.log_inputs(sender.run_id, inputs))


def _log_summary(sender: Sender, run: Run, study: StudyRecord, names: MetricNames) -> None:
    """Log what a study reached, where that is new, and its description, unless people wrote another."""
    from mlflow.entities import Metric, RunTag

    now_ms, best = mlflow_form.to_ms(time.time()), exports.best_row(study.of_version())
    values = {names.ours(name): value for name, value in _summary(study).items()}
    changed = {name: value for name, value in values.items() if run.data.metrics.get(name) != value}
    sender.log("metrics", [Metric(name, value, now_ms, 0) for name, value in changed.items()])
    tags = names.tags(values) | mlflow_form.study_tags(study) | mlflow_form.outcome_tags(study, best)
    if marks.has_our_note(run.data.tags, mlflow_form.note_beginning(study.terms)):
        tags |= marks.note(mlflow_form.study_note(study, best))
    new = {name: value for name, value in tags.items() if run.data.tags.get(name) != value}
    sender.log("tags", [RunTag(name, value) for name, value in new.items()])


def _summary(study: StudyRecord) -> dict[str, float]:
    """Return what a study reached in its last version."""
    study = study.of_version()
    best = exports.best_row(study)
    score = {} if best is None else {f"best_{study.terms.objective.metric}": best.score}
    return score | ({"front_size": float(exports.front_size(study))} if study.terms.further_objectives else {})

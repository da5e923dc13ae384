"""Sends MLflow what a study has and MLflow lacks."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tune_jobs import exports
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TestResult, TrialRecord
from tune_jobs.settings import Settings
from tune_jobs.tracking import mlflow_form, store
from tune_jobs.tracking.runs import STATUS, DeliveredRun, StudyRuns, find_experiment, find_or_create_experiment

if TYPE_CHECKING:
    from mlflow import MlflowClient

_METRICS_PER_BATCH = 1000  # MLflow's limit


@dataclass
class Tracker:
    """Delivers the records of one study. It holds run ids in hand and depends on no active run.

    Every method may raise MLflow's exceptions while the store is away. Calling it again continues the work.
    """

    settings: Settings
    latest: Callable[[], StudyRecord] | None = None  # reads the study again; None if it cannot change
    _runs: StudyRuns | None = None
    _delivered: dict[int, DeliveredRun] = field(default_factory=dict)

    def deliver(self, study: StudyRecord) -> int:
        """Bring MLflow up to date. Return the number of trials that MLflow had not seen as they are."""
        runs = self._connect(study)
        n_new = 0
        try:
            for trial in study.trials:
                delivered = self._delivered.get(trial.number)
                if trial.state != "waiting" and (delivered is None or not delivered.is_final):
                    n_new += self._deliver_trial(runs, study, trial)
                if trial.tested is not None and trial.tested.metrics:
                    n_new += self._deliver_test(runs.client, study, trial, trial.tested)
        except Exception:
            self._runs = None  # the server may have carried out the call that failed: ask what it has
            raise
        return n_new

    def forget(self, study: StudyRecord) -> int:
        """Mark the study's runs as deleted, which `mlflow gc` then removes. Return how many there were."""
        client = store.client(self.settings)
        experiment = find_experiment(client, study.terms.task)
        runs = None if experiment is None else StudyRuns.find(client, experiment, study)
        if runs is None:
            return 0
        run_ids = [delivered.run_id for delivered in runs.trials(study, self.latest).values()]
        for run_id in (*run_ids, runs.parent):  # the parent last: the others are found through it
            client.delete_run(run_id)
        return len(run_ids) + 1

    def close(self, study: StudyRecord) -> None:
        """Log the leaderboard as an artifact of the parent run and end that run. The next launch opens it again."""
        runs = self._connect(study)
        self._delivered = runs.trials(study, self.latest)  # deletes runs that the server created late
        client, parent = runs.client, runs.parent
        with tempfile.TemporaryDirectory() as folder:
            exports.write_all(study, Path(folder))
            client.log_artifacts(parent, folder, "leaderboard")
        best = exports.best_row(study)
        if best is not None:
            client.log_metric(parent, f"best_{study.terms.objective.metric}", best.score)
        if study.terms.further_objectives:
            client.log_metric(parent, "front_size", float(exports.front_size(study)))
        client.set_tag(parent, "mlflow.note.content", mlflow_form.study_note(study))
        client.set_terminated(parent, "FINISHED")

    def _connect(self, study: StudyRecord) -> StudyRuns:
        """Return the study's runs; at the first call find or create them."""
        if self._runs is not None:
            return self._runs
        client = store.client(self.settings)
        experiment = find_or_create_experiment(client, study.terms.task, self.settings)
        runs = StudyRuns.find(client, experiment, study) or StudyRuns.create(client, experiment, study)
        client.update_run(runs.parent, status="RUNNING")
        self._delivered = runs.trials(study, self.latest)
        self._runs = runs
        return runs

    def _deliver_trial(self, runs: StudyRuns, study: StudyRecord, trial: TrialRecord) -> bool:
        """Send what is new of a trial. Return False if nothing is."""
        delivered = self._delivered.get(trial.number)
        if delivered is None:
            delivered = self._create_trial(runs, study, trial)
            self._delivered[trial.number] = delivered
        elif not trial.is_finished and len(trial.history) <= delivered.epochs:
            return False
        client = runs.client
        if not delivered.is_described:
            _describe(client, study, trial, delivered)
        metrics = mlflow_form.metrics(trial, study.terms.objective.metric, delivered.epochs)
        metrics += mlflow_form.further_metrics(trial, study.terms)
        for start in range(0, len(metrics), _METRICS_PER_BATCH):
            client.log_batch(delivered.run_id, metrics=metrics[start : start + _METRICS_PER_BATCH])
        delivered.epochs = max(delivered.epochs, len(trial.history))
        if trial.is_finished:
            _finish(client, study, trial, delivered)
        return True

    def _create_trial(self, runs: StudyRuns, study: StudyRecord, trial: TrialRecord) -> DeliveredRun:
        """Create a trial's run. After an error of the server, first look whether the run is there all the same."""
        try:
            return runs.create_trial(study, trial)
        except Exception as error:
            if not store.is_servers_error(error):
                raise
            existing = runs.trials(study, self.latest).get(trial.number)
            return existing or runs.create_trial(study, trial)

    def _deliver_test(self, client: MlflowClient, study: StudyRecord, trial: TrialRecord, tested: TestResult) -> bool:
        """Add a finalist's results on the test split to its run. Return False if they are there.

        The metrics come last: they show that everything else is there.
        """
        from mlflow.entities import Metric

        delivered = self._delivered[trial.number]
        if delivered.is_tested:
            return False
        with tempfile.TemporaryDirectory() as folder:
            if exports.write_test(study, trial, Path(folder)):
                client.log_artifacts(delivered.run_id, folder, "test")
        finished_ms = mlflow_form.to_ms(trial.finished or 0.0)
        metrics = [Metric(name, value, finished_ms, 0) for name, value in tested.metrics.items()]
        client.log_batch(delivered.run_id, metrics=metrics)
        delivered.is_tested = True
        return True


def _describe(client: MlflowClient, study: StudyRecord, trial: TrialRecord, delivered: DeliveredRun) -> None:
    """Log a trial's params and, last, its data set. Doing so twice changes nothing."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, Param

    terms = study.terms
    params = mlflow_form.params(trial, mlflow_form.varied_params(study))
    client.log_batch(delivered.run_id, params=[Param(name, value) for name, value in params.items()])
    dataset = Dataset(terms.dataset, terms.data_digest, "local", json.dumps({"name": terms.dataset}))
    client.log_inputs(delivered.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
    delivered.is_described = True


def _finish(client: MlflowClient, study: StudyRecord, trial: TrialRecord, delivered: DeliveredRun) -> None:
    """Log how a trial ended, and end its run."""
    from mlflow.entities import RunTag

    tags: dict[str, str] = {"state": trial.state}
    if trial.reason is not None:
        tags["reason"] = trial.reason
    if trial.reason is not None or trial.changes:
        tags["mlflow.note.content"] = mlflow_form.trial_note(study, trial)
    client.log_batch(delivered.run_id, tags=[RunTag(name, value) for name, value in tags.items()])
    client.set_terminated(delivered.run_id, STATUS[trial.state], mlflow_form.end_ms(study, trial))
    delivered.is_final = True

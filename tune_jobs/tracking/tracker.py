"""Delivers what a study has and MLflow does not."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tune_jobs import exports
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import State, TestResult, TrialRecord
from tune_jobs.settings import Settings
from tune_jobs.tracking import store, words

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from tune_jobs.models.lazy_keras import keras

_STATUS: Mapping[State, str] = {"complete": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
_METRICS_A_BATCH = 1000  # MLflow's limit
_STUDY_TAG = "mlflow.tune_jobs.study"  # so named, the table does not show it


@dataclass
class _Delivered:
    """What MLflow is known to have of one trial."""

    run_id: str
    epochs: int = 0
    is_final: bool = False
    is_described: bool = False  # whether it has its params and its dataset
    is_tested: bool = False  # whether it has what came of the test split


@dataclass
class Tracker:
    """Delivers one study's records. Holds run ids in hand; nothing depends on an active run.

    Every method may raise MLflow's exceptions while the store is away; calling it again later goes on where it was.
    """

    settings: Settings
    latest: Callable[[], StudyRecord] | None = None  # reads the study again; where there is none, it does not change
    _client: MlflowClient | None = None
    _experiment: str = ""
    _parent: str = ""
    _runs: dict[int, _Delivered] = field(default_factory=dict)

    def deliver(self, study: StudyRecord) -> int:
        """Brings MLflow up to date; the number of trials that had news."""
        client = self._connect(study)
        news = 0
        try:
            for trial in study.trials:
                delivered = self._runs.get(trial.number)
                if trial.state != "waiting" and (delivered is None or not delivered.is_final):
                    news += self._deliver_trial(client, study, trial, delivered)
                if trial.tested is not None and trial.tested.metrics and not self._runs[trial.number].is_tested:
                    self._deliver_test(client, study, trial, trial.tested)
                    news += 1
        except Exception:
            self._client = None  # a call that failed here may have been heard there: MLflow is asked what it has
            raise
        return news

    def forget(self, study: StudyRecord) -> int:
        """Marks the study's runs as deleted, which `mlflow gc` then removes; how many there were."""
        client = store.client(self.settings)
        known = client.get_experiment_by_name(study.terms.task)
        self._experiment = "" if known is None else str(known.experiment_id)
        parent = None if known is None else self._find_parent(client, study)
        if parent is None:
            return 0
        self._parent = parent
        runs = [delivered.run_id for delivered in self._find_trials(client, study).values()]
        for run_id in (*runs, parent):  # the parent last: as long as it is there, the others are found
            client.delete_run(run_id)
        return len(runs) + 1

    def close(self, study: StudyRecord) -> None:
        """The leaderboard becomes an artifact of the parent run, which ends, to be taken up by the next launch."""
        client = self._connect(study)
        self._runs = self._find_trials(client, study)  # what was heard late came after the last look
        with tempfile.TemporaryDirectory() as folder:
            exports.write_all(study, Path(folder))
            client.log_artifacts(self._parent, folder, "leaderboard")
        best = exports.best_row(study)
        if best is not None:
            client.log_metric(self._parent, f"best_{study.terms.objective.metric}", best.score)
        if study.terms.further_objectives:
            client.log_metric(self._parent, "front_size", float(exports.front_size(study)))
        client.set_tag(self._parent, "mlflow.note.content", words.study_note(study))
        client.set_terminated(self._parent, "FINISHED")

    def log_model(self, study_name: str, model: keras.Model, sample: Any, score: float, metric: str) -> str:
        """A trained model with its signature, as a run of its own beside the study's; its MLflow URI."""
        import mlflow
        from mlflow.models import infer_signature

        client = store.client(self.settings)
        experiment = self._experiment_id(client, study_name)
        run = client.create_run(experiment, run_name=f"{study_name}-train")
        mlflow.set_tracking_uri(self.settings.tracking_uri)
        signature = infer_signature(sample, model.predict(sample, verbose=0))
        client.log_metric(run.info.run_id, f"best_{metric}", score)
        with mlflow.start_run(run_id=run.info.run_id):
            logged = mlflow.keras.log_model(
                model, name="model", signature=signature, pip_requirements=["tensorflow", "keras"]
            )
        return str(logged.model_uri)

    def _connect(self, study: StudyRecord) -> MlflowClient:
        """The client, with the study's runs found or, at the first time, made."""
        if self._client is not None:
            return self._client
        client = store.client(self.settings)
        self._experiment = self._experiment_id(client, study.terms.task)
        self._parent = self._find_parent(client, study) or self._create_parent(client, study)
        client.update_run(self._parent, status="RUNNING")
        self._runs = self._find_trials(client, study)
        self._client = client
        return client

    def _experiment_id(self, client: MlflowClient, name: str) -> str:
        known = client.get_experiment_by_name(name)
        if known is not None:
            return str(known.experiment_id)
        is_server = self.settings.tracking_uri.startswith("http")
        location = None if is_server else (self.settings.artifacts_dir / name).as_uri()
        kind = {"mlflow.experimentKind": "custom_model_development"}  # else the UI opens on traces of language models
        return str(client.create_experiment(name, artifact_location=location, tags=kind))

    def _find_parent(self, client: MlflowClient, study: StudyRecord) -> str | None:
        """The study's run. A second one was made by a call that was given up and heard late: it has no trials."""
        found = client.search_runs([self._experiment], f"tags.`{_STUDY_TAG}` = '{study.identity}'", max_results=10)
        parents = [str(run.info.run_id) for run in found]
        if len(parents) > 1:
            parents.sort(key=lambda parent: not self._has_trials(client, parent))
        for late in parents[1:]:
            client.delete_run(late)
        return parents[0] if parents else None

    def _has_trials(self, client: MlflowClient, parent: str) -> bool:
        return bool(client.search_runs([self._experiment], f"tags.`mlflow.parentRunId` = '{parent}'", max_results=1))

    def _create_parent(self, client: MlflowClient, study: StudyRecord) -> str:
        run = client.create_run(
            self._experiment,
            start_time=int(study.created * 1000),
            tags={_STUDY_TAG: study.identity, "mlflow.note.content": words.study_note(study)}
            | words.system_tags(study),
            run_name=study.name,
        )
        return str(run.info.run_id)

    def _find_trials(self, client: MlflowClient, study: StudyRecord) -> dict[int, _Delivered]:
        found: dict[int, _Delivered] = {}
        for run in self._of_this_study(client, study):
            number = _number(run)
            if number in found:  # by a call that was given up and heard late, as a parent's
                client.delete_run(run.info.run_id if found[number].is_described else found[number].run_id)
                if found[number].is_described:
                    continue
            found[number] = _Delivered(
                run.info.run_id,
                epochs=self._epochs(client, study, run),
                is_final=run.info.status in _STATUS.values(),
                is_described=bool(run.inputs.dataset_inputs),
                is_tested=any(name.startswith("test_") for name in run.data.metrics),
            )
        return found

    def _of_this_study(self, client: MlflowClient, study: StudyRecord) -> list[Run]:
        """The trials' runs. Those of a time that the study does not remember, because it was restored from a backup,
        are removed: their numbers have gone or will go to other trials. MLflow is never ahead of the study, so that a
        run is judged by a record which was read after it was found."""
        runs, token = [], None
        while True:
            page = client.search_runs(
                [self._experiment], f"tags.`mlflow.parentRunId` = '{self._parent}'", max_results=1000, page_token=token
            )
            runs += page
            token = page.token
            if not token:
                break
        known = _known(study, runs)
        if self.latest is not None and len(known) < len(runs):
            known = _known(self.latest(), runs)
        for run_id in {run.info.run_id for run in runs} - {run.info.run_id for run in known}:
            client.delete_run(run_id)
        return known

    def _epochs(self, client: MlflowClient, study: StudyRecord, run: Run) -> int:
        metric = study.terms.objective.metric
        if run.info.status != "RUNNING" or metric not in run.data.metrics:
            return 0
        return max(int(point.step) for point in client.get_metric_history(run.info.run_id, metric))

    def _deliver_trial(
        self, client: MlflowClient, study: StudyRecord, trial: TrialRecord, delivered: _Delivered | None
    ) -> bool:
        if delivered is None:
            delivered = self._create_trial(client, study, trial)
            self._runs[trial.number] = delivered
        elif not trial.is_finished and len(trial.history) <= delivered.epochs:
            return False
        if not delivered.is_described:
            self._describe(client, study, trial, delivered)
        metrics = words.metrics(trial, study.terms.objective.metric, delivered.epochs)
        metrics += words.values(trial, study.terms)
        for start in range(0, len(metrics), _METRICS_A_BATCH):
            client.log_batch(delivered.run_id, metrics=metrics[start : start + _METRICS_A_BATCH])
        delivered.epochs = max(delivered.epochs, len(trial.history))
        if trial.is_finished:
            self._finish(client, study, trial, delivered)
        return True

    def _deliver_test(self, client: MlflowClient, study: StudyRecord, trial: TrialRecord, tested: TestResult) -> None:
        """What a finalist came to on the test split, added to its run, which has ended; the metrics last, since by
        them it is known that all is there."""
        from mlflow.entities import Metric

        delivered = self._runs[trial.number]
        with tempfile.TemporaryDirectory() as folder:
            if exports.write_test(study, trial, Path(folder)):
                client.log_artifacts(delivered.run_id, folder, "test")
        at = words.ms(trial.finished or 0.0)
        points = [Metric(name, value, at, 0) for name, value in tested.metrics.items()]
        client.log_batch(delivered.run_id, metrics=points)
        delivered.is_tested = True

    def _create_trial(self, client: MlflowClient, study: StudyRecord, trial: TrialRecord) -> _Delivered:
        try:
            return self._created_trial(client, study, trial)
        except Exception as error:
            if not store.is_servers_error(error):
                raise
            heard = self._find_trials(client, study).get(trial.number)  # it may be there all the same
            return heard or self._created_trial(client, study, trial)

    def _created_trial(self, client: MlflowClient, study: StudyRecord, trial: TrialRecord) -> _Delivered:
        run = client.create_run(
            self._experiment,
            start_time=words.ms(trial.started or study.created),
            tags={"mlflow.parentRunId": self._parent, "state": trial.state, "seed": str(trial.seed)}
            | {"mlflow.note.content": words.trial_note(study, trial)}
            | words.system_tags(study),
            run_name=f"{study.name}-{trial.number:04d}",
        )
        return _Delivered(run.info.run_id)

    def _describe(self, client: MlflowClient, study: StudyRecord, trial: TrialRecord, delivered: _Delivered) -> None:
        """The params and, last, the dataset; saying both again changes nothing."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param

        terms = study.terms
        params = [Param(name, value) for name, value in words.said(trial, words.varied(study)).items()]
        client.log_batch(delivered.run_id, params=params)
        dataset = Dataset(terms.dataset, terms.data_digest, "local", json.dumps({"name": terms.dataset}))
        client.log_inputs(delivered.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
        delivered.is_described = True

    def _finish(self, client: MlflowClient, study: StudyRecord, trial: TrialRecord, delivered: _Delivered) -> None:
        from mlflow.entities import RunTag

        tags: dict[str, str] = {"state": trial.state}
        if trial.reason is not None:
            tags["reason"] = trial.reason
        if trial.reason is not None or trial.changes:
            tags["mlflow.note.content"] = words.trial_note(study, trial)
        client.log_batch(delivered.run_id, tags=[RunTag(name, value) for name, value in tags.items()])
        client.set_terminated(delivered.run_id, _STATUS[trial.state], words.end(study, trial))
        delivered.is_final = True


def _number(run: Run) -> int:
    """The trial that a run is named after."""
    return int(run.info.run_name.rsplit("-", 1)[1])


def _known(study: StudyRecord, runs: Sequence[Run]) -> list[Run]:
    """The runs that tell of the trial that has their number: of the same params and seed, and where one has ended, of
    the same end."""
    varied, trials = words.varied(study), {trial.number: trial for trial in study.trials}
    found = []
    for run in runs:
        trial = trials.get(_number(run))
        has_ended = run.info.status in _STATUS.values()
        if (
            trial is not None
            and run.data.tags.get("seed") == str(trial.seed)
            and run.data.params.items() <= words.said(trial, varied).items()
            and (not has_ended or (trial.is_finished and run.info.end_time == words.end(study, trial)))
        ):
            found.append(run)
    return found

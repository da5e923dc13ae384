"""The runs that MLflow has of a study: finds them, creates them, and deletes those that do not belong to the study.

A request may time out here and still be carried out by the server later. It may thus create a run a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import State, TrialRecord
from tune_jobs.settings import Settings
from tune_jobs.tracking import mlflow_form

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

STATUS: Mapping[State, str] = {"complete": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}

_STUDY_TAG = "mlflow.tune_jobs.study"  # MLflow's table hides tags with its own prefix


@dataclass
class DeliveredRun:
    """What MLflow is known to have of one trial."""

    run_id: str
    epochs: int = 0
    is_final: bool = False
    is_described: bool = False  # it has its params and its data set
    is_tested: bool = False  # it has the results on the test split


@dataclass(frozen=True)
class StudyRuns:
    """The runs of one study: a parent, and one nested in it for each trial."""

    client: MlflowClient
    experiment: str  # MLflow's id of it
    parent: str  # MLflow's id of the run

    @classmethod
    def find(cls, client: MlflowClient, experiment: str, study: StudyRecord) -> StudyRuns | None:
        """Return the study's runs; None if there are none. A second parent is deleted: no trial belongs to it."""
        runs = client.search_runs([experiment], f"tags.`{_STUDY_TAG}` = '{study.identity}'", max_results=10)
        candidates = [cls(client, experiment, str(run.info.run_id)) for run in runs]
        if len(candidates) > 1:
            candidates.sort(key=lambda candidate: not candidate._has_trials())
        for duplicate in candidates[1:]:
            client.delete_run(duplicate.parent)
        return candidates[0] if candidates else None

    @classmethod
    def create(cls, client: MlflowClient, experiment: str, study: StudyRecord) -> StudyRuns:
        """Create the study's parent run."""
        note = mlflow_form.study_note(study)
        run = client.create_run(
            experiment,
            start_time=mlflow_form.to_ms(study.created),
            tags={_STUDY_TAG: study.identity, "mlflow.note.content": note} | mlflow_form.system_tags(study),
            run_name=study.name,
        )
        return cls(client, experiment, str(run.info.run_id))

    def create_trial(self, study: StudyRecord, trial: TrialRecord) -> DeliveredRun:
        """Create the run of a trial."""
        run = self.client.create_run(
            self.experiment,
            start_time=mlflow_form.to_ms(trial.started or study.created),
            tags={"mlflow.parentRunId": self.parent, "state": trial.state, "seed": str(trial.seed)}
            | {"mlflow.note.content": mlflow_form.trial_note(study, trial)}
            | mlflow_form.system_tags(study),
            run_name=f"{study.name}-{trial.number:04d}",
        )
        return DeliveredRun(run.info.run_id)

    def trials(self, study: StudyRecord, latest: Callable[[], StudyRecord] | None) -> dict[int, DeliveredRun]:
        """Return the runs of the study's trials by number, and delete all others.

        Others are second runs of a trial, and runs of trials that the study does not have, because it was restored from
        a backup: their numbers belong to other trials now, or soon will. MLflow is never ahead of the study. A run is
        therefore compared with a record that `latest` read after the run was found; None if the study cannot change.
        """
        runs = self._all_trials()
        known = _runs_of(study, runs)
        if latest is not None and len(known) < len(runs):
            known = _runs_of(latest(), runs)
        for run_id in {run.info.run_id for run in runs} - {run.info.run_id for run in known}:
            self.client.delete_run(run_id)
        by_number: dict[int, DeliveredRun] = {}
        for run in known:
            number, delivered = _number(run), self._delivered(study, run)
            duplicate = by_number.get(number)
            if duplicate is not None and duplicate.is_described:
                delivered, duplicate = duplicate, delivered
            if duplicate is not None:
                self.client.delete_run(duplicate.run_id)
            by_number[number] = delivered
        return by_number

    def _has_trials(self) -> bool:
        return bool(self.client.search_runs([self.experiment], self._nested, max_results=1))

    @property
    def _nested(self) -> str:
        """MLflow's filter for the runs nested in the parent."""
        return f"tags.`mlflow.parentRunId` = '{self.parent}'"

    def _all_trials(self) -> list[Run]:
        runs, token = [], None
        while True:
            page = self.client.search_runs([self.experiment], self._nested, max_results=1000, page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs

    def _delivered(self, study: StudyRecord, run: Run) -> DeliveredRun:
        return DeliveredRun(
            run.info.run_id,
            epochs=self._epochs(study, run),
            is_final=run.info.status in STATUS.values(),
            is_described=bool(run.inputs.dataset_inputs),
            is_tested=any(name.startswith("test_") for name in run.data.metrics),
        )

    def _epochs(self, study: StudyRecord, run: Run) -> int:
        """Return how many epochs a running trial's run has; 0 for one that has ended, of which all are there."""
        metric = study.terms.objective.metric
        if run.info.status != "RUNNING" or metric not in run.data.metrics:
            return 0
        return max(int(point.step) for point in self.client.get_metric_history(run.info.run_id, metric))


def find_experiment(client: MlflowClient, name: str) -> str | None:
    """Return the id of an experiment; None if there is none."""
    experiment = client.get_experiment_by_name(name)
    return None if experiment is None else str(experiment.experiment_id)


def find_or_create_experiment(client: MlflowClient, name: str, settings: Settings) -> str:
    """Return the id of an experiment, which is created if there is none."""
    experiment = find_experiment(client, name)
    if experiment is not None:
        return experiment
    is_server = settings.tracking_uri.startswith("http")
    location = None if is_server else (settings.artifacts_dir / name).as_uri()
    kind = {"mlflow.experimentKind": "custom_model_development"}  # else MLflow opens it on traces of language models
    return str(client.create_experiment(name, artifact_location=location, tags=kind))


def _number(run: Run) -> int:
    """Return the number of a run's trial, which is in its name."""
    return int(run.info.run_name.rsplit("-", 1)[1])


def _runs_of(study: StudyRecord, runs: Sequence[Run]) -> list[Run]:
    """Return the runs that match the trial of their number: in params and seed, and in the end of those that ended."""
    names, trials = mlflow_form.varied_params(study), {trial.number: trial for trial in study.trials}
    matching = []
    for run in runs:
        trial = trials.get(_number(run))
        has_ended = run.info.status in STATUS.values()
        if (
            trial is not None
            and run.data.tags.get("seed") == str(trial.seed)
            and run.data.params.items() <= mlflow_form.params(trial, names).items()
            and (not has_ended or (trial.is_finished and run.info.end_time == mlflow_form.end_ms(study, trial)))
        ):
            matching.append(run)
    return matching

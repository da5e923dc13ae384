"""A study as MLflow shows it: one parent run a study, one nested run a trial. The only home of MLflow.

MLflow is a view: everything here is computed from the study's record, and delivering the same record again changes
nothing. Whatever was not delivered therefore waits in the study itself, and no event can be lost. Who delivers, and
when, is `delivery.py`'s.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from search_spaces.domains import Params
from search_spaces.one_factor import space_from_json
from tune_jobs import exports, objectives
from tune_jobs.errors import SettingsError
from tune_jobs.masking import in_words
from tune_jobs.records import State, StudyRecord, StudyTerms, TestResult, TrialRecord
from tune_jobs.settings import Settings, mlflow_login, prepare_mlflow

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from models.lazy_keras import keras

_STATUS: Mapping[State, str] = {"complete": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
_WAITS_S = (0.1, 0.5, 1.0)  # before a call that the server failed at is made again
_METRICS_A_BATCH = 1000  # MLflow's limit
_A_QUESTION = "/api/2.0/mlflow/experiments/search?max_results=1"
_REFUSALS = ("UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED")  # MLflow's names for 401 and 403
_STUDY_TAG = "mlflow.tune_jobs.study"  # so named, the table does not show it


def check(settings: Settings) -> None:
    """Whether the tracking store answers, without importing MLflow.

    Raises:
        SettingsError: if it does not, or not to us, or is a plain folder, which MLflow no longer writes.
    """
    uri, shown = settings.tracking_uri, settings.shown_tracking_uri
    scheme, _, rest = uri.partition("://")
    if scheme in ("http", "https"):
        _check_server(uri, shown)
    elif scheme == "sqlite":
        folder = Path(rest.removeprefix("/")).expanduser().parent
        if not os.access(folder, os.W_OK):
            raise SettingsError(f"MLFLOW_TRACKING_URI is {shown}, and {folder} is no folder that can be written")
    elif scheme not in ("postgresql", "mysql", "mssql") and "+" not in scheme:
        raise SettingsError(
            f"MLFLOW_TRACKING_URI must be http(s)://SERVER, sqlite:///FILE or a database; got {shown} "
            "(MLflow has given up plain folders)"
        )


def _make_file(uri: str) -> None:
    """Makes MLflow's SQLite file where there is none yet, whole or not at all: MLflow makes its tables one after
    another, and takes a file no more in which it was killed meanwhile."""
    from mlflow import MlflowClient

    file = Path(uri.removeprefix("sqlite:///")).expanduser()
    if not uri.startswith("sqlite:///") or file.exists():
        return
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        MlflowClient(tracking_uri=f"sqlite:///{part}").search_experiments(max_results=1)
        os.link(part, file)
    except FileExistsError:
        pass  # made by another process since
    finally:
        part.unlink(missing_ok=True)


def _check_server(uri: str, shown: str) -> None:
    """Whether it is there, and lets us in. Only the first has to be answered at once: a database that is slow today is
    no reason not to train."""
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=5):
            pass
    except urllib.error.HTTPError:
        pass  # it answers; what it says to a stranger is its own affair
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = in_words(str(getattr(error, "reason", None) or error), uri)
        raise SettingsError(
            f"no MLflow server answers at {shown} ({reason}): start it, "
            "or unset MLFLOW_TRACKING_URI to use a local file"
        ) from error
    request = urllib.request.Request(f"{uri.rstrip('/')}{_A_QUESTION}")
    login = mlflow_login()
    if login is not None:
        request.add_unredirected_header("Authorization", login)
    try:
        with urllib.request.urlopen(request, timeout=5):
            return
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            raise refused(shown, f"{error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException):
        return


def refused(shown: str, why: str) -> SettingsError:
    """What to say of a server that is there, and not for us."""
    return SettingsError(
        f"the MLflow server at {shown} refused us ({why}): set MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD to a user of it that may write"
    )


def is_refusal(error: Exception) -> bool:
    """Whether a call failed because the server does not let us: to make it again as we are would change nothing."""
    code = str(getattr(error, "error_code", ""))
    return code in _REFUSALS or re.search(r"error code 40[13]\b|\b40[13] Client Error", str(error)) is not None


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
        client = self._open()
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
        client.set_tag(self._parent, "mlflow.note.content", _study_note(study))
        client.set_terminated(self._parent, "FINISHED")

    def log_model(self, study_name: str, model: keras.Model, sample: Any, score: float, metric: str) -> str:
        """A trained model with its signature, as a run of its own beside the study's; its MLflow URI."""
        import mlflow
        from mlflow.models import infer_signature

        client = self._open()
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

    def _open(self) -> MlflowClient:
        prepare_mlflow()
        from mlflow import MlflowClient

        _make_file(self.settings.tracking_uri)
        return cast("MlflowClient", _Insistent(MlflowClient(tracking_uri=self.settings.tracking_uri)))

    def _connect(self, study: StudyRecord) -> MlflowClient:
        """The client, with the study's runs found or, at the first time, made."""
        if self._client is not None:
            return self._client
        client = self._open()
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
            tags={_STUDY_TAG: study.identity, "mlflow.note.content": _study_note(study)} | _system_tags(study),
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
        metrics = _metrics(trial, study.terms.objective.metric, delivered.epochs) + _values(trial, study.terms)
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
        at = _ms(trial.finished or 0.0)
        points = [Metric(name, value, at, 0) for name, value in tested.metrics.items()]
        client.log_batch(delivered.run_id, metrics=points)
        delivered.is_tested = True

    def _create_trial(self, client: MlflowClient, study: StudyRecord, trial: TrialRecord) -> _Delivered:
        try:
            return self._created_trial(client, study, trial)
        except Exception as error:
            if not _is_servers_error(error):
                raise
            heard = self._find_trials(client, study).get(trial.number)  # it may be there all the same
            return heard or self._created_trial(client, study, trial)

    def _created_trial(self, client: MlflowClient, study: StudyRecord, trial: TrialRecord) -> _Delivered:
        run = client.create_run(
            self._experiment,
            start_time=_ms(trial.started or study.created),
            tags={"mlflow.parentRunId": self._parent, "state": trial.state, "seed": str(trial.seed)}
            | {"mlflow.note.content": _trial_note(study, trial)}
            | _system_tags(study),
            run_name=f"{study.name}-{trial.number:04d}",
        )
        return _Delivered(run.info.run_id)

    def _describe(self, client: MlflowClient, study: StudyRecord, trial: TrialRecord, delivered: _Delivered) -> None:
        """The params and, last, the dataset; saying both again changes nothing."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param

        terms = study.terms
        params = [Param(name, value) for name, value in _said(trial, _varied(study)).items()]
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
            tags["mlflow.note.content"] = _trial_note(study, trial)
        client.log_batch(delivered.run_id, tags=[RunTag(name, value) for name, value in tags.items()])
        client.set_terminated(delivered.run_id, _STATUS[trial.state], _end(study, trial))
        delivered.is_final = True


def _number(run: Run) -> int:
    """The trial that a run is named after."""
    return int(run.info.run_name.rsplit("-", 1)[1])


def _known(study: StudyRecord, runs: Sequence[Run]) -> list[Run]:
    """The runs that tell of the trial that has their number: of the same params and seed, and where one has ended, of
    the same end."""
    varied, trials = _varied(study), {trial.number: trial for trial in study.trials}
    found = []
    for run in runs:
        trial = trials.get(_number(run))
        has_ended = run.info.status in _STATUS.values()
        if (
            trial is not None
            and run.data.tags.get("seed") == str(trial.seed)
            and run.data.params.items() <= _said(trial, varied).items()
            and (not has_ended or (trial.is_finished and run.info.end_time == _end(study, trial)))
        ):
            found.append(run)
    return found


def _end(study: StudyRecord, trial: TrialRecord) -> int:
    return _ms(trial.finished or study.created)


def _said(trial: TrialRecord, names: Sequence[str]) -> dict[str, str]:
    """A trial's params of these names as MLflow has them."""
    return {name: str(trial.params[name]) for name in names if name in trial.params}


class _Insistent:
    """MLflow's client, whose calls are made again when the server answers with an error of its own; but for those that
    make something, which may be there all the same."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return method if name.startswith("create_") else partial(self._insist, method)

    @staticmethod
    def _insist(method: Callable[..., Any], *args: Any, **more: Any) -> Any:
        for wait_s in _WAITS_S:
            try:
                return method(*args, **more)
            except Exception as error:
                if not _is_servers_error(error):
                    raise
                time.sleep(wait_s)
        return method(*args, **more)


def _is_servers_error(error: Exception) -> bool:
    """Whether the server answered, with a 500 or the like; MLflow and requests say it in words alone."""
    return re.search(r"too many 5\d\d error responses|error code 5\d\d|5\d\d Server Error", str(error)) is not None


def _metrics(trial: TrialRecord, objective: str, after: int) -> list[Any]:
    """Each epoch's metrics after epoch `after`; of a trial that ended also its best, under names of their own,
    because MLflow's table shows the last value of a name."""
    from mlflow.entities import Metric

    at = _ms(trial.started or 0.0)
    points = [
        Metric(objective if name == "score" else name, value, at + epoch, epoch)
        for epoch, metrics in enumerate(trial.history, start=1)
        for name, value in metrics.items()
        if epoch > after or (trial.is_finished and name != objective)
    ]
    if trial.is_finished:
        best = {f"best_{objective}": trial.score, "best_epoch": trial.best_epoch}
        points += [Metric(name, float(value), at, 0) for name, value in best.items() if value is not None]
    return points


def _values(trial: TrialRecord, terms: StudyTerms) -> list[Any]:
    """What a trial that ended came to in the objectives after the first: of a metric of its epochs the value at the
    best one, under a name of its own."""
    from mlflow.entities import Metric

    found = {aim.metric: objectives.value(trial, aim) for aim in terms.further_objectives if trial.is_finished}
    at = _ms(trial.started or 0.0)
    of_epochs = {name for metrics in trial.history for name in metrics}
    return [
        Metric(f"best_{name}" if name in of_epochs else name, value, at, 0)
        for name, value in found.items()
        if value is not None
    ]


def _varied(study: StudyRecord) -> Sequence[str]:
    """The parameters that differ between trials: the others would only fill MLflow's table with equal columns."""
    return space_from_json(study.terms.space).varied()


def _trial_note(study: StudyRecord, trial: TrialRecord) -> str:
    lines = [f"trial {trial.number} of study {study.name}, seed {trial.seed}"]
    if trial.reason is not None:
        lines.append(f"**{trial.state}: {trial.reason}** {trial.message or ''}")
    if trial.changes:
        lines.append("Its params changed in flight; `best.yaml` of the winner has how.")
        lines += [f"- from epoch {one.first}: {_words(one.params, _varied(study))}" for one in trial.changes]
    lines += [
        "",
        "| parameter | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in trial.params.items()),
    ]
    return "\n".join([*lines, "", _versions(study)])


def _words(params: Params, names: Sequence[str]) -> str:
    return ", ".join(f"{name}={params[name]}" for name in names if name in params)


def _study_note(study: StudyRecord) -> str:
    terms = study.terms
    space = "\n".join(space_from_json(terms.space).describe())
    return (
        f"task {terms.task} on {terms.dataset} ({terms.data_digest}), {objectives.words(terms.objectives)}, "
        f"seed {terms.seed}{''.join(f', {one}' for one in terms.protocol.special)}; "
        f"readings of the test split: {len(study.readings)}"
        f"\n\n```\n{space}\n```\n\n{_versions(study)}"
    )


def _versions(study: StudyRecord) -> str:
    versions: Mapping[str, str] = study.launch.versions if study.launch else {}
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _system_tags(study: StudyRecord) -> dict[str, str]:
    tags = {"mlflow.source.name": "tune-jobs", "mlflow.source.type": "JOB"}
    protocol = study.terms.protocol
    tags |= {name: str(protocol.said[name]) for name in ("precision", "deterministic") if name in protocol.said}
    if study.launch is not None and study.launch.commit is not None:
        tags["mlflow.source.git.commit"] = study.launch.commit
    return tags


def _ms(seconds: float) -> int:
    return int(seconds * 1000)

"""What MLflow shows of a study, whatever happened on the way there: each trial once, each point once."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tests.support.sweeping import Logged, logged
from tests.support.trials import changed, trial_record
from tune_jobs import tracking
from tune_jobs.environment import prepare_mlflow
from tune_jobs.errors import SettingsError
from tune_jobs.records.studies import Launch, StudyRecord, StudyTerms
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces import Choice, Fixed, Float, Int, Objective, Protocol, Space, Task, Variants
from tune_jobs.search_spaces.catalog import TASKS
from tune_jobs.settings import Settings
from tune_jobs.tracking import views
from tune_jobs.tracking.tracker import Tracker

prepare_mlflow()

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables

SPACE = Space(
    optimizer=Variants(sgd=Space(momentum=Choice(0.0, 0.9)), adam=Space()),
    rate=Float(1e-4, 1.0, log=True),
    units=Fixed(8, Int(4, 16)),
)
EPOCH = {"loss": 0.5, "accuracy": 0.7, "val_loss": 0.6, "val_accuracy": 0.65}


def history(*scores: float) -> tuple[dict[str, float], ...]:
    return tuple({**EPOCH, "val_accuracy": score} for score in scores)


def ended(number: int, *scores: float, **changes: Any) -> TrialRecord:
    """A complete trial."""
    best = max(range(len(scores)), key=lambda epoch: scores[epoch])
    known: dict[str, Any] = {
        "number": number,
        "params": {"optimizer": "adam", "rate": 0.01 * (number + 1), "units": 8},
        "seed": 7,
        "state": "complete",
        "attempts": 1,
        "score": scores[best],
        "best_epoch": best + 1,
        "metrics": history(*scores)[best],
        "history": history(*scores),
        "started": 1.7e9 + number,
        "finished": 1.7e9 + number + 60,
        "train_seconds": 12.5,
        "weights": 1234,
        "cpus": 1.0,
    }
    return trial_record(**known | changes)


FAILED = changed(
    ended(2, 0.1),
    state="failed",
    score=None,
    best_epoch=None,
    metrics={},
    reason="diverged",
    message="val_loss was nan in epoch 2",
)
SGD = {"optimizer": "sgd", "momentum": 0.9, "rate": 0.5, "units": 8}
TRIALS = (
    ended(0, 0.5, 0.9, 0.7),
    ended(1, 0.6, 0.4, params=SGD),
    FAILED,
    ended(3, 0.3, state="stopped"),
    TrialRecord(4, {"optimizer": "adam", "rate": 0.2, "units": 8}, 7, "waiting"),
)


def running(trial: TrialRecord, epochs: int) -> TrialRecord:
    """As the study knows it while it runs: scores, and nothing else yet."""
    scores = tuple(metrics["val_accuracy"] for metrics in trial.history[:epochs])
    return TrialRecord(
        trial.number, trial.params, trial.seed, "running", attempts=1, scores=scores, started=trial.started
    )


_identities = (f"identity-{n}" for n in itertools.count())


def study(*trials: TrialRecord, identity: str | None = None) -> StudyRecord:
    terms = StudyTerms(
        task="rows",
        task_digest="0123456789ab",
        reference="rows",
        dataset="digits",
        data_digest="1234567890abcdef",
        space=SPACE.to_json(),
        objective=Objective("val_accuracy", "maximize"),
        protocol=Protocol(epochs=3),
        seed=7,
    )
    launch = Launch("grid", 5, "host", 1.7e9, "abc123", {"keras": "3.15"})
    return StudyRecord("first", identity or next(_identities), terms, launch, 1.7e9, trials)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A store of this module's own, with its tables made."""
    home = tmp_path_factory.mktemp("store")
    settings = Settings(home, home / "data", storage=None, tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
    settings.prepare()
    return settings


@pytest.fixture(scope="module")
def record() -> StudyRecord:
    return study(*TRIALS)


@pytest.fixture(scope="module")
def shown(store: Settings, record: StudyRecord) -> Logged:
    """A study of all states, delivered and closed."""
    tracker = Tracker(store)
    assert tracker.deliver(record) == 4
    tracker.close(record)
    return logged(store, record)


@pytest.mark.slow
def test_a_file_whose_making_was_killed_is_made_anew(tmp_path: Path, settings: Settings) -> None:
    code = "import os, sys; from pathlib import Path; from tune_jobs.tracking import own_file; "
    code += "own_file.os.link = lambda *files: os.kill(os.getpid(), 9); own_file.make(*map(Path, sys.argv[1:]))"
    settings.home.mkdir(parents=True)
    killed = subprocess.run([sys.executable, "-c", code, settings.mlflow_file, settings.artifacts_dir], check=False)
    assert killed.returncode == -9
    assert any(part.stat().st_size > 0 for part in settings.home.glob(".mlflow.db.*"))
    assert not (settings.home / "mlflow.db").exists()
    assert tracking.store.client(settings).search_experiments(max_results=1)
    assert (settings.home / "mlflow.db").exists()


def test_a_study_is_one_parent_and_a_nested_run_for_each_trial_begun(shown: Logged) -> None:
    (parent,) = shown.parents
    assert (parent.info.run_name, parent.info.status) == ("first", "FINISHED")
    assert sorted(run.info.run_name for run in shown.trials) == [f"first-{n:04d}" for n in range(4)]


def test_a_trials_end_is_its_runs_status(shown: Logged) -> None:
    status = [shown.run(n).info.status for n in range(4)]
    assert status == ["FINISHED", "FINISHED", "FAILED", "FINISHED"]  # MLflow shows KILLED as a failure
    assert [shown.run(n).data.tags["state"] for n in range(4)] == ["complete", "complete", "failed", "stopped"]
    assert shown.run(0).info.start_time == 1_700_000_000_000
    assert shown.run(0).info.end_time == 1_700_000_060_000


def test_a_failure_says_why(shown: Logged) -> None:
    tags = shown.run(2).data.tags
    assert tags["reason"] == "diverged"
    assert "val_loss was nan in epoch 2" in tags["mlflow.note.content"]
    assert not any(name.startswith("best_") for name in shown.run(2).data.metrics)
    assert "reason" not in shown.run(0).data.tags


def test_params_are_those_that_vary_and_are_active(shown: Logged) -> None:
    assert shown.run(0).data.params == {"optimizer": "adam", "rate": "0.01"}
    assert shown.run(1).data.params == {"optimizer": "sgd", "momentum": "0.9", "rate": "0.5"}
    assert "| units | 8 |" in shown.run(0).data.tags["mlflow.note.content"]  # held, so no column


def test_every_epoch_is_a_point_of_each_metric(shown: Logged) -> None:
    assert shown.curve(0, "val_accuracy") == [(1, 0.5), (2, 0.9), (3, 0.7)]
    assert shown.curve(0, "loss") == [(1, 0.5), (2, 0.5), (3, 0.5)]
    assert shown.curve(2, "val_accuracy") == [(1, 0.1)]


def test_the_best_epoch_has_names_of_its_own(shown: Logged) -> None:
    metrics = shown.run(0).data.metrics
    assert (metrics["best_val_accuracy"], metrics["best_epoch"]) == (0.9, 2.0)
    assert shown.parents[0].data.metrics == {"best_val_accuracy": 0.9}


def test_seed_data_commit_and_versions_are_there(shown: Logged) -> None:
    run = shown.run(0)
    assert run.data.tags["seed"] == "7"
    assert run.data.tags["mlflow.source.git.commit"] == "abc123"
    assert "keras 3.15" in run.data.tags["mlflow.note.content"]
    ((dataset, tags),) = ((d.dataset, d.tags) for d in run.inputs.dataset_inputs)
    assert (dataset.name, dataset.digest) == ("digits", "1234567890abcdef")
    assert [(tag.key, tag.value) for tag in tags] == [("mlflow.data.context", "training")]


def test_the_leaderboard_is_an_artifact_of_the_parent(shown: Logged, store: Settings) -> None:
    from mlflow import MlflowClient

    files = MlflowClient(tracking_uri=store.tracking_uri).list_artifacts(shown.parents[0].info.run_id, "leaderboard")
    assert {"leaderboard/best.yaml", "leaderboard/leaderboard.html"} <= {file.path for file in files}


def test_the_parent_says_what_the_study_is_and_what_came_out_of_it(shown: Logged) -> None:
    (parent,) = shown.parents
    tags = {name: value for name, value in parent.data.tags.items() if not name.startswith("mlflow.")}
    assert tags == {
        "study": "first",
        "task": "rows",
        "search": "grid",
        "trials": "5 trials: 2 complete, 1 stopped, 1 failed (1 diverged), 1 waiting",
        "best_trial": "first-0000",
        "best_params": "optimizer=adam, rate=0.01",
    }
    assert [each.dataset.name for each in parent.inputs.dataset_inputs] == ["digits"]
    note = parent.data.tags["mlflow.note.content"]
    assert "**Best: val_accuracy 0.9**, trial 0" in note
    assert "| rate | 0.01 |" in note
    assert {run.data.tags["study"] for run in shown.trials} == {"first"}
    last = max(trial.finished for trial in TRIALS if trial.finished is not None)
    assert parent.info.end_time == round(1000 * last)  # whenever it is delivered


def view_of(settings: Settings, record: StudyRecord, address: str) -> dict[str, Any]:
    """The state of MLflow's page at the address of a view."""
    from mlflow import MlflowClient

    page, _, asked = address.partition("?")
    experiment = MlflowClient(tracking_uri=settings.tracking_uri).get_experiment(page.split("/")[2])
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert experiment.tags["mlflow.note.content"].endswith("maximize val_accuracy")
    kept = json.loads(experiment.tags[f"mlflow.sharedViewState.{dict(parse_qsl(asked))['viewStateShareKey']}"])
    assert kept["name"] == record.name
    state: dict[str, Any] = json.loads(kept["state"])
    return state


def test_mlflow_keeps_a_view_of_the_trials_with_the_best_first(store: Settings) -> None:
    record = replace(study(TRIALS[0]), name="viewed")
    tracker = Tracker(store)
    tracker.deliver(record)
    assert tracker.view is not None
    assert "workflowType=machine_learning" in tracker.view
    state = view_of(store, record, tracker.view)
    parent = logged(store, record).parents[0].info.run_id
    assert state["searchFilter"] == f"tags.`mlflow.parentRunId` = '{parent}'"
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`best_val_accuracy`", False)
    shown = [column.partition(".")[2].strip("`") for column in state["selectedColumns"]]
    assert shown == ["best_val_accuracy", "best_epoch", "optimizer", "momentum", "rate", "state", "reason"]
    assert [chart["type"] for chart in state["compareRunCharts"]] == ["LINE", "BAR", "PARALLEL"]
    again = Tracker(store)
    again.deliver(record)
    assert again.view == tracker.view
    tracker.forget(record)
    with pytest.raises(KeyError, match="sharedViewState"):
        view_of(store, record, tracker.view)


def test_a_view_has_the_names_that_mlflow_takes_and_every_objective(record: StudyRecord) -> None:
    terms = replace(
        record.terms,
        objective=Objective("error@1", "minimize"),
        further_objectives=(Objective("parameters", "minimize"), Objective("val_loss", "minimize")),
    )
    state = views._state(replace(record, terms=terms), "parent")
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`best_error_1`", True)
    assert state["compareRunCharts"][0]["metricKey"] == "error_1"
    assert {"metrics.`parameters`", "metrics.`val_loss`", "metrics.`best_val_loss`"} <= set(state["selectedColumns"])


def test_parallel_coordinates_have_the_params_of_all_trials_since_mlflow_drops_others(record: StudyRecord) -> None:
    def axes(*trials: TrialRecord) -> list[str]:
        chart = views._state(replace(record, trials=trials), "parent")["compareRunCharts"][2]
        return list(chart["selectedParams"])

    with_momentum = trial_record(0, {"optimizer": "sgd", "momentum": 0.9, "rate": 0.1}, score=0.5)
    without = trial_record(1, {"optimizer": "adam", "rate": 0.1}, score=0.6)
    assert axes(with_momentum) == ["optimizer", "momentum", "rate"]
    assert axes(with_momentum, without) == ["optimizer", "rate"]


def test_runs_of_stopped_trials_from_before_are_changed_in_place(store: Settings) -> None:
    stopped = study(TRIALS[3])
    Tracker(store).deliver(stopped)
    before = logged(store, stopped).run(3)
    client = tracking.store.client(store)
    client.set_terminated(before.info.run_id, "KILLED", before.info.end_time)  # as earlier versions did
    assert Tracker(store).deliver(stopped) == 1
    now = logged(store, stopped)
    assert [run.info.run_id for run in now.trials] == [before.info.run_id]
    assert now.run(3).info.status == "FINISHED"
    assert now.curve(3, "val_accuracy") == [(1, 0.3)]
    assert Tracker(store).deliver(stopped) == 0


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_mlflows_table_has_at_most_fifteen_columns_beside_a_dozen_parameters(task: Task, shown: Logged) -> None:
    runs = [*shown.trials, *shown.parents]
    metrics = {name for run in runs for name in run.data.metrics}
    tags = {name for run in runs for name in run.data.tags if not name.startswith("mlflow.")}
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= metrics
    assert len(metrics) + len(tags) <= 15
    assert len(task.space.varied()) <= 12


def test_delivering_again_changes_nothing(shown: Logged, store: Settings, record: StudyRecord) -> None:
    again = Tracker(store)
    assert again.deliver(record) == 0
    again.close(record)
    assert again.deliver(record) == 0
    now = logged(store, record)
    assert now.facts == shown.facts
    assert len(now.parents) == 1


def test_a_running_trials_score_is_there_epoch_by_epoch(store: Settings) -> None:
    tracker, first = Tracker(store), study(running(TRIALS[0], 1))
    assert tracker.deliver(first) == 1
    assert logged(store, first).run(0).info.status == "RUNNING"
    assert tracker.deliver(first) == 0
    second = replace(first, trials=(running(TRIALS[0], 2),))
    assert tracker.deliver(second) == 1
    assert logged(store, second).curve(0, "val_accuracy") == [(1, 0.5), (2, 0.9)]
    tracker.deliver(replace(first, trials=(TRIALS[0],)))
    last = logged(store, first)
    assert last.curve(0, "val_accuracy") == [(1, 0.5), (2, 0.9), (3, 0.7)]
    assert last.curve(0, "loss") == [(1, 0.5), (2, 0.5), (3, 0.5)]


def test_a_trial_that_was_interrupted_continues_its_own_run(store: Settings) -> None:
    first = study(running(TRIALS[0], 2))
    Tracker(store).deliver(first)
    begun = logged(store, first).run(0).info.run_id
    again = changed(TRIALS[0], attempts=2, started=1.7e9 + 500, finished=1.7e9 + 600)
    Tracker(store).deliver(replace(first, trials=(again,)))
    run = logged(store, first)
    assert run.run(0).info.run_id == begun
    assert run.curve(0, "val_accuracy") == [(1, 0.5), (2, 0.9), (3, 0.7)]
    assert [len(run.curve(0, name)) for name in ("loss", "best_val_accuracy")] == [3, 1]


def test_a_new_study_of_the_same_name_gets_runs_of_its_own(store: Settings, record: StudyRecord) -> None:
    new = replace(record, identity=next(_identities))
    assert Tracker(store).deliver(new) == 4
    assert len(logged(store, new).parents) == 1


@pytest.mark.slow
def test_what_a_restored_study_does_not_remember_is_gone_from_mlflow(store: Settings) -> None:
    lost = study(*(ended(number, 0.2, 0.3) for number in range(6)))
    Tracker(store).deliver(lost)
    kept = {number: logged(store, lost).run(number).info.run_id for number in range(6)}
    now = replace(
        lost,
        trials=(
            lost.trials[0],
            replace(lost.trials[1], params=SGD),  # its number went to others
            changed(lost.trials[2], finished=1.7e9 + 500),  # it was run again
            replace(lost.trials[3], seed=8),
            running(lost.trials[4], 1),  # it runs again now
        ),
    )
    tracker = Tracker(store, lambda: now)
    assert tracker.deliver(lost) == 0  # whoever read the study before: what it has is not taken from MLflow yet
    assert tracker.deliver(now) == 0
    assert Tracker(store, lambda: now).deliver(now) == 4
    fresh = replace(now, identity=next(_identities))
    Tracker(store).deliver(fresh)
    found = logged(store, now)
    assert [_without_links(fact) for fact in found.facts] == [
        _without_links(fact) for fact in logged(store, fresh).facts
    ]
    assert found.run(0).info.run_id == kept[0]
    assert {run.info.run_id for run in found.trials} & set(kept.values()) == {kept[0]}


def test_a_run_is_judged_by_what_the_study_has_now(store: Settings) -> None:
    before = study(running(TRIALS[0], 1))
    now = replace(before, trials=(TRIALS[0], TRIALS[1]))
    Tracker(store).deliver(now)
    begun = {run.info.run_id for run in logged(store, now).trials}
    assert Tracker(store, lambda: now).deliver(before) == 0
    assert {run.info.run_id for run in logged(store, now).trials} == begun


class _Killed(BaseException):
    """The deliverer's process ends here."""


class _AwayError(Exception):
    """MLflow's server does not answer."""


class _Client:
    """MLflow's client, which fails at its `at`-th change: before it is heard, or after."""

    CHANGES = ("create_run", "log_batch", "log_inputs", "set_tag", "log_artifacts", "set_terminated", "update_run")

    def __init__(self, client: Any, at: int, is_heard: bool, error: type[BaseException]) -> None:
        self._client, self._left, self._is_heard, self._error = client, at, is_heard, error

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if name not in self.CHANGES:
            return method

        def change(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                if self._is_heard:
                    method(*args, **kwargs)
                raise self._error
            return method(*args, **kwargs)

        return change


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, bool, type[BaseException]], None]]:
    """Makes the next client fail; the one after it works."""
    opened = tracking.store.client
    plans: list[tuple[int, bool, type[BaseException]]] = []

    def open_client(settings: Settings, *say: Any) -> Any:
        client = opened(settings, *say)
        return _Client(client, *plans.pop()) if plans else client

    monkeypatch.setattr(tracking.store, "client", open_client)
    return lambda at, is_heard, error: plans.append((at, is_heard, error))


def _without_links(fact: dict[str, Any]) -> dict[str, Any]:
    """Without what says which study's run it is."""
    links = ("mlflow.parentRunId", "mlflow.tune_jobs.trial_of")
    return fact | {"tags": {name: value for name, value in fact["tags"].items() if name not in links}}


@pytest.mark.slow
@pytest.mark.parametrize("is_heard", [True, False], ids=["heard", "unheard"])
@pytest.mark.parametrize("error", [_Killed, _AwayError])
def test_a_deliverer_that_fails_at_any_call_leaves_nothing_missing_and_nothing_twice(
    store: Settings, shown: Logged, failing: Callable[..., None], is_heard: bool, error: type[BaseException]
) -> None:
    expected = [_without_links(fact) for fact in shown.facts[1:3]]
    for at in range(1, 50):
        record = study(TRIALS[1], FAILED)
        failing(at, is_heard, error)
        tracker = Tracker(store)
        has_failed = False
        try:
            tracker.deliver(record)
            tracker.close(record)
        except error:
            has_failed = True
            tracker = Tracker(store) if error is _Killed else tracker  # one that was away is asked again
            tracker.deliver(record)
            tracker.close(record)
        now = logged(store, record)
        assert [run.info.status for run in now.parents] == ["FINISHED"], at
        assert [_without_links(fact) for fact in now.facts] == expected, at
        if not has_failed:
            assert at > 10  # a parent, and five changes of each trial
            return
    raise AssertionError("every call failed")


@pytest.mark.slow
@pytest.mark.parametrize("scores", [(0.5, 0.9, 0.7), (0.5, 0.9), (0.5, 0.8, 0.7)], ids=["same", "shorter", "other"])
def test_an_attempt_that_mlflow_had_in_part_leaves_no_point_beside_those_of_the_next(
    store: Settings, failing: Callable[..., None], scores: tuple[float, ...]
) -> None:
    """A study that is restored from a backup runs trials again, of which MLflow may have all but the end."""
    before = study(ended(0, 0.5, 0.9, 0.7))
    again = ended(0, *scores, started=1.7e9 + 500, finished=1.7e9 + 600)
    now = replace(before, trials=(again,))
    fresh = replace(now, identity=next(_identities))
    Tracker(store).deliver(fresh)
    expected = [_without_links(fact) | {"ended": None} for fact in logged(store, fresh).facts]
    for at in range(5, 50):
        lost = replace(before, identity=next(_identities))
        failing(at, True, _Killed)
        try:
            Tracker(store).deliver(lost)
        except _Killed:
            record = replace(now, identity=lost.identity)
            Tracker(store).deliver(record)
            found = logged(store, record).facts
            assert [_without_links(fact) | {"ended": None} for fact in found] == expected, at
        else:
            assert at > 7
            return
    raise AssertionError("every call failed")


class _Losing:
    """MLflow's client, of which every answer to a change is lost once: the server hears it, and fails."""

    def __init__(self, client: Any) -> None:
        self._client, self._lost = client, set[str]()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if name.startswith(("get_", "search_", "list_", "create_")):  # what creates is not repeated
            return method

        def change(*args: Any, **kwargs: Any) -> Any:
            answer = method(*args, **kwargs)
            call = repr((name, args, sorted(kwargs)))
            if call in self._lost:
                return answer
            self._lost.add(call)
            raise RuntimeError("API request failed with error code 500")

        return change


@pytest.mark.slow
def test_a_call_whose_answer_was_lost_is_repeated_without_harm(
    store: Settings, shown: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking.store, "_RETRY_WAITS_S", (0.0,))
    plain = tracking.store.client(store)._client
    record, expected = study(TRIALS[1], FAILED), [_without_links(fact) for fact in shown.facts[1:3]]
    with monkeypatch.context() as patch:
        patch.setattr(tracking.store, "client", lambda *_: tracking.store._RetryingClient(_Losing(plain)))
        for _ in range(3):
            tracker = Tracker(store)
            tracker.deliver(record)
            tracker.close(record)
            found = logged(store, record)
            assert [_without_links(fact) for fact in found.facts] == expected
            (parent,) = found.parents
            plain.delete_run(found.run(1).info.run_id)  # people do
            plain.delete_run(parent.info.run_id)
            extra = plain.create_run(parent.info.experiment_id, tags=found.run(2).data.tags)
            assert extra.info.lifecycle_stage == "active"


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://127.0.0.1:1", "no MLflow server answers at http://127.0.0.1:1"),
        ("https://no-such-host.invalid", "no MLflow server answers"),
        ("file:///tmp/mlruns", "MLFLOW_TRACKING_URI must be"),
        ("mlruns", "MLFLOW_TRACKING_URI must be"),
        ("ftp://somewhere", "MLFLOW_TRACKING_URI must be"),
        ("sqlite:////no/such/folder/mlflow.db", "the folder /no/such/folder cannot be written"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused_in_one_line(settings: Settings, uri: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        tracking.check(replace(settings, tracking_uri=uri))
    assert words in str(caught.value)
    assert uri in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("uri", ["postgresql://db/mlflow", "postgresql+psycopg://db/mlflow", "mysql+pymysql://db/m"])
def test_databases_are_left_to_mlflow(settings: Settings, uri: str) -> None:
    tracking.check(replace(settings, tracking_uri=uri))


def test_the_default_store_is_accepted(tmp_path: Path) -> None:
    settings = Settings.read(home=tmp_path / "home")
    settings.prepare()
    tracking.check(replace(settings, tracking_uri=f"sqlite:///{settings.home / 'mlflow.db'}"))


@pytest.mark.slow
def test_the_files_that_trials_report_are_artifacts_of_their_runs(
    store: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    without_data = study(*TRIALS[:2])
    terms = replace(without_data.terms, dataset="none", data_digest="none")
    record = replace(without_data, terms=terms, name="reports")
    folder = store.trial_files_dir("reports") / "0001"
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("one")
    tracker = Tracker(store)
    tracker.close(record)

    client, runs = MlflowClient(tracking_uri=store.tracking_uri), logged(store, record)
    names = [[file.path for file in client.list_artifacts(runs.run(n).info.run_id, "artifacts")] for n in range(2)]
    assert names == [[], ["artifacts/log.txt"]]
    assert runs.run(1).inputs.dataset_inputs == []
    assert runs.parents[0].data.tags["mlflow.note.content"].startswith("task rows, maximize val_accuracy, seed 7")

    sent: list[str] = []
    monkeypatch.setattr(MlflowClient, "log_artifacts", lambda *args: sent.append(args[-1]))
    Tracker(store).close(record)  # nothing is new
    (folder / "log.txt").write_text("other")
    Tracker(store).close(record)
    assert sent == ["leaderboard", "artifacts", "leaderboard"]


def test_the_pictures_of_a_trial_are_images_of_their_epochs_and_sent_once(store: Settings) -> None:
    import numpy as np

    from tune_jobs.records import trial_pictures

    packed = trial_pictures.pack({"samples": np.eye(4, dtype=np.uint8), "walk": np.zeros((4, 8, 3), np.uint8)})
    progress = tuple(trial_pictures.EpochPictures(epoch, {"training": packed["samples"]}) for epoch in (1, 2))
    record = study(ended(0, 0.5, 0.9, pictures=packed, progress=progress))
    for _ in range(2):  # the second does not know of the first
        tracker = Tracker(store)
        tracker.deliver(record)
        run = tracker._delivered[0]
        run.is_final = False
        tracker.deliver(record)
    client = tracker._connect(record).client
    files = [file.path for file in client.list_artifacts(run.run_id, "images") if file.path.endswith(".png")]
    assert sorted(path.removeprefix("images/").split("+timestamp")[0] for path in files) == [
        "samples+step+2",
        "training+step+1",
        "training+step+2",
        "walk+step+2",
    ]

"""What MLflow refuses is named and left out, all else is delivered; a refusal is not a server that is away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.people import TRIALS, settings_of, study, sync, trial
from tests.support.sweeping import Own, called, finished_study, logged, own_task
from tune_jobs.actions import status
from tune_jobs.environment import prepare_mlflow
from tune_jobs.errors import SettingsError
from tune_jobs.search_spaces import Choice, Float, Objective, Space
from tune_jobs.settings import Settings
from tune_jobs.tracking import delivery, marks, report, store
from tune_jobs.tracking.report import Report

prepare_mlflow()

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_of(tmp_path_factory.mktemp("store") / "home")


def reporting(number: int, epoch: dict[str, float], objective: str = "val_accuracy") -> Any:
    return trial(number, history=({objective: 0.1, **epoch},), metrics={objective: 0.1, **epoch}, best_epoch=1)


@pytest.mark.slow
def test_metrics_of_any_name_are_there_under_the_nearest_name_with_the_true_one_in_a_tag(home: Settings) -> None:
    epoch = {"precision@1": 0.1, "precision#1": 0.2, "rate[0]": 0.3, "größe": 0.4, "/x": 0.5, "a" * 300: 0.6}
    epoch |= {"..": 0.7, "best_epoch": 0.8, "val_f1 (%)": 0.9}
    record = study(reporting(0, epoch), reporting(1, epoch), task="names")
    tracker = sync(home, record)
    assert (tracker.failed, tracker.left_out) == ({}, {})
    for run in logged(home, record).trials:
        true = {name.removeprefix("true_name."): value for name, value in run.data.tags.items() if "true_name" in name}
        found = {true.get(name, name): value for name, value in run.data.metrics.items() if name not in OURS}
        assert {name: found[name] for name in epoch if len(name) < 250} == {
            n: v for n, v in epoch.items() if len(n) < 250
        }
        assert "a" * 300 in true.values()
        assert (run.data.metrics["rate_0_"], run.data.metrics["best_epoch"]) == (0.3, 1.0)
    before = logged(home, record).facts
    assert sync(home, record).deliver(record) == 0
    assert logged(home, record).facts == before


OURS = {"val_accuracy", "best_val_accuracy", "best_epoch"}


def test_an_objective_of_an_odd_name_is_there_epoch_by_epoch(home: Settings) -> None:
    objective = Objective("precision@1", "maximize")
    record = study(reporting(0, {"precision_1": 0.9}, "precision@1"), task="objective", objective=objective)
    sync(home, record)
    found = logged(home, record)
    assert found.curve(0, "precision_1") == [(1, 0.1)]
    assert found.run(0).data.metrics["best_precision_1"] == 0.05
    assert found.run(0).data.tags["true_name.precision_1"] == "precision@1"
    assert sorted(value for value in found.run(0).data.metrics.values()) == [0.05, 0.1, 0.9, 1.0]
    assert found.parents[0].data.metrics == {"best_precision_1": 0.05}


@pytest.mark.slow
def test_odd_params_and_long_values_are_there_and_the_same_at_the_next_delivery(home: Settings) -> None:
    texts = ("x" * 9000, "😀\n" * 4000, "")
    space = Space(rate=Float(0.0, 1.0), text=Choice(*texts), länge=Choice(1, 2))
    trials = [trial(n, params={"rate": 0.5, "text": text, "länge": 1}) for n, text in enumerate(texts)]
    record = study(*trials, task="values", space=space.to_json())
    tracker = sync(home, record)
    assert (tracker.failed, tracker.left_out) == ({}, {})
    runs = {run.info.run_id: run.data.params["text"] for run in logged(home, record).trials}
    assert sorted(runs.values()) == sorted(text[:6000] for text in texts)
    again = sync(home, record)
    assert {run.info.run_id for run in logged(home, record).trials} == set(runs)
    assert again.deliver(record) == 0


@pytest.mark.slow
def test_a_long_failure_and_values_that_are_not_finite_are_there(home: Settings) -> None:
    epoch = {"loss": float("nan"), "norm": float("inf"), "low": float("-inf")}
    long = trial(1, state="failed", score=None, best_epoch=None, reason="crashed", message="why " * 4000)
    record = study(reporting(0, epoch), long, task="long")
    tracker = sync(home, record)
    assert (tracker.failed, tracker.left_out) == ({}, {})
    found = logged(home, record)
    assert set(epoch) <= set(found.run(0).data.metrics)
    assert len(found.run(1).data.tags["mlflow.note.content"]) == 8000
    assert sync(home, record).deliver(record) == 0


@pytest.mark.slow
def test_a_param_that_somebody_logged_otherwise_is_named_and_the_rest_is_there(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_LOGGING", "true")  # of the user's, with which a refusal would be lost
    record, client = study(*TRIALS, task="taken"), store.client(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "client", lambda *words: Meddling(client))
        tracker = sync(home, record)
    assert list(tracker.left_out) == [f"param 'rate' of trial {n}" for n in range(3)]
    assert "Changing param values is not allowed" in tracker.left_out["param 'rate' of trial 0"]
    found = logged(home, record)
    assert [found.run(n).data.params["kind"] for n in range(3)] == ["a"] * 3
    assert [found.run(n).info.status for n in range(3)] == ["FINISHED", "FAILED", "FINISHED"]
    assert "param 'rate'" in found.run(0).data.tags[marks.LEFT_OUT]
    assert list(sync(home, record).left_out) == list(tracker.left_out)  # said again, for it is not there yet


class Meddling:
    """MLflow's client, and somebody who logs to each run as soon as it is there."""

    def __init__(self, client: Any, param: str = "rate") -> None:
        self._client, self._param = client, param

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def create_run(self, *words: Any, **more: Any) -> Any:
        run = self._client.create_run(*words, **more)
        if "trial_of" in str(more["tags"]):
            self._client.log_param(run.info.run_id, self._param, "theirs", synchronous=True)
        return run


class Poisoned(Meddling):
    """A server that fails with all that is said of one trial."""

    def create_run(self, *words: Any, **more: Any) -> Any:
        if more["run_name"].endswith("-0001"):
            raise RuntimeError("API request failed with error code 500 != 200")
        return self._client.create_run(*words, **more)


@pytest.mark.slow
def test_a_trial_with_which_the_server_fails_holds_up_no_other(home: Settings) -> None:
    record, client = study(*TRIALS, task="poison"), store.client(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "client", lambda *words: Poisoned(client))
        tracker = sync(home, record)
    assert list(tracker.failed) == [1]
    assert logged(home, record).parents[0].info.status == "FINISHED"
    assert len(logged(home, record).trials) == 2
    assert sync(home, record).failed == {}
    assert len(logged(home, record).trials) == 3


# --- what is said ---


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> tuple[Own, Settings]:
    folder = tmp_path_factory.mktemp("own")
    own, settings = own_task(folder / "task"), settings_of(folder / "home")
    finished_study(own, settings)
    return own, settings


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise SettingsError("the tables are of another version: run `mlflow db upgrade`")

    monkeypatch.setattr(store, "client", refuse)


def test_what_keeps_a_study_from_mlflow_is_said_by_launch_status_and_sync(
    own: tuple[Own, Settings], refusing: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    _, settings = own
    line = "the tables are of another version: run `mlflow db upgrade`"
    monkeypatch.setattr(delivery, "_input_closed", lambda _: True)
    monkeypatch.setattr(delivery.signal, "signal", lambda *_: None)
    monkeypatch.setattr(delivery.process, "give_way", lambda _: None)
    monkeypatch.setattr(delivery.os, "umask", lambda _: None)
    assert delivery.follow("own", settings) == 1
    ended = type("Ended", (), {"pid": 0, "stdin": open("/dev/null"), "wait": lambda self: 1})()  # noqa: PTH123, SIM115
    assert not delivery.Delivery(ended, Path("log"), "own", settings).wait()  # what a launch waits for
    assert capfd.readouterr().err == f"{line}\n"
    assert f"  MLflow    {line}" in list(status.status("own", settings).lines())
    assert status.status("own", settings).to_dict()["mlflow"] == [line]
    with pytest.raises(SettingsError, match="another version"):
        delivery.deliver_once("own", settings)


@pytest.mark.slow
def test_a_sync_says_what_happened_and_a_later_one_clears_it(own: tuple[Own, Settings]) -> None:
    _, settings = own
    delivery.deliver_once("own", settings)
    client = store.client(settings)
    client.delete_experiment(client.get_experiment_by_name("own").experiment_id)
    code, _, said = called(settings, "sync", "own")
    assert (code, "the experiment 'own' was in MLflow's trash: it is restored" in said) == (0, True), said
    delivery.deliver_once("own", settings)
    last = report.read("own", settings)
    assert last == Report(view=last.view)


@pytest.mark.slow
def test_a_sync_that_leaves_something_out_has_exit_code_1(tmp_path: Path) -> None:
    own, settings = own_task(tmp_path / "task"), settings_of(tmp_path / "home")
    record = finished_study(own, settings)
    client = store.client(settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "client", lambda *words: Meddling(client, "width"))
        code, _, said = called(settings, "sync", "own")
    assert code == 1, said
    n = len(record.trials)
    assert said.count("MLflow refused, and has not: param 'width' of trial ") == n
    assert f"has all finished trials, without what it refused ({n})\n" in said
    assert called(settings, "sync", "own")[0] == 1  # for it is not there yet


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("API request failed with error code 413 != 200", "refuses the study"),
        ("400 Client Error: Bad Request for url", "refuses the study"),
        ("API request failed with error code 404 != 200", "failed"),
        ("API request failed with error code 500 != 200", "failed"),
        ("API request failed with error code 429 != 200", "failed"),
        ("Connection refused", "failed"),
    ],
)
def test_a_refusal_is_not_called_away(settings: Settings, text: str, kind: str) -> None:
    assert kind in str(delivery._error(RuntimeError(text), settings))


def test_a_report_that_is_damaged_or_missing_says_nothing(settings: Settings) -> None:
    assert report.read("own", settings) == Report()
    report.write("own", settings, Report("x"))  # no folder yet
    settings.prepare()
    said = Report("why", ("item",), ("news",))
    report.write("own", settings, said)
    assert report.read("own", settings) == said
    assert list(said.lines()) == ["news", "MLflow refused, and has not: item", "why"]
    settings.delivery_file("own").write_text("{")
    assert report.read("own", settings) == Report()

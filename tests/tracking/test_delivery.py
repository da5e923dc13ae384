"""The process that delivers beside a sweep: it keeps up, ends with the driver's pipe, and gives up in time."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.people import settings_of
from tests.support.servers import MlflowServer
from tests.support.sweeping import Own, finished_study, logged, own_task, until
from tune_jobs.exports.best import best_text
from tune_jobs.records.studies import StudyRecord
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.tracking import delivery, store
from tune_jobs.tracking.tracker import Tracker

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TUNE_JOBS_STORAGE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def own(tmp_path: Path) -> Own:
    return own_task(tmp_path / "task", "fine", "raise", width="Choice(1, 2)")


def scores(settings: Settings, record: StudyRecord) -> dict[int, float | None]:
    found = logged(settings, record)
    return {t.number: found.run(t.number).data.metrics.get("best_val_accuracy") for t in record.trials}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["home", "a?b#c %20 & größe"])
def test_a_study_is_delivered_beside_its_driver_and_sync_finds_nothing_left(
    name: str, own: Own, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path / name)
    record = finished_study(own, settings)
    with delivery.alongside("own", settings) as delivered:
        assert delivered.wait()
    assert scores(settings, record) == {trial.number: trial.score for trial in record.trials}
    before = logged(settings, record).facts
    assert delivery.deliver_once("own", settings) == (record, 0)
    assert logged(settings, record).facts == before


@pytest.mark.slow
def test_files_go_to_a_server_which_keeps_them(
    own: Own, settings: Settings, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    away = replace(settings, tracking_uri=mlflow_server.url)
    record = finished_study(own, away)
    delivery.deliver_once("own", away)
    (parent,) = logged(away, record).parents
    assert parent.info.artifact_uri.startswith("mlflow-artifacts:")
    assert not list(away.home.rglob("best.yaml"))
    away.home.rename(tmp_path / "moved")
    moved = replace(away, home=tmp_path / "moved")
    assert delivery.deliver_once("own", moved) == (record, 0)
    folder = Path(store.client(moved).download_artifacts(parent.info.run_id, "leaderboard", str(tmp_path)))
    assert (folder / "best.yaml").read_text(encoding="utf-8") == best_text(record)
    assert not away.home.exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")  # that is the point
def test_delivery_goes_on_to_the_end_when_the_driver_is_gone(own: Own, settings: Settings) -> None:
    record = finished_study(own, settings)
    Tracker(settings).deliver(record)  # so that the store is there to look into
    for run in logged(settings, record).trials:
        store.client(settings).delete_run(run.info.run_id)
    with delivery.alongside("own", settings):
        pass  # the pipe closes, and nobody asks
    until(lambda: len(logged(settings, record).trials) == 4, "all trials in MLflow")
    until(lambda: logged(settings, record).parents[0].info.status == "FINISHED", "the end of the delivery")
    assert scores(settings, record) == {trial.number: trial.score for trial in record.trials}


class _Noted:
    """MLflow, whose calls are noted; the sweep ends while it is imported."""

    failed: dict[int, str] = {}  # noqa: RUF012
    left_out: dict[str, str] = {}  # noqa: RUF012
    news: tuple[str, ...] = ()
    view = None

    def __init__(self, steps: list[str], driver: int) -> None:
        self._steps, self._driver = steps, driver

    def connect(self, record: StudyRecord) -> None:
        self._steps.append("connects")
        os.close(self._driver)

    def deliver(self, record: StudyRecord) -> int:
        self._steps.append("delivers")
        return 0

    def close(self, record: StudyRecord) -> None:
        self._steps.append("closes")


@pytest.mark.parametrize(
    ("says_so", "steps"),
    [(True, ["connects", "gives way", "ceases to", "delivers", "closes"]), (False, ["delivers", "closes"])],
)
def test_mlflow_is_imported_once_the_driver_waits_for_workers_and_gives_way_until_it_waits_for_this(
    says_so: bool, steps: list[str], own: Own, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished_study(own, settings)
    read_end, driver = os.pipe()
    noted: list[str] = []
    monkeypatch.setattr(delivery, "Tracker", lambda *_: _Noted(noted, driver))
    monkeypatch.setattr(delivery.signal, "signal", lambda *_: None)
    monkeypatch.setattr(delivery.os, "umask", lambda _: None)
    monkeypatch.setattr(delivery.process, "give_way", lambda _: noted.append("gives way"))
    monkeypatch.setattr(delivery.process, "end_giving_way", lambda _: noted.append("ceases to"))
    if says_so:
        os.write(driver, b".")
    else:
        os.close(driver)
    with os.fdopen(read_end) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert delivery.follow("own", settings) == 0
    assert noted == steps


class _Study:
    """A study that grows while it is read."""

    def __init__(self, record: StudyRecord) -> None:
        self._record, self._n = record, 0

    def history(self) -> StudyRecord:
        self._n += 1
        return replace(self._record, trials=self._record.trials[: self._n])


class _Tracker:
    """MLflow, away for its first calls; keeps what it got."""

    def __init__(self, n_away: int) -> None:
        self.n_away, self.delivered, self.is_closed = n_away, 0, False

    def deliver(self, record: StudyRecord) -> int:
        self.n_away -= 1
        if self.n_away >= 0:
            raise ConnectionError("nobody answers")
        self.delivered = len(record.trials)
        return 0

    def close(self, record: StudyRecord) -> None:
        self.is_closed = True


@pytest.fixture
def follow(
    own: Own, settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[[_Tracker, int], bool]:
    """Follows a growing study until its driver is done after so many looks, without waiting in between."""
    record = finished_study(own, settings)
    clock = [0.0]

    def wait(seconds: float) -> None:
        clock[0] += seconds

    def run(tracker: _Tracker, looks: int) -> bool:
        left = [looks]

        def input_closed(seconds: float) -> bool:
            wait(seconds)
            left[0] -= 1
            return left[0] < 0

        monkeypatch.setattr(delivery, "_input_closed", input_closed)
        monkeypatch.setattr(delivery.time, "sleep", wait)
        monkeypatch.setattr(delivery.time, "monotonic", lambda: clock[0])
        try:
            return delivery._Follower(_Study(record), tracker).run()  # type: ignore[arg-type]
        finally:
            monkeypatch.undo()

    return run


def test_a_store_that_comes_back_gets_everything(follow: Callable[..., bool]) -> None:
    tracker = _Tracker(n_away=3)
    assert follow(tracker, 5)
    assert (tracker.delivered, tracker.is_closed) == (4, True)


def test_a_store_that_stays_away_is_given_up_only_when_the_sweep_is_over(
    follow: Callable[..., bool], capfd: pytest.CaptureFixture[str]
) -> None:
    tracker = _Tracker(n_away=10**6)
    began = time.monotonic()
    assert not follow(tracker, 100)
    calls = 10**6 - tracker.n_away
    assert 100 + 5 < calls < 100 + 20  # a try at each look, and for some seconds after the end
    assert not tracker.is_closed
    assert time.monotonic() - began < 30
    assert capfd.readouterr().out.count("MLflow does not answer, trying again: ConnectionError: nobody answers") == 1


@pytest.mark.slow
def test_syncing_to_a_server_that_is_away_changes_nothing_and_can_be_done_again(own: Own, settings: Settings) -> None:
    record = finished_study(own, settings)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        away = replace(settings, tracking_uri=f"http://127.0.0.1:{nobody.getsockname()[1]}")
    with pytest.raises(Exception, match=r"[Mm]ax retries|[Cc]onnection"):
        delivery.deliver_once("own", away)
    assert Study.open("own", settings).record() == record
    assert delivery.deliver_once("own", settings) == (record, 4)

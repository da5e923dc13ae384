"""`ui`: which address it prints and opens, and who says when the page answers."""

from __future__ import annotations

import http.server
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.sweeping import called
from tune_jobs.cli import local_pages
from tune_jobs.settings import Settings
from tune_jobs.tracking import report
from tune_jobs.tracking.report import Report

SERVER = "http://127.0.0.1:5999"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that a browser was to open."""
    addresses: list[str] = []
    monkeypatch.setattr("click.launch", addresses.append)
    return addresses


@pytest.fixture
def delivered(settings: Settings) -> Settings:
    """Two studies that were delivered, `second` last."""
    settings.studies_dir.mkdir(parents=True)
    for at, name in enumerate(("first", "second", "third")):
        report.write(name, settings, Report(view=None if name == "third" else f"#/experiments/{at}/runs?x={name}"))
        os.utime(settings.delivery_file(name), (at + 1, at + 1))
    return settings


def test_the_trials_of_a_study_or_of_the_last_are_at_the_address(delivered: Settings, opened: list[str]) -> None:
    server = {"MLFLOW_TRACKING_URI": f"{SERVER}/"}
    code, _, told = called(delivered, "ui", **server)
    assert code == 0
    assert f"The trials of second are at {SERVER}/#/experiments/1/runs?x=second" in told
    assert "choose Model training" in told  # else MLflow's links lead to pages without trials
    assert opened == []
    assert called(delivered, "ui", "first", "--open", **server)[0] == 0
    assert opened == [f"{SERVER}/#/experiments/0/runs?x=first"]


def test_without_a_study_the_address_is_that_of_all_experiments(settings: Settings, opened: list[str]) -> None:
    assert called(settings, "ui", "--open", MLFLOW_TRACKING_URI=SERVER)[0] == 0
    assert opened == [f"{SERVER}/#/experiments?workflowType=machine_learning"]


def test_a_study_that_is_not_there_is_named(delivered: Settings) -> None:
    code, _, told = called(delivered, "ui", "fourth", MLFLOW_TRACKING_URI=SERVER)
    assert code == 2
    assert "no study named 'fourth'" in told


def test_a_page_is_announced_once_it_answers(monkeypatch: pytest.MonkeyPatch, opened: list[str], capsys: Any) -> None:
    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(401)

        def log_message(self, *words: object) -> None:
            pass

    monkeypatch.setattr("os.fork", lambda: 0)
    monkeypatch.setattr("os._exit", lambda code: None)
    monkeypatch.setattr("signal.signal", lambda *words: None)
    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        local_pages.announce("The page", address, lambda: opened.append("there"))
        server.shutdown()
    assert opened == ["there"]
    assert capsys.readouterr().err == "The page is starting …\nThe page answers after 0 s\n"


def test_a_password_is_in_no_command_line_of_a_browser(tmp_path: Path, opened: list[str]) -> None:
    local_pages.open_privately("http://127.0.0.1:1/?password=x&y", tmp_path)
    assert opened == [(tmp_path / "open.html").as_uri()]
    assert (tmp_path / "open.html").stat().st_mode & 0o77 == 0
    assert 'url=http://127.0.0.1:1/?password=x&amp;y"' in (tmp_path / "open.html").read_text()


def test_who_waits_for_a_page_ends_with_the_one_that_serves_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def end(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr("os._exit", end)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    nobody = 2**22 + 1  # above the greatest id that Linux gives
    with pytest.raises(SystemExit):
        local_pages._wait("http://127.0.0.1:9", nobody)

"""Flags beat the environment, the environment beats defaults, and folders are there when they are needed."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.support.house import ROOT
from tune_jobs import cli, homes, settings
from tune_jobs.errors import SettingsError
from tune_jobs.settings import Settings

VARIABLES = ("TUNE_JOBS_HOME", "TUNE_JOBS_DATA", "TUNE_JOBS_STORAGE", "MLFLOW_TRACKING_URI")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_without_anything_set_all_is_under_the_users_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    home = tmp_path / ".tune-jobs"
    assert Settings.read() == Settings(home, home / "data", None, f"sqlite:///{home}/mlflow.db")


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TUNE_JOBS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TUNE_JOBS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TUNE_JOBS_STORAGE", "postgresql+psycopg://db/studies")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    expected = Settings(tmp_path / "home", tmp_path / "data", "postgresql+psycopg://db/studies", "http://mlflow:5000")
    assert Settings.read() == expected


def test_flags_beat_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TUNE_JOBS_HOME", "/not/this")
    monkeypatch.setenv("TUNE_JOBS_DATA", "/nor/this")
    settings = Settings.read(home=tmp_path / "home", data_dir=tmp_path / "data")
    assert (settings.home, settings.data_dir) == (tmp_path / "home", tmp_path / "data")


def test_data_and_tracking_follow_a_chosen_home(tmp_path: Path) -> None:
    settings = Settings.read(home=tmp_path)
    assert settings.data_dir == tmp_path / "data"
    assert settings.tracking_uri == f"sqlite:///{tmp_path}/mlflow.db"


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_set_to_nothing_counts_as_not_set(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    unset = Settings.read()
    monkeypatch.setenv(name, "")
    assert Settings.read() == unset


def test_paths_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.read(home=Path("here"), data_dir=Path("there"))
    assert (settings.home, settings.data_dir) == (tmp_path / "here", tmp_path / "there")
    assert settings.tracking_uri == f"sqlite:///{tmp_path}/here/mlflow.db"


def test_the_home_of_nobody_is_refused_in_one_line() -> None:
    with pytest.raises(SettingsError, match="~nobody-of-this-name") as caught:
        Settings.read(home=Path("~nobody-of-this-name/x"))
    assert "\n" not in str(caught.value)


def test_a_home_of_bytes_that_are_no_letters_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"the home .*/bad\\xff has bytes that are no UTF-8: name another home"):
        Settings.read(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff"))


def test_prepare_makes_the_folders_but_leaves_the_data_folder_alone(tmp_path: Path) -> None:
    settings = Settings.read(home=tmp_path / "new" / "home")
    settings.prepare()
    settings.prepare()
    assert sorted(path.name for path in settings.home.iterdir()) == sorted(homes.FOLDERS)
    assert (settings.studies_dir.name, settings.artifacts_dir.name) == ("studies", "mlartifacts")


def test_a_home_that_is_a_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(SettingsError, match="TUNE_JOBS_HOME") as caught:
        Settings.read(home=tmp_path / "taken").prepare()
    assert str(tmp_path / "taken") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_write_permission_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root, as which CI may run, may write anywhere
    with pytest.raises(SettingsError, match="Permission denied"):
        Settings.read(home=tmp_path).prepare()


def test_a_variable_of_ours_that_is_none_is_said_with_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUNE_JOBS_DATA_DIR", "/data")
    monkeypatch.setenv("TUNE_JOBS_REPORT", "no")
    assert cli.run(["show", "digits-mlp"]) == 0
    line = "TUNE_JOBS_DATA_DIR in the environment is no variable of ours and does nothing; near it: TUNE_JOBS_DATA"
    assert capsys.readouterr().err == f"{line}\n"


def test_the_variables_are_those_that_the_code_names_and_the_page_of_configuration_lists() -> None:
    sources = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "tune_jobs").rglob("*.py"))
    named = Counter(re.findall('"(TUNE_JOBS_[A-Z_]*[A-Z])"', sources))
    assert set(named) == settings.VARIABLES | settings._OTHER_VARIABLES
    assert all(named[name] > 1 for name in settings.VARIABLES)  # each is read, and not listed alone
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(TUNE_JOBS_\w+)`", page, re.MULTILINE)) == settings.VARIABLES

"""The doctor says what is there, what is not and what to do, and starts nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tune_jobs.actions import doctor
from tune_jobs.actions.doctor import Finding, examine
from tune_jobs.settings import Settings


def found(settings: Settings) -> dict[str, Finding]:
    findings = {finding.what: finding for finding in examine(settings)}
    assert all("\n" not in finding.found for finding in findings.values())
    return findings


def test_a_fresh_home_has_nothing_bad(settings: Settings) -> None:
    findings = found(settings)
    assert not [finding for finding in findings.values() if finding.state == "bad"]
    packages = ("ray", "tensorflow", "keras", "optuna", "mlflow")
    assert all(findings[package].found[0].isdigit() for package in packages)
    assert findings["home"].found == str(settings.home)
    assert findings["studies"].found == f"0 in {settings.studies_dir}"
    assert findings["tracking"].found == settings.tracking_uri
    assert findings["digits"].state == "ok"
    assert "GB free" in findings["disk"].found


def test_data_that_is_not_there_yet_is_no_fault(settings: Settings) -> None:
    finding = found(settings)["mnist"]
    assert finding.state == "note"
    assert str(settings.data_dir / "mnist") in finding.found


def test_data_that_is_there_is_found(settings: Settings) -> None:
    from tune_jobs.datasets import mnist

    folder = settings.data_dir / "mnist"
    folder.mkdir(parents=True)
    for name in mnist.MNIST.md5:
        (folder / name).touch()
    assert found(settings)["mnist"] == Finding("mnist", "ok", str(folder))


@pytest.mark.parametrize(
    ("change", "what", "words"),
    [
        (lambda s, _: replace(s, tracking_uri="http://127.0.0.1:1"), "tracking", "no MLflow server answers"),
        (lambda s, _: replace(s, tracking_uri="file:///tmp/mlruns"), "tracking", "MLFLOW_TRACKING_URI must be"),
        (lambda s, file: replace(s, home=file), "home", "name another home with --home"),
        (lambda s, _: replace(s, storage="sqlite:////no/such/folder/x.db"), "studies", "does not answer"),
        (lambda s, _: replace(s, storage="postgresql+nodriver://me:secret@db/x"), "studies", "me:***@db"),
    ],
    ids=["server-away", "plain-folder", "home-is-a-file", "no-storage", "no-driver"],
)
def test_what_would_stop_a_sweep_is_bad(
    tmp_path: Path, settings: Settings, change: Callable[[Settings, Path], Settings], what: str, words: str
) -> None:
    file = tmp_path / "a-file"
    file.touch()
    findings = found(change(settings, file))
    assert findings[what].state == "bad"
    assert words in findings[what].found
    assert "secret" not in findings[what].found


def test_a_package_that_is_missing_is_bad(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_PACKAGES", ("ray", "no-such-package-here"))
    findings = found(settings)
    assert (findings["ray"].state, findings["no-such-package-here"].state) == ("ok", "bad")


def test_a_full_disk_is_noted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1.5e9))
    assert found(settings)["disk"] == Finding("disk", "note", "1.5 GB free")


def test_gpus_are_what_nvidia_smi_lists(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H200 (UUID: GPU-1)'\necho 'GPU 1: NVIDIA H200 (UUID: GPU-2)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert found(settings)["GPUs"] == Finding("GPUs", "ok", "GPU 0: NVIDIA H200; GPU 1: NVIDIA H200")
    monkeypatch.setenv("PATH", "")
    assert found(settings)["GPUs"].state == "note"

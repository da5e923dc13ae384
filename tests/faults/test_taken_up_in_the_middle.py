"""Trials whose driver is killed go on from their checkpoints; a population goes on as it would have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.auditing import Seen, differences
from tests.support.sweeping import SharedRay, called, kill_family, until
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.tracking import delivery
from tune_jobs.training.checkpoints import Checkpoint, CheckpointFolder, key

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # of MLflow's own tables
]

SMALL = ("launch", "digits-mlp", "--images", "200", "--max-concurrent", "1")
CHECKPOINTS = (*SMALL, "--search", "baseline", "--epochs", "40", "--checkpoint-every", "2")
POPULATION = (*SMALL, "--search", "random", "--trials", "4", "--epochs", "6", "--scheduler", "pbt", "--grace", "2")


def folder_of(settings: Settings) -> CheckpointFolder:
    return CheckpointFolder(settings.checkpoints_dir(Study.open("digits-mlp", settings).identity))


def has_checkpoint(settings: Settings, *names: str) -> bool:
    try:
        return all(folder_of(settings).has(name) for name in names)
    except Exception:  # the study may not have begun
        return False


def test_an_interrupted_trial_goes_on_from_its_last_checkpoint(tmp_path: Path, ray: SharedRay) -> None:
    settings = Settings.read(home=tmp_path / "home")
    process = ray.command_line(settings, *CHECKPOINTS)
    try:
        until(lambda: has_checkpoint(settings, key(0)), "a checkpoint", process)
    finally:
        kill_family(process)
    folder = folder_of(settings)
    found = Checkpoint.from_bytes(folder.load(key(0)) or b"")
    assert found is not None
    marked = ({**found.history[0], "val_accuracy": 0.123456}, *found.history[1:])
    folder.save(key(0), replace(found, history=marked, best_epoch=found.epoch).to_bytes())
    code, _, stderr = called(settings, *CHECKPOINTS)
    assert code == 0, stderr
    (trial,) = Study.open("digits-mlp", settings).record().trials
    assert (trial.state, trial.attempts) == ("complete", 2)
    assert len(trial.history) > found.epoch
    assert trial.history[0]["val_accuracy"] == 0.123456
    assert not folder.has_any


def test_a_population_whose_driver_is_killed_goes_on_as_it_would_have(tmp_path: Path, ray: SharedRay) -> None:
    whole, disturbed = (Settings.read(home=tmp_path / name) for name in ("whole", "disturbed"))
    code, _, stderr = called(whole, *POPULATION)
    assert code == 0, stderr
    trials = Study.open("digits-mlp", whole).record().trials
    assert any(trial.changes for trial in trials)
    assert {len(trial.history) for trial in trials} == {6}

    process = ray.command_line(disturbed, *POPULATION)
    try:
        until(lambda: has_checkpoint(disturbed, key(1, 4)), "the second boundary", process)
    finally:
        kill_family(process)
    code, _, stderr = called(disturbed, *POPULATION)
    assert code == 0, stderr
    for settings in (whole, disturbed):
        delivery.deliver_once("digits-mlp", settings)
    assert differences(disturbed, Seen.of(whole, "digits-mlp"), "digits-mlp") == []
    assert [trial.changes for trial in Study.open("digits-mlp", disturbed).record().trials] == [
        trial.changes for trial in trials
    ]

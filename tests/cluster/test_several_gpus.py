"""Trials of two GPUs on a Ray node of four: packed, shown, drained, trained and evaluated together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.clusters import RayHead
from tests.support.sweeping import PROGRAMS, WITHOUT_MLFLOW, Own, called, ended, kill_family, own_task, refusal, until
from tests.support.warm import WarmServer
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study

TWO = ("--gpus-per-trial", "2", "--cpus-per-trial", "0.5")


@pytest.fixture(scope="module")
def four_gpus() -> Iterator[RayHead]:
    """A node of four logical GPUs, for which processors stand where they train a model."""
    stands_in = PROGRAMS / "processors_for_gpus"
    head = RayHead(cpus=2, gpus=4)
    head.environment["PYTHONPATH"] = f"{stands_in}:{head._environment['PYTHONPATH']}"
    try:
        head.start()
        yield head
    finally:
        head.stop()


def status(settings: Settings) -> dict[str, Any]:
    code, stdout, stderr = called(settings, "status", "own", "--json")
    assert code == 0, stderr
    return dict(json.loads(stdout))


def pairs(own: Own) -> list[frozenset[str]]:
    """The GPUs of each trial that began, in the order in which they did."""
    return [frozenset(gpus.split(",")) for (gpus,) in own.noted("begin", "gpus")]


def test_two_trials_share_four_gpus_and_neither_gets_one_that_is_drained(
    tmp_path: Path, four_gpus: RayHead, warm: WarmServer
) -> None:
    settings = Settings.read(home=tmp_path / "home")
    own = own_task(tmp_path / "task", width="Choice(*range(8))")
    words = ("launch", own.reference, "--search", "grid", "--address", four_gpus.address, *TWO)
    own.make_room(0)
    process = warm.command_line(settings, *words, before=WITHOUT_MLFLOW, **four_gpus.client)
    try:
        until(lambda: len(own.trained) == 2, "two trials at once", process)
        first, second = pairs(own)
        assert (len(first), len(second), len(first | second)) == (2, 2, 4)
        until(lambda: len(status(settings)["running"]) == 2, "status to show them", process)
        seen = status(settings)
        assert sorted(len(device["trials"]) for device in seen["devices"]) == [1, 1, 1, 1]
        assert seen["packing"] == "2 at once, 0.5 CPUs and 2 GPUs each"
        assert {running["place"].partition(", ")[2] for running in seen["running"]} == {
            f"GPU {', '.join(sorted(pair))}" for pair in (first, second)
        }
        drained = min(first)
        code, _, stderr = called(settings, "drain", "own", "--gpus", drained)
        assert code == 0, stderr
        own.make_room(5)
        until(lambda: len(own.noted("end")) >= 5, "trials beside the drained GPU", process)
        until(lambda: len(own.trained) == 6, "one more to begin", process)
        assert not any(drained in pair for pair in pairs(own)[4:])
        (running,) = set(pairs(own)[5:])
        code, _, stderr = called(settings, "drain", "own", "--gpus", min(running))
        assert code == 0, stderr
        own.make_room(6)
        until(lambda: "no 2 GPUs are left together" in str(status(settings)["waiting"]), "status to say why", process)
        code, _, stderr = called(settings, "undrain", "own")
        assert code == 0, stderr
        own.make_room(None)
        code, _, stderr = ended(process)
    finally:
        kill_family(process)
    assert code == 0, stderr
    assert "each trial has 2 GPUs, and the task's own training has to divide its work among them itself" in stderr
    trials = Study.open("own", settings).record().trials
    assert [(trial.state, trial.gpus) for trial in trials] == [("complete", 2)] * 8


def test_more_gpus_than_a_node_has_are_refused_in_one_line(
    tmp_path: Path, four_gpus: RayHead, warm: WarmServer
) -> None:
    settings, own = Settings.read(home=tmp_path / "home"), own_task(tmp_path / "task")
    words = ("launch", own.reference, "--address", four_gpus.address, "--gpus-per-trial", "5")
    code, _, stderr = ended(warm.command_line(settings, *words, before=WITHOUT_MLFLOW, **four_gpus.client))
    assert code == 2
    assert "a trial asks for 1 CPU and 5 GPUs, more than any node has (2 CPUs and 4 GPUs)" in refusal(stderr)


def test_a_network_is_trained_and_evaluated_on_two_devices_to_the_score_of_one(
    tmp_path: Path, four_gpus: RayHead, warm: WarmServer
) -> None:
    scores, tests = [], []
    for gpus in (1, 2):
        settings = Settings.read(home=tmp_path / f"home-{gpus}")
        launch = ("launch", "digits-mlp", "--images", "150", "--epochs", "2", "--search", "baseline")
        for words in ((*launch, "--gpus-per-trial", str(gpus)), ("evaluate", "digits-mlp", "--top", "1")):
            here = (*words, "--address", four_gpus.address)
            code, _, stderr = ended(warm.command_line(settings, *here, before=WITHOUT_MLFLOW, **four_gpus.client))
            assert code == 0, stderr
        (trial,) = Study.open("digits-mlp", settings).record().trials
        assert (trial.state, trial.gpus) == ("complete", 2 if gpus == 2 else None)
        assert trial.tested is not None
        assert trial.tested.val_score == trial.score  # trained again on as many
        scores.append([epoch["val_loss"] for epoch in trial.history])
        tests.append(trial.tested.metrics["test_loss"])
    assert scores[1] == pytest.approx(scores[0], abs=1e-4)
    assert tests[1] == pytest.approx(tests[0], abs=1e-4)
    assert scores[1] != scores[0]  # they were divided: a sum of two halves rounds otherwise

"""Devices are drained and given back in mid-sweep: no trial is killed, and none begins on a drained device."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.auditing import audit, undisturbed
from tests.support.clusters import RayHead
from tests.support.sweeping import WITHOUT_MLFLOW, Own, called, ended, kill_family, own_task, until
from tests.support.warm import WarmServer
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.tracking import delivery

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # of MLflow's own tables
]

NODE = {"cpus": 2, "gpus": 2}

Place = tuple[int, str]  # the process id of a raylet, and a GPU of its


@pytest.fixture
def two_nodes() -> Iterator[RayHead]:
    """Two nodes of two logical GPUs each."""
    head = RayHead(**NODE)
    try:
        head.start()
        head.join(**NODE)
        yield head
    finally:
        head.stop()


def begun(own: Own, since: float) -> set[Place]:
    """Where trials began to train since then."""
    return {(parent, gpus) for at, parent, gpus in own.noted("begin", "at", "parent", "gpus") if at > since}


def more(own: Own, ends: int, process: Any) -> None:
    """Let so many more trials end, and wait until they have."""
    ended_by_then = len(own.noted("end")) + ends
    own.make_room(ended_by_then)
    until(lambda: len(own.noted("end")) >= ended_by_then, f"{ended_by_then} trials to end", process)


def in_use(own: Own) -> set[Place]:
    """Where trials train now."""
    ended_trials = own.noted("end", "width")
    running = own.noted("begin", "width", "parent", "gpus")
    return {(parent, gpus) for width, parent, gpus in running if (width,) not in ended_trials}


def status(settings: Settings) -> dict[str, Any]:
    code, stdout, stderr = called(settings, "status", "own", "--json")
    assert code == 0, stderr
    return dict(json.loads(stdout))


def spread(settings: Settings) -> list[tuple[str, int]]:
    """How many trials each GPU has."""
    return [(device["gpu"], len(device["trials"])) for device in status(settings)["devices"]]


def n_drained(settings: Settings) -> int:
    return sum(device["is_drained"] for device in status(settings)["devices"])


def said(settings: Settings, *words: str) -> str:
    """What a command says that does as it is told."""
    code, _, stderr = called(settings, *words)
    assert code == 0, stderr
    return stderr


def test_drain_and_undrain_in_mid_sweep(tmp_path: Path, two_nodes: RayHead, warm: WarmServer) -> None:
    settings = Settings.read(home=tmp_path / "home")
    own, alone = (own_task(tmp_path / name, "doze", width="Choice(*range(38))") for name in ("task", "alone"))
    words = ("launch", own.reference, "--search", "grid", "--address", two_nodes.address)
    words += ("--cpus-per-trial", "0.5", "--gpus-per-trial", "1")
    own.make_room(0)
    process = warm.command_line(settings, *words, "--trials", "32", before=WITHOUT_MLFLOW, **two_nodes.client)
    own.go()
    try:
        until(lambda: len(begun(own, 0.0)) == 4, "a trial on each device", process)
        until(lambda: spread(settings) == [("0", 1), ("1", 1)] * 2, "status to show them", process)
        seen = status(settings)
        nodes = sorted({device["node"] for device in seen["devices"]})
        assert {running["place"] for running in seen["running"]} == {f"{name}, GPU {n}" for name in nodes for n in "01"}

        code, _, stderr = called(settings, "drain", "own", "--node", nodes[0], "--gpus", "7")
        assert (code, stderr) == (2, f"tune-jobs: there is no GPU 7: {nodes[0]} has 0, 1\n")
        assert "Study own will not use GPU 1 after trials " in said(
            settings, "drain", "own", "--gpus", "1"
        )  # of both nodes
        more(own, 4, process)  # those that were running, the two on drained devices among them
        drained = time.time()
        more(own, 6, process)
        while any(gpus != "0" for _, gpus in in_use(own)):
            more(own, 1, process)
        until(lambda: len(in_use(own)) == 2, "a trial on each device that is left", process)
        assert {gpus for _, gpus in begun(own, drained) | in_use(own)} == {"0"}

        said(settings, "drain", "own", "--node", nodes[0])
        more(own, 2, process)
        drained = time.time()
        more(own, 4, process)
        assert len(begun(own, drained)) == 1
        until(lambda: n_drained(settings) == 3, "status to show 3 drained devices", process)
        seen = status(settings)
        assert seen["drained"] == [{"node": nodes[0], "gpu": None}, {"node": None, "gpu": "1"}]

        assert said(settings, "undrain", "own", "--node", nodes[0]) == "Study own still does not use GPU 1\n"
        assert said(settings, "undrain", "own") == "Study own uses all its devices\n"
        until(lambda: len(in_use(own)) == 4, "a trial on each device again", process)
        own.make_room(None)
        code, _, stderr = ended(process)
    finally:
        kill_family(process)
    assert code == 0, stderr

    # a drain holds for the next launch too, which ends though workers are parked
    said(settings, "drain", "own", "--gpus", "1")
    drained = time.time()
    process = warm.command_line(settings, *words, "--trials", "38", before=WITHOUT_MLFLOW, **two_nodes.client)
    code, _, stderr = ended(process)
    assert (code, "drained: GPU 1; `tune-jobs undrain own` gives it back" in stderr) == (0, True), stderr
    assert {gpus for _, gpus in begun(own, drained)} == {"0"}
    assert [trial.attempts for trial in Study.open("own", settings).record().trials] == [1] * 38
    delivery.deliver_once("own", settings)
    alone.go()
    audit(settings, undisturbed(alone, tmp_path), own=own)

"""Trials that share a device: packed by what the first ones took, and fewer where memory runs out."""

from __future__ import annotations

import json
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


@pytest.fixture(scope="module")
def one_gpu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayHead]:
    """A node of one logical GPU and enough CPUs, and what its device says of itself."""
    device = {"index": "0", "memory_used_mb": 5_000.0, "memory_total_mb": 20_000.0, "utilisation": 0.2, "joules": 7.0}
    file = tmp_path_factory.mktemp("device") / "figures.json"
    file.write_text(json.dumps([device]))
    head = RayHead(cpus=2, gpus=1, environment={"TUNE_JOBS_DEVICE_FIGURES": str(file)})
    try:
        head.start()
        yield head
    finally:
        head.stop()


def at_once(own: Own, since: float = 0.0) -> int:
    """How many trials trained at the same time at most."""
    moments = [(at, 1) for (at,) in own.noted("begin", "at")] + [(at, -1) for (at,) in own.noted("end", "at")]
    running = most = 0
    for at, change in sorted(moments):
        running += change
        most = max(most, running) if at > since else most
    return most


def test_out_of_memory_on_a_packed_device_leads_to_fewer_trials_there(
    tmp_path: Path, one_gpu: RayHead, warm: WarmServer
) -> None:
    settings = Settings.read(home=tmp_path / "home")
    own, alone = (own_task(tmp_path / name, "crowd", width="Choice(*range(10))") for name in ("task", "alone"))
    words = ("launch", own.reference, "--search", "grid", "--address", one_gpu.address)
    own.make_room(0)
    words += ("--cpus-per-trial", "0.5", "--gpus-per-trial", "0.25")
    process = warm.command_line(settings, *words, before=WITHOUT_MLFLOW, **one_gpu.client)
    try:
        until(lambda: len(own.noted("begin")) == 4, "four trials at once", process)
        own.make_room(None)
        code, _, stderr = ended(process)
    finally:
        kill_family(process)
    assert code == 0, stderr
    record = Study.open("own", settings).record()
    assert [trial.state for trial in record.trials] == ["complete"] * 10
    again = [trial.attempts for trial in record.trials]
    assert sorted(again)[-1] >= 2  # of those four that shared the device at first
    assert sum(again) <= 10 + 4
    delivery.deliver_once("own", settings)
    audit(settings, undisturbed(alone, tmp_path), own=own)


def test_auto_packs_as_many_trials_as_the_first_ones_showed_to_fit(
    tmp_path: Path, one_gpu: RayHead, warm: WarmServer
) -> None:
    settings = Settings.read(home=tmp_path / "home")
    own = own_task(tmp_path / "task", "doze", width="Choice(*range(12))")
    own.make_room(3)
    words = ("launch", own.reference, "--search", "grid", "--address", one_gpu.address)
    packed = ("--cpus-per-trial", "0.5", "--gpus-per-trial", "auto")
    process = warm.command_line(settings, *words, *packed, before=WITHOUT_MLFLOW, **one_gpu.client)

    def status() -> dict[str, Any]:
        code, stdout, stderr = called(settings, "status", "own", "--json")
        assert code == 0, stderr
        return dict(json.loads(stdout))

    try:
        until(lambda: len(own.noted("end")) == 3, "three trials to be measured", process)
        assert at_once(own) == 1
        until(lambda: len(own.noted("begin")) == 3 + 3, "three trials at once", process)
        until(lambda: [len(device["trials"]) for device in status()["devices"]] == [3], "the driver to look", process)
        seen = status()
        assert (
            seen["packing"]
            == "3 trials per GPU, 3 at once: 3 measured trials took up to 25% of the memory and 20% of the time"
        )
        (gpu,) = seen["devices"]
        assert (gpu["gpu"], len(gpu["trials"]), gpu["memory_used_mb"], gpu["utilisation"]) == ("0", 3, 5_000.0, 0.2)
        own.make_room(None)
        code, _, stderr = ended(process)
    finally:
        kill_family(process)
    assert code == 0, stderr
    assert at_once(own) == 3
    trials = Study.open("own", settings).record().trials
    assert [trial.attempts for trial in trials] == [1] * 12
    took = [trial.spent for trial in trials if trial.spent is not None]
    shares = sorted(round(spent.gpu_held / spent.cpu_held / 2, 2) for spent in took)  # each has half a CPU
    assert shares == [0.33] * 9 + [1.0] * 3  # a whole GPU while the first three were measured
    assert [spent.gpu_used for spent in took] == pytest.approx([0.2 * spent.gpu_held for spent in took])
    assert {spent.joules for spent in took} == {0.0}

"""A node of a cluster is lost in mid-sweep and another joins: the sweep ends complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.auditing import audit, undisturbed
from tests.support.clusters import RayHead
from tests.support.sweeping import WITHOUT_MLFLOW, Own, ended, kill_family, own_task, until
from tests.support.warm import WarmServer
from tune_jobs.settings import Settings
from tune_jobs.tracking import delivery

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # of MLflow's own tables
]


@pytest.fixture
def head() -> Iterator[RayHead]:
    """A node of one CPU, with the driver on it, and another."""
    head = RayHead(cpus=1)
    try:
        head.start()
        head.join(cpus=1)
        yield head
    finally:
        head.stop()


def workers(own: Own) -> set[int]:
    return {pid for (pid,) in own.noted("begin", "pid")}


def test_a_sweep_outlives_the_loss_of_a_node(tmp_path: Path, head: RayHead, warm: WarmServer) -> None:
    settings = Settings.read(home=tmp_path / "home")
    own, alone = (own_task(tmp_path / name, "doze", width="Choice(*range(12))") for name in ("task", "alone"))
    words = ("launch", own.reference, "--search", "grid", "--address", head.address)
    process = warm.command_line(settings, *words, before=WITHOUT_MLFLOW, **head.client)
    own.make_room(4)  # then those at hand wait, so that the node is lost under a trial
    try:
        until(lambda: len(workers(own)) == 2 and len(own.noted("end", "width")) >= 4, "both nodes to train", process)
        head.lose(1)
        head.join(cpus=1)
        until(lambda: len(workers(own)) == 3, "the new node to train", process)
        own.make_room(None)
        code, _, stderr = ended(process)
    finally:
        kill_family(process)
    assert code == 0, stderr
    delivery.deliver_once("own", settings)
    audit(settings, undisturbed(alone, tmp_path), own=own)

"""A node of a cluster is lost in mid-sweep and another joins: the sweep ends complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.auditing import audit, undisturbed
from tests.support.sweeping import Own, command_line, ended, kill_family, own_task, until
from tune_jobs.settings import Settings

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # of MLflow's own tables
]


# Workers of two raylets on one machine would else be given the same ports.
NODE = {"num_cpus": 1, "include_dashboard": False, "min_worker_port": 0, "max_worker_port": 0}
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # as for a cluster of our own: 127.0.0.1 is this machine


@pytest.fixture
def two_nodes() -> Iterator[Any]:
    """A cluster of two raylets, one CPU each; the driver and its head are on the first."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    try:
        yield cluster
    finally:
        cluster.shutdown()


def workers(own: Own) -> set[int]:
    return {pid for (pid,) in own.noted("begin", "pid")}


def test_a_sweep_outlives_the_loss_of_a_node(tmp_path: Path, two_nodes: Any) -> None:
    settings = Settings.read(home=tmp_path / "home")
    own, alone = (own_task(tmp_path / name, "doze", width="Choice(*range(12))") for name in ("task", "alone"))
    second = two_nodes.add_node(**NODE)
    words = ("launch", own.reference, "--search", "grid", "--address", two_nodes.address)
    process = command_line(settings, *words, **LOOPBACK)
    own.make_room(4)  # then those at hand wait, so that the node is lost under a trial
    try:
        until(lambda: len(workers(own)) == 2 and len(own.noted("end", "width")) >= 4, "both nodes to train", process)
        two_nodes.remove_node(second, allow_graceful=False)
        two_nodes.add_node(**NODE)
        until(lambda: len(workers(own)) == 3, "the new node to train", process)
        own.make_room(None)
        code, _, stderr = ended(process)
    finally:
        kill_family(process)
    assert code == 0, stderr
    audit(settings, undisturbed(alone, tmp_path), own=own)

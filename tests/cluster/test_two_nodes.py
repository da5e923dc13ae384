"""Two nodes that share nothing but the cluster, four GPUs each, two trials a GPU: sixteen at once, in one study on
PostgreSQL and one MLflow server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.clusters import RayHead, blind_to
from tests.support.servers import MlflowServer, PostgresServer
from tests.support.sweeping import Own, ended, kill_family, logged, own_task, until
from tests.support.warm import WarmServer
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables

TRIALS = 16
WHERE = '''

import ray

_note = note


def note(what, params):
    """With what a trial was given, and what it can see."""
    place = {{"gpus": os.environ.get("CUDA_VISIBLE_DEVICES"), "node": ray.get_runtime_context().get_node_id()}}
    place |= {{"user_home": os.environ["HOME"], "sees_home": Path({home!r}).exists(), "in": os.getcwd()}}
    _note(what, params | place)
'''


@pytest.fixture
def servers(mlflow_server: MlflowServer) -> Iterator[tuple[RayHead, MlflowServer, PostgresServer]]:
    head, postgres = RayHead(cpus=2, gpus=4), PostgresServer()
    try:
        with ThreadPoolExecutor() as at_once:
            list(at_once.map(lambda server: server.start(), (head, postgres)))
        yield head, mlflow_server, postgres
    finally:
        head.stop()
        postgres.remove()


def test_sixteen_trials_at_once_on_two_nodes_with_four_gpus_each(
    tmp_path: Path, servers: tuple[RayHead, MlflowServer, PostgresServer], warm: WarmServer
) -> None:
    head, mlflow, postgres = servers
    home = tmp_path / "private" / "home"
    home.mkdir(parents=True)
    settings = Settings(home, home / "data", postgres.url(), mlflow.url)
    own = _own(tmp_path / "task", home)
    hidden = blind_to(home.parent)
    head.join(cpus=2, gpus=4, before=hidden)
    words = ("launch", own.reference, "--search", "grid", "--gpus-per-trial", "0.5", "--cpus-per-trial", "0.125")
    process = warm.command_line(settings, *words, "--address", head.address, **head.client)
    try:
        until(lambda: len(own.noted("begin", "pid")) >= TRIALS, "sixteen trials to run at once", process)
        assert not own.noted("end", "pid")
        own.go()
        code, _, said = ended(process)
    finally:
        kill_family(process)
    assert code == 0, said

    # each on a device of its own node, which it shares with one other
    begun = [event for event in own.events if event["what"] == "begin"]
    assert len(begun) == len({event["pid"] for event in begun}) == TRIALS
    nodes = Counter(event["node"] for event in begun)
    assert sorted(nodes.values()) == [8, 8]
    devices = Counter((event["node"], event["gpus"]) for event in begun)
    assert devices == {(node, str(gpu)): 2 for node in nodes for gpu in range(4)}
    assert len({event["user_home"] for event in begun}) == 2
    assert {event["node"]: event["sees_home"] for event in begun if not event["sees_home"]} == _blind(begun, hidden)

    # all in one study, and in MLflow
    record = Study.open("own", settings).record()
    assert record.count("complete") == len(record.trials) == TRIALS
    found = logged(settings, record)
    assert (len(found.parents), len(found.trials)) == (1, TRIALS)
    assert {run.info.status for run in found.trials} == {"FINISHED"}
    assert {run.data.metrics["best_val_accuracy"] for run in found.trials} == {trial.score for trial in record.trials}


def _own(folder: Path, home: Path) -> Own:
    own = own_task(folder, "wait", width=f"Choice(*range({TRIALS}))")
    own.file.write_text(own.file.read_text() + WHERE.format(home=str(home)))
    return own


def _blind(begun: list[dict[str, Any]], hidden: tuple[str, ...]) -> dict[str, bool]:
    """The node that joined, where it could be kept from seeing the driver's home."""
    return {event["node"]: False for event in begun if "/node-1/" in event["user_home"]} if hidden else {}

"""Workers are forked from a process that has imported what they need; where none answers Ray starts them itself."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.sweeping import SharedRay, until
from tune_jobs.execution import idle_agent, worker_forks, worker_launcher
from tune_jobs.execution.worker_forks import PLAIN, WorkerKind

WITH_TENSORFLOW = WorkerKind(has_tensorflow=True)
WORKER = ["/ray/default_worker.py", "--node-id=1", "--language=PYTHON"]


def look(n: int = 1) -> list[dict[str, Any]]:
    """What the processes of so many new actors are like. Their class is sent whole: they need not find this module."""
    import ray

    class Looker:
        def look(self) -> dict[str, Any]:
            import numpy as np
            import threadpoolctl

            parent = psutil.Process(os.getppid()).cmdline()
            return {
                "is_forked": "tune_jobs.execution.worker_server" in parent,
                "has_tensorflow": "tensorflow" in sys.modules,
                "random": float(np.random.random()),
                "group": os.getpgid(0) == os.getpid(),
                "niceness": os.nice(0),
                "threads": [pool["num_threads"] for pool in threadpoolctl.threadpool_info()],
            }

    actors = [ray.remote(Looker).options(num_cpus=0).remote() for _ in range(n)]
    answers: list[dict[str, Any]] = ray.get([actor.look.remote() for actor in actors])
    for actor in actors:
        ray.kill(actor)
    return answers


@pytest.fixture
def own_ray(ray: SharedRay) -> Iterator[SharedRay]:
    yield ray
    worker_forks.expect(PLAIN)


def test_workers_are_of_the_kind_that_is_expected(own_ray: SharedRay) -> None:
    worker_forks.expect(WITH_TENSORFLOW)
    first, second = look(2)
    assert first["is_forked"]
    assert first["has_tensorflow"]
    assert first["group"]
    assert first["niceness"] > os.nice(0)  # as Ray has its workers
    assert first["random"] != second["random"]
    worker_forks.expect(PLAIN)
    (plain,) = look()
    assert plain["is_forked"]
    assert not plain["has_tensorflow"]
    assert {*first["threads"], *plain["threads"]} == {1}  # of NumPy's libraries


def test_where_none_answers_ray_starts_its_worker(own_ray: SharedRay) -> None:
    worker_forks.expect(PLAIN)
    assert worker_forks._forks is not None
    server = worker_forks._forks.servers[PLAIN].process
    server.kill()
    server.wait()
    assert not look()[0]["is_forked"]
    worker_forks.expect(PLAIN)
    assert look()[0]["is_forked"]


@pytest.mark.parametrize(
    ("words", "is_plain"),
    [
        (WORKER, True),
        ([*WORKER, "--serialized-runtime-env-context={}"], True),
        ([*WORKER, '--serialized-runtime-env-context={"env_vars": {"A": "1"}}'], False),
        ([*WORKER[:-1], "--language=JAVA"], False),
        (["-s", *WORKER], False),
    ],
)
def test_only_plain_workers_are_forked(words: list[str], is_plain: bool) -> None:
    assert worker_launcher._is_plain(words) == is_plain


@pytest.mark.parametrize(("cpus", "has_own_loop", "kind"), [(2.5, False, (True, 2)), (0.5, True, (False, 1))])
def test_a_task_with_its_own_loop_brings_what_it_needs(
    cpus: float, has_own_loop: bool, kind: tuple[bool, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_forks, "_GPU_DRIVERS", ())
    assert WorkerKind.training(cpus, has_own_loop=has_own_loop) == WorkerKind(*kind)


def test_with_a_gpu_each_worker_imports_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_forks, "_GPU_DRIVERS", ("/dev/null",))
    assert not WorkerKind.training(1.0).has_tensorflow


def test_an_agent_that_waits_becomes_rays_own_when_somebody_connects(tmp_path: Path) -> None:
    agent = tmp_path / "agent.py"
    agent.write_text("import pathlib, sys\npathlib.Path('asked').write_text(' '.join(sys.argv[1:]))\n")
    words = ["--runtime-env-agent-port=0", "--node-ip-address=127.0.0.1", f"--session-dir={tmp_path}", "--node-id=7"]
    process = subprocess.Popen([sys.executable, "-I", "-S", idle_agent.__file__, agent, *words], cwd=tmp_path)
    noted = tmp_path / "runtime_env_agent_port_7"
    until(noted.exists, "the port")
    port = int(noted.read_text())
    socket.create_connection(("127.0.0.1", port)).close()
    assert process.wait(timeout=30) == 0
    assert (tmp_path / "asked").read_text().split()[0] == f"--runtime-env-agent-port={port}"


def test_an_agent_that_waits_ends_with_the_raylet(tmp_path: Path) -> None:
    words = [f"--session-dir={tmp_path}", "--node-id=7"]
    code = "import subprocess, sys; print(subprocess.Popen([sys.executable, *sys.argv[1:]]).pid, flush=True); input()"
    command = [sys.executable, "-c", code, "-I", "-S", idle_agent.__file__, "agent.py", *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as raylet:
        assert raylet.stdout is not None
        agent = int(raylet.stdout.readline())
        until((tmp_path / "metrics_export_port_7").exists, "the port")
    until(lambda: not psutil.pid_exists(agent), "the end of the agent", patience_s=30)

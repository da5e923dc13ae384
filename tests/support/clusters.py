"""Real Ray clusters on this machine, as `ray start` makes them: a head with token authentication, and further nodes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.support.servers import free_port
from tests.support.sweeping import PROGRAMS, kill_family, until

TOKEN = "a-token-of-the-tests-0123456789abcdef"
STARTED = "Ray runtime started"  # in the words of `ray start`


@dataclass
class RayHead:
    """A cluster on loopback. Its folders are not pytest's, whose names are too long for Ray's sockets."""

    cpus: float = 2
    gpus: int = 0
    has_dashboard: bool = False
    environment: dict[str, str] = field(default_factory=dict)  # of the head, and of jobs there
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="tj-", dir="/tmp")))
    port: int = field(default_factory=free_port)
    dashboard_port: int = field(default_factory=free_port)
    _nodes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.dashboard_port}"

    @property
    def client(self) -> dict[str, str]:
        """What the environment of somebody who may come in has."""
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}

    def start(self) -> None:
        """Start the head: one with a dashboard as `ray start` does, another without the services that no sweep uses."""
        own = self._folder("head")
        self._start(
            self._as_by_ray_start(own) if self.has_dashboard else self._node("head", own, self.cpus, self.gpus), own
        )

    def join(self, *, cpus: float = 2, gpus: int = 0, before: tuple[str, ...] = ()) -> None:
        """Adds a node with folders of its own; `before` is what its command line begins with."""
        own = self._folder(f"node-{len(self._nodes)}")
        self._start([*before, *self._node("node", own, cpus, gpus)], own)

    def _node(self, role: str, own: Path, cpus: float, gpus: int) -> list[str]:
        program = [sys.executable, str(PROGRAMS / "ray_node.py")]
        return [*program, role, self.address, str(own), str(cpus), str(gpus), str(free_port())]

    def _as_by_ray_start(self, own: Path) -> list[str]:
        # other clusters of this machine would else have the same ports for their workers, agents and figures
        self.environment |= {f"{name}_METRIC_PORT": str(free_port()) for name in ("DASHBOARD", "AUTOSCALER")}
        words = ["--head", "--port", str(self.port), "--num-cpus", str(self.cpus), "--num-gpus", str(self.gpus)]
        words += ["--include-dashboard", "true", "--dashboard-port", str(self.dashboard_port)]
        words += ["--min-worker-port", "0", "--max-worker-port", "0", "--dashboard-agent-listen-port", str(free_port())]
        words += ["--no-monitor", "--include-log-monitor", "false"]  # which no test needs
        words += ["--node-ip-address", "127.0.0.1", "--temp-dir", str(own), "--disable-usage-stats", "--block"]
        return [str(Path(sys.executable).with_name("ray")), "start", *words]

    def lose(self, node: int) -> None:
        """Kill a node that joined, counted from 1, as a machine that loses its power."""
        kill_family(self._nodes[node])

    def processes(self) -> list[psutil.Process]:
        """Return all processes of the cluster, those of jobs included."""
        nodes = [psutil.Process(node.pid) for node in self._nodes]
        return [one for node in nodes for one in (node, *node.children(recursive=True))]

    def stop(self) -> None:
        for node in reversed(self._nodes):
            kill_family(node)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _folder(self, name: str) -> Path:
        own = self.folder / name
        (own / "home").mkdir(parents=True)
        return own

    def _start(self, command: list[str], own: Path) -> None:
        log, environment = own / "log", self._environment | {"HOME": str(own / "home"), "TMPDIR": str(own)}
        with log.open("wb") as file:
            node = subprocess.Popen(
                command, env=environment, stdout=file, stderr=file, process_group=0, cwd=own / "home"
            )
        self._nodes.append(node)
        until(lambda: node.poll() is not None or STARTED in log.read_text(), f"Ray's {own.name}")
        assert node.poll() is None, log.read_text()

    @property
    def _environment(self) -> dict[str, str]:
        ours = ("RAY_", "TUNE_", "MLFLOW_", "DASHBOARD_", "AUTOSCALER_")
        plain = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        ray = {
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # as for a cluster of our own: 127.0.0.1 is this machine
            "RAY_prestart_worker_first_driver": "0",  # it would start a worker for each CPU, for the first driver alone
            "TUNE_JOBS_REPORT": "no",  # as for all commands of tests
        }
        return plain | {"PATH": path, "PYTHONPATH": os.pathsep.join(sys.path)} | ray | self.client | self.environment


def blind_to(folder: Path) -> tuple[str, ...]:
    """What a command line begins with whose process finds this folder empty; nothing where the system forbids it."""
    hide = (
        "unshare",
        "--mount",
        "sh",
        "-c",
        f"mount -t tmpfs none '{folder}' && exec \"$@\"",
        "-",
    )
    can = subprocess.run([*hide, "true"], capture_output=True, check=False).returncode == 0
    return hide if can else ()

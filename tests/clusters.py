"""Real Ray clusters on this machine, as `ray start` makes them: a head with token authentication, and further nodes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers import free_port
from tests.sweeping import kill_family, until

TOKEN = "a-token-of-the-tests-0123456789abcdef"


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
        words = ["--head", "--port", str(self.port), "--num-cpus", str(self.cpus), "--num-gpus", str(self.gpus)]
        words += ["--include-dashboard", str(self.has_dashboard).lower(), "--dashboard-port", str(self.dashboard_port)]
        self._start(words, "head", before=())

    def join(self, *, cpus: float = 2, gpus: int = 0, before: tuple[str, ...] = ()) -> None:
        """Adds a node with folders of its own; `before` is what its command line begins with."""
        words = ["--address", self.address, "--num-cpus", str(cpus), "--num-gpus", str(gpus)]
        self._start(words, f"node-{len(self._nodes)}", before)

    def stop(self) -> None:
        for node in reversed(self._nodes):
            kill_family(node)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, words: list[str], name: str, before: tuple[str, ...]) -> None:
        own = self.folder / name
        (own / "home").mkdir(parents=True)
        program = str(Path(sys.executable).with_name("ray"))
        # two raylets on one machine would else give their workers, and their agents, the same ports
        ports = ["--min-worker-port", "0", "--max-worker-port", "0", "--dashboard-agent-listen-port", str(free_port())]
        words = [*words, *ports, "--node-ip-address", "127.0.0.1", "--temp-dir", str(own), "--disable-usage-stats"]
        with (own / "log").open("wb") as log:
            node = subprocess.Popen(
                [*before, program, "start", *words, "--block"],
                env=self._environment | {"HOME": str(own / "home"), "TMPDIR": str(own)},
                stdout=log,
                stderr=log,
                process_group=0,
                cwd=own / "home",
            )
        self._nodes.append(node)
        until(lambda: node.poll() is not None or "Ray runtime started" in (own / "log").read_text(), f"the {name}")
        assert node.poll() is None, (own / "log").read_text()

    @property
    def _environment(self) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TUNE_", "MLFLOW_"))}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        loopback = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # as for a cluster of our own: 127.0.0.1 is this machine
        return (
            plain | {"PATH": path, "PYTHONPATH": os.pathsep.join(sys.path)} | loopback | self.client | self.environment
        )

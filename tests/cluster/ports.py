"""The ports that Ray opens: each one found where it listens, and asked without a token, with a wrong one and with the
right one.

`python -m tests.cluster.ports` writes the table of docs/security.md.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import grpc
import psutil

from tests.support.servers import free_port
from tests.support.sweeping import kill_family, until

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
_BEGIN, _END = "<!-- ports: written by tests/cluster/ports.py -->", "<!-- end of ports -->"
_DRIVER = """
import ray, time
for _ in range(5):
    try:
        ray.init({address!r}, log_to_driver=False)
        break
    except Exception as error:  # a machine that is busy is slow to start a client's server
        print(error, flush=True)
print("connected", ray.get(ray.remote(lambda: 1).remote()), flush=True)
time.sleep(3600)
"""


@dataclass(frozen=True)
class Kind:
    """One of Ray's servers: the gRPC service or the HTTP path by which it is known, and what may be asked with the
    right token without doing anything."""

    name: str
    port: str  # as Ray chooses it where nobody says otherwise
    sign: str
    asks: str
    open_paths: tuple[str, ...] = ()


_HEALTH = "/grpc.health.v1.Health/Check"
GRPC = (
    Kind("GCS, the head", "6379 (`--port`)", "NodeInfoGcsService", "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo"),
    Kind(
        "node manager", "any (`--node-manager-port`)", "NodeManagerService", "/ray.rpc.NodeManagerService/GetNodeStats"
    ),
    Kind("object manager", "any (`--object-manager-port`)", "ObjectManagerService", ""),
    Kind(
        "each worker and driver",
        "10002 to 19999 (`--min-worker-port`)",
        "CoreWorkerService",
        "/ray.rpc.CoreWorkerService/NumPendingTasks",
    ),
    Kind(
        "client server, each client's own", "10001, then 23000 and up (`--ray-client-server-port`)", "RayletDriver", ""
    ),
    Kind(
        "agent of a node, gRPC",
        "any (`--dashboard-agent-grpc-port`)",
        "ReporterService",
        "/ray.rpc.ReporterService/HealthCheck",
    ),
)
HTTP = (
    Kind(
        "dashboard and jobs",
        "8265 (`--dashboard-port`)",
        "dashboard.py",
        "/api/jobs/",
        ("/", "/api/authentication_mode", "/api/gcs_healthz"),
    ),
    Kind(
        "agent of a node, HTTP",
        "52365 (`--dashboard-agent-listen-port`)",
        "DashboardAgent",
        "/api/job_agent/jobs/nobody/logs",
        ("/api/healthz", "/api/local_raylet_healthz"),
    ),
    Kind("runtime environments", "any (`--runtime-env-agent-port`)", "RuntimeEnvAgent", "/"),
)
METRICS = {
    "DashboardAgent": Kind("metrics of a node", "any (`--metrics-export-port`)", "", "/metrics"),
    "dashboard.py": Kind("metrics of the dashboard", "44227 (`DASHBOARD_METRIC_PORT`)", "", "/metrics"),
    "monitor.py": Kind("metrics of the autoscaler", "44217 (`AUTOSCALER_METRIC_PORT`)", "", "/metrics"),
}
_BEHIND = ("/api/jobs/", "/api/version", "/api/cluster_status", "/nodes?view=summary", "/api/v0/tasks", "/whatever")


@dataclass(frozen=True)
class Port:
    """Where a process listens."""

    process: str
    address: str
    number: int


@dataclass(frozen=True)
class Row:
    """What a kind of port answers: to no token, to a wrong one, to the right one, and what it gives to everybody."""

    kind: Kind
    addresses: frozenset[str]
    without: str
    wrong: str
    right: str
    for_all: str

    @property
    def line(self) -> str:
        cells = (self.kind.name, self.kind.port, self.without, self.wrong, self.right, self.for_all)
        return f"| {' | '.join(cells)} |"


# --- a real head ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Head:
    """A head of Ray with all its servers, a client and a driver, and the token that they have."""

    token: str
    token_file: Path
    folder: Path
    processes: tuple[subprocess.Popen[str], ...]
    gcs: int
    dashboard: int
    client: int

    def environment(self, token_file: Path | None) -> dict[str, str]:
        """Of a process that has this token; or none, and no home folder in which it might find one."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        ours |= {"HOME": str(self.folder), "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
        return ours if token_file is None else ours | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token_file)}


@contextmanager
def head() -> Iterator[Head]:
    """`ray start --head` with token authentication, the dashboard and the client server, on loopback; a driver at it
    and a client."""
    with tempfile.TemporaryDirectory(prefix="tj-", ignore_cleanup_errors=True) as name:
        folder, token = Path(name), secrets.token_hex(32)
        file = folder / "token"
        file.touch(0o600)
        file.write_text(token)
        processes: list[subprocess.Popen[str]] = []
        found = Head(token, file, folder, (), free_port(), free_port(), free_port())
        metrics = {name: str(free_port()) for name in ("DASHBOARD_METRIC_PORT", "AUTOSCALER_METRIC_PORT")}
        words = ["--head", "--block", "--node-ip-address", "127.0.0.1", "--num-cpus", "2", "--disable-usage-stats"]
        words += ["--port", str(found.gcs), "--dashboard-port", str(found.dashboard), "--temp-dir", str(folder / "ray")]
        words += ["--ray-client-server-port", str(found.client), "--dashboard-agent-listen-port", str(free_port())]
        try:
            environment = found.environment(file) | metrics
            command = [sys.executable, "-m", "ray.scripts.scripts", "start", *words]
            processes.append(_started(command, environment, log := folder / "start.log"))
            until(lambda: "Ray runtime started" in log.read_text(), "Ray's start", processes[0], log=log)
            until(lambda: len(listening(processes)) >= 11, "all of Ray's servers", processes[0], log=log)
            for address in (f"127.0.0.1:{found.gcs}", f"ray://127.0.0.1:{found.client}"):
                command = [sys.executable, "-c", _DRIVER.format(address=address)]
                processes.append(_started(command, found.environment(file), log := folder / address.replace("/", "-")))
                until(lambda log=log: "connected" in log.read_text(), f"a driver at {address}", processes[-1], log=log)
            yield Head(token, file, folder, tuple(processes), found.gcs, found.dashboard, found.client)
        finally:
            for process in reversed(processes):
                kill_family(process)


def _started(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[str]:
    with log.open("w") as out:
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, text=True, process_group=0
        )


# --- what is open -----------------------------------------------------------------------------------------------------


def listening(processes: Iterable[subprocess.Popen[str] | psutil.Process]) -> list[Port]:
    """Every TCP port at which one of these processes or of their children listens."""
    found = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(process.pid)
            for one in (root, *root.children(recursive=True)):
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    found += [_port(one, at) for at in one.net_connections("inet") if at.status == psutil.CONN_LISTEN]
    return sorted(set(found), key=lambda port: port.number)


def _port(process: psutil.Process, at: psutil._common.pconn) -> Port:
    return Port(" ".join(process.cmdline()), str(at.laddr.ip).removeprefix("::ffff:"), at.laddr.port)


def seen(real: Head) -> list[Row]:
    """What the head's ports answer. At the end it is asked what it does not outlive."""
    ports = listening(real.processes)
    rows = rows_of(ports, real.token)
    fallen = _fallen(real, ports)
    return [
        replace(row, for_all=f"{row.for_all}; a call that ends it") if row.kind.name in fallen else row for row in rows
    ]


def rows_of(ports: Iterable[Port], token: str) -> list[Row]:
    """What they answer, a row a kind. Ports of one kind that answer differently have two rows."""
    rows: dict[str, Row] = {}
    for port in ports:
        row = _grpc_row(port, token) or _http_row(port, token)
        if row is not None:
            before = rows.get(row.line)
            rows[row.line] = row if before is None else _merged(before, row)
    order = [kind.name for kind in (*GRPC, *HTTP, *METRICS.values())]
    return sorted(rows.values(), key=lambda row: (order.index(row.kind.name), row.line))


def _fallen(real: Head, ports: list[Port]) -> set[str]:
    """Name the kinds of server that a call without a token ends.

    Each has to fall by its own call. `ray start --block` would end all servers once one is gone, so it is suspended. A
    node manager does not outlive GCS, so the node manager is called first.
    """
    core = [(port, row) for port in ports for row in _rows_of_core(port, real.token)]
    core.sort(key=lambda pair: pair[1].kind.sign != "NodeManagerService")
    psutil.Process(real.processes[0].pid).suspend()
    return {row.kind.name for port, row in core if _falls(port)}


def _rows_of_core(port: Port, token: str) -> list[Row]:
    """Of the servers that keep nodes in step."""
    row = _grpc_row(port, token) if port.process.split()[0].endswith(("gcs_server", "raylet")) else None
    return [] if row is None or row.kind.sign == "ObjectManagerService" else [row]


def _falls(port: Port) -> bool:
    """Whether a call without a token ends the process behind it: `StartSync` without a node's identity."""
    with grpc.insecure_channel(f"127.0.0.1:{port.number}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        call = channel.unary_unary("/ray.rpc.syncer.RaySyncer/StartSync", bytes, bytes)
        with suppress(grpc.RpcError):
            call(b"", timeout=10)
    for _ in range(60):  # a node manager takes a while to end on a busy machine
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port.number)) != 0:
                return True
        time.sleep(0.1)
    return False


def _merged(one: Row, other: Row) -> Row:
    return Row(one.kind, one.addresses | other.addresses, one.without, one.wrong, one.right, one.for_all)


@cache
def methods() -> tuple[str, ...]:
    """Every gRPC method that Ray's programs and its Python modules name."""
    import ray
    from ray.core import generated

    core = Path(ray.__file__).parent / "core" / "src" / "ray"
    found = {
        text.decode()
        for program in (core / "gcs" / "gcs_server", core / "raylet" / "raylet")
        for text in re.findall(rb"/ray\.rpc\.[A-Za-z.]+/[A-Za-z]+(?=\0)", program.read_bytes())
    }
    for module in pkgutil.iter_modules(generated.__path__):
        if module.name.endswith("_pb2"):
            descriptor = importlib.import_module(f"{generated.__name__}.{module.name}").DESCRIPTOR
            for service in descriptor.services_by_name.values():
                found |= {f"/{service.full_name}/{method.name}" for method in service.methods}
    return tuple(sorted(found))


def _grpc_row(port: Port, token: str) -> Row | None:
    """None where it does not speak gRPC. Without the right token every method of every service is called."""
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(f"127.0.0.1:{port.number}", options=options) as channel:
        if _called(channel, _HEALTH, None) == "UNAVAILABLE":
            return None
        bare = {method: _called(channel, method, None) for method in methods()}
        wrong = {method: _called(channel, method, "0" * 64) for method in methods()}
        served = {method for method, answer in bare.items() if answer != "UNIMPLEMENTED"}
        kinds = [kind for kind in GRPC if any(f".{kind.sign}/" in method for method in served)]
        assert len(kinds) == 1, f"{port} serves {sorted(served)}"
        (kind,) = kinds
        return Row(
            kind,
            frozenset([port.address]),
            _all(bare[method] for method in served),
            _all(wrong[method] for method in served),
            _called(channel, kind.asks, token) if kind.asks else "not asked",
            "health" if _called(channel, _HEALTH, None) == "OK" else "nothing",
        )


def _called(channel: grpc.Channel, method: str, token: str | None) -> str:
    same = bytes  # what is sent and what comes stay bytes: an empty message is one of any kind
    call = channel.unary_unary(method, request_serializer=same, response_deserializer=same)
    said = [("node_id", secrets.token_hex(28))]  # without it `StartSync` ends the process that is asked
    try:
        call(b"", timeout=10, metadata=said if token is None else [*said, ("authorization", f"Bearer {token}")])
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


def _http_row(port: Port, token: str) -> Row | None:
    without = [_asked(port.number, path, None) for path in _BEHIND]
    if without == ["200"] * len(_BEHIND) and b"# HELP" in _got(port.number, "/metrics"):
        kind = next(kind for sign, kind in METRICS.items() if sign in port.process)
        return Row(kind, frozenset([port.address]), "200", "200", "200", "all of them")
    kind = next((kind for kind in HTTP if kind.sign in port.process), None)
    assert kind is not None, f"nobody knows {port}, which answers {without}"
    open_to_all = [path for path in kind.open_paths if _asked(port.number, path, None) not in ("401", "403")]
    return Row(
        kind,
        frozenset([port.address]),
        _all(without),
        _all(_asked(port.number, path, "0" * 64) for path in _BEHIND),
        _asked(port.number, kind.asks, token),
        ", ".join(f"`{path}`" for path in open_to_all) or "nothing",
    )


def _asked(port: int, path: str, token: str | None) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return str(error.code)


def _got(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return bytes(answer.read())


def _all(answers: Iterable[str]) -> str:
    return " or ".join(sorted(set(answers)))


# --- the page ---------------------------------------------------------------------------------------------------------


def table(rows: Iterable[Row]) -> str:
    titles = ("what listens", "port", "without a token", "with a wrong one", "with the right one", "open to all")
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}", *(row.line for row in rows)]
    return "\n".join([_BEGIN, *lines, _END])


def written() -> str:
    """The table as the page has it."""
    found = re.search(f"{_BEGIN}.*{_END}", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None, f"{PAGE} has no place for the table"
    return found[0]


if __name__ == "__main__":
    with head() as real:
        made = table(seen(real))
    PAGE.write_text(PAGE.read_text(encoding="utf-8").replace(written(), made), encoding="utf-8")
    print(made)

"""Real servers that a test starts, stops and starts again, and what stands between them and those they serve."""

from __future__ import annotations

import http.client
import http.server
import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.mlflow_tables import Tables
from tests.support.sweeping import kill_family, until

_PORTS = range(20_000, 32_000)  # below those that the system gives to connections and to whoever asks for any


def free_port() -> int:
    """Return a port of loopback at which nobody listens. The system gives it to nobody else meanwhile."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


@dataclass
class MlflowServer:
    """An MLflow server on loopback, that can be killed and started on the same store; with `login` only that user, who
    may do everything, comes in. `inside` is what its command begins with."""

    folder: Path
    login: tuple[str, str] | None = None
    tables: Tables | None = None  # of a new store
    inside: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        store = self.folder / "server.db"
        if self.tables is not None and not store.exists():
            self.tables.copy_to(store)
        command = [*self.inside, sys.executable, "-m", "mlflow", "server"]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{store}"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        if self.login is not None:
            command += ["--app-name", "basic-auth"]
            environment |= self._with_login(*self.login)
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, process_group=0)
        until(self._answers, "the MLflow server")

    def _with_login(self, user: str, password: str) -> dict[str, str]:
        config = self.folder / "auth.ini"
        lines = ("[mlflow]", "default_permission = READ", f"database_uri = sqlite:///{self.folder / 'auth.db'}")
        function = "authorization_function = mlflow.server.auth:authenticate_request_basic_auth"
        config.write_text("\n".join([*lines, function, "auth_cache_ttl_seconds = 60"]))
        return {
            "MLFLOW_AUTH_CONFIG_PATH": str(config),
            "MLFLOW_AUTH_ADMIN_USERNAME": user,
            "MLFLOW_AUTH_ADMIN_PASSWORD": password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(),
        }

    def stop(self) -> None:
        if self.process is not None:
            kill_family(self.process)

    def _answers(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/health", timeout=2):
            return True
        return False


class PostgresServer:
    """A PostgreSQL server of the test's own, on loopback; its folder is not pytest's, which its user may not enter."""

    def __init__(self) -> None:
        self._programs = _postgres_programs()
        self.folder = Path(tempfile.mkdtemp(prefix="tune-jobs-postgres-", dir="/tmp"))
        self.port = free_port()
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        flags = ["-U", "tune_jobs", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        self._call("initdb", "-D", str(self.folder / "data"), *flags)

    def url(self, port: int | None = None) -> str:
        """The storage, or the same behind a proxy on `port`."""
        return f"postgresql+psycopg://tune_jobs@127.0.0.1:{port or self.port}/postgres"

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k {self.folder} -c fsync=off"
        self._call("pg_ctl", "start", "-w", "-s", *self._data, "-l", str(self.folder / "log"), "-o", options)

    def stop(self) -> None:
        """At once, as a machine that loses its power: whoever is connected is not told."""
        self._call("pg_ctl", "stop", "-s", "-m", "immediate", *self._data)

    def remove(self) -> None:
        with suppress(subprocess.CalledProcessError):
            self.stop()
        shutil.rmtree(self.folder)

    @property
    def _data(self) -> tuple[str, str]:
        return "-D", str(self.folder / "data")

    def _call(self, program: str, *words: str) -> None:
        """As the user `postgres` where we are root, whom PostgreSQL refuses."""
        owner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        log = subprocess.DEVNULL  # a pipe would be kept open by the server
        subprocess.run([*owner, str(self._programs / program), *words], cwd="/", stdout=log, stderr=log, check=True)


@contextmanager
def private_postgres() -> Iterator[PostgresServer]:
    """A server of a test's own; skipped where PostgreSQL is not to be tested."""
    if not os.environ.get("TUNE_JOBS_TEST_POSTGRES"):
        pytest.skip("TUNE_JOBS_TEST_POSTGRES names no server, so that PostgreSQL is not to be tested here")
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def _postgres_programs() -> Path:
    """The folder of the newest `initdb`."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    program = str(found[-1]) if found else shutil.which("initdb")
    if program is None:
        pytest.skip("PostgreSQL's initdb is not installed")
    return Path(program).resolve().parent


@dataclass
class Wire:
    """A TCP connection to a server on loopback, as slow as `delay_s` an answer, that can be cut.

    `lose_answer_to` is what a message has to hold for its answer, and the connection, to be lost once; the server keeps
    its own end of a lost connection open.
    """

    target: int
    delay_s: float = 0.0
    lose_answer_to: bytes | None = None
    port: int = 0
    _pairs: list[tuple[socket.socket, socket.socket]] = field(default_factory=list)

    @contextmanager
    def open(self) -> Iterator[Wire]:
        with socket.create_server(("127.0.0.1", self.port)) as listener:
            self.port = listener.getsockname()[1]
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
            try:
                yield self
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                self.cut()
                for pair in self._pairs:
                    pair[1].close()

    def cut(self, *, keeps_server: bool = False) -> None:
        """Ends all connections; the server does not notice where `keeps_server`."""
        for client, server in self._pairs:
            for end in (client, *(() if keeps_server else (server,))):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
                server.settimeout(None)
            except OSError:
                client.close()
                continue
            self._pairs.append((client, server))
            threading.Thread(target=self._ask, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answer, args=(client, server), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if self.lose_answer_to is not None and self.lose_answer_to in data:
                    self.lose_answer_to = None
                    client.shutdown(socket.SHUT_RDWR)
                server.sendall(data)
        client.close()

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                time.sleep(self.delay_s)
                client.sendall(data)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


@dataclass
class HttpProxy:
    """What stands before an HTTP server: slower by `delay_s` a call, failing with 500 at random in a share of
    `errors` of the calls, half of which the server heard all the same."""

    target: int
    delay_s: float = 0.0
    errors: float = 0.0
    n_calls: int = 0
    n_errors: int = 0
    port: int = 0
    _chance: random.Random = field(default_factory=lambda: random.Random(1))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def behave(self, delay_s: float = 0.0, errors: float = 0.0) -> None:
        """From now on so late and so wrong."""
        self.delay_s, self.errors = delay_s, errors

    @contextmanager
    def open(self) -> Iterator[HttpProxy]:
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def _pass(self) -> None:
                proxy.serve(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass  # noqa: N815 - their names there

            def log_message(self, *words: object) -> None:
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler) as server:
            self.port = server.server_address[1]
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try:
                yield self
            finally:
                server.shutdown()

    def serve(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.n_calls += 1
        time.sleep(self.delay_s)
        fails, is_heard = self._chance.random() < self.errors, self._chance.random() < 0.5
        self.n_errors += fails
        status, headers, answer = 500, [("Content-Type", "text/plain")], b"out of order"
        if not fails or is_heard:
            connection = http.client.HTTPConnection("127.0.0.1", self.target, timeout=30)
            try:
                connection.request(handler.command, handler.path, body, dict(handler.headers))
                heard = connection.getresponse()
                content = heard.read()
            finally:
                connection.close()
            if not fails:
                status, headers, answer = heard.status, heard.getheaders(), content
        with suppress(OSError):  # whoever asked has gone
            handler.send_response(status)
            for name, value in headers:
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(answer)))
            handler.end_headers()
            handler.wfile.write(answer)

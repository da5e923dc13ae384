"""Web servers on loopback: one that takes what is posted to it, one that has the files of a folder, a silent one."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

NOWHERE = "http://127.0.0.1:1/nothing"  # where no server is


@contextmanager
def _serving(handler: Any) -> Iterator[str]:
    """Answer requests by this handler; the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Webhook:
    """What a server was sent."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def events(self) -> list[str]:
        return [body["event"] for body in self.bodies]


@contextmanager
def webhook(code: int = 200) -> Iterator[Webhook]:
    """A server that answers each POST with this code."""
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.headers.append(dict(self.headers))
            hook.paths.append(self.path)
            hook.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(code)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with _serving(Handler) as url:
        hook.url = f"{url}/hook"
        yield hook


@dataclass
class FileServer:
    """Where it is, what was asked for, and how many requests it still answers with an error."""

    url: str = ""
    failures: int = 0
    asked: list[str] = field(default_factory=list)


@contextmanager
def served(folder: Path) -> Iterator[FileServer]:
    """Serve the folder until the block ends."""
    server = FileServer()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append(self.path)
            if server.failures > 0:
                server.failures -= 1
                self.send_error(503)
                return
            super().do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with _serving(partial(Handler, directory=str(folder))) as server.url:
        yield server


@contextmanager
def silent_server() -> Iterator[str]:
    """The address of a server to which everybody can connect and which never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/hook"

"""A web server on this machine that has the files of a folder."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

NOWHERE = "http://127.0.0.1:1/nothing"  # where no server is


@dataclass
class FileServer:
    """Where it is, what was asked for, and how many requests it still answers with an error."""

    url: str
    failures: int = 0
    asked: list[str] = field(default_factory=list)


@contextmanager
def served(folder: Path) -> Iterator[FileServer]:
    """Serve the folder until the block ends."""
    server = FileServer("")

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append(self.path)
            if server.failures > 0:
                server.failures -= 1
                self.send_error(503)
                return
            super().do_GET()

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as http:
        server.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()

"""Commands as processes that start at once: each is a child of one process, which has imported what they need."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.sweeping import PROGRAMS, plain_environment, variables_of
from tune_jobs.settings import Settings


@dataclass(frozen=True)
class Command:
    """A command that runs, with what tests use of `subprocess.Popen`."""

    pid: int
    _server: WarmServer
    _out: Path
    _err: Path

    @property
    def returncode(self) -> int | None:
        return self._server.codes.get(self.pid)

    @property
    def stderr(self) -> str:
        """What it has said so far."""
        return self._err.read_text(encoding="utf-8")

    def poll(self) -> int | None:
        self._server.listen()
        return self.returncode

    def wait(self, timeout: float) -> int:
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout, self._out.read_text(), self.stderr)
            time.sleep(0.02)
        return code

    def communicate(self, timeout: float = 60.0) -> tuple[str, str]:
        """Wait for the end; return standard output and standard error."""
        self.wait(timeout)
        return self._out.read_text(encoding="utf-8"), self.stderr

    def send_signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            if self.poll() is None:
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@dataclass
class WarmServer:
    """The process whose children are commands. It starts with the first one, and ends when it is closed."""

    folder: Path
    codes: dict[int, int] = field(default_factory=dict)
    _socket: socket.socket | None = None
    _process: subprocess.Popen[bytes] | None = None
    _n_commands: int = 0
    _pids: list[int] = field(default_factory=list)

    def command_line(self, settings: Settings, *words: str, before: str = "", **variables: str) -> Command:
        """Start `tune-jobs` as `sweeping.command_line` does."""
        settings.home.parent.mkdir(parents=True, exist_ok=True)
        request = {
            "words": words,
            "environment": plain_environment() | variables_of(settings) | variables,
            "folder": str(settings.home.parent),
            "before": before,
        }
        self._n_commands += 1
        out, err = (self.folder / f"{self._n_commands}-{name}" for name in ("out", "err"))
        with out.open("wb") as stdout, err.open("wb") as stderr:
            files = [stdout.fileno(), stderr.fileno()]
            socket.send_fds(self._connected(), [json.dumps(request).encode()], files)
        while not self._pids:
            self._hear()
        return Command(self._pids.pop(), self, out, err)

    def listen(self) -> None:
        """Take what there is to hear, without waiting for it."""
        connection = self._connected()
        connection.setblocking(False)
        try:
            while True:
                self._hear()
        except BlockingIOError:
            pass
        finally:
            connection.setblocking(True)

    def close(self) -> None:
        if self._socket is not None and self._process is not None:
            self._socket.close()
            self._process.wait()

    def _hear(self) -> None:
        message = self._connected().recv(1 << 16)
        assert message, f"what starts commands has ended: {(self.folder / 'log').read_text(encoding='utf-8')}"
        answer: dict[str, Any] = json.loads(message)
        if "code" in answer:
            self.codes[answer["pid"]] = answer["code"]
        else:
            self.codes.pop(answer["pid"], None)  # of a process that ended long ago and had the same number
            self._pids.append(answer["pid"])

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            program = [sys.executable, str(PROGRAMS / "warm.py")]
            with theirs, (self.folder / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    program, env=plain_environment(), stdin=theirs, stdout=log, stderr=log, process_group=0
                )
        return self._socket

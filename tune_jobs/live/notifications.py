"""Tell web addresses and commands how a launch goes. The process that speaks to them is `notifier.py`.

A launch writes into a pipe and never waits. Addresses and commands may have passwords and tokens in them: what is shown
of an address is its host, and of a command its name. Nothing of this is kept with a study.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from tune_jobs import files
from tune_jobs.errors import SettingsError
from tune_jobs.live import notifier

NONE = "none"  # in place of a target: nobody, whatever the environment says
_NEEDS = "--notify needs an address such as https://HOST/PATH, a command, or @FILE with one of them in each line"


@dataclass(frozen=True)
class Target:
    """A web address, or the words of a command, and what may be shown of it."""

    what: str | tuple[str, ...]
    name: str


def read(texts: Sequence[str]) -> tuple[Target, ...]:
    """Return the targets that are named: addresses, commands, and files of such with an @ before their path.

    Raises:
        SettingsError: one of them is neither, a command is not on this machine, or a file cannot be read.
    """
    named = lines(texts)
    return () if named == (NONE,) else tuple(map(_target, named))


def lines(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the texts of targets, with those of a file in place of its name.

    Raises:
        SettingsError: a file cannot be read.
    """
    return tuple(line for text in texts for line in (_lines_of(Path(text[1:])) if text.startswith("@") else (text,)))


def _lines_of(path: Path) -> tuple[str, ...]:
    try:
        with files.reading(path.expanduser()) as file:
            return tuple(filter(None, map(str.strip, file.read().decode().splitlines())))
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise SettingsError(f"the file {path} of --notify cannot be read: {why}") from error


def _target(text: str) -> Target:
    scheme, separator, _ = text.partition("://")
    if separator and scheme.isalnum():
        return _address(text, scheme)
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise SettingsError(f"{_NEEDS}; got a command with a quotation mark that is not closed") from error
    if not words:
        raise SettingsError(f"{_NEEDS}; got an empty text")
    program = shutil.which(words[0])
    if program is None:
        raise SettingsError(f"{_NEEDS}; got the command {Path(words[0]).name}, which is not on this machine")
    return Target((str(Path(program).absolute()), *words[1:]), Path(program).name)


def _address(text: str, scheme: str) -> Target:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SettingsError(f"{_NEEDS}; got an address whose host or port cannot be read") from error
    if scheme.lower() not in ("http", "https") or not host or not text.isascii() or len(text.split()) != 1:
        raise SettingsError(f"{_NEEDS}; got an address of the kind {scheme}://, without a host or with a space in it")
    return Target(text, f"{scheme.lower()}://{host}{'' if port is None else f':{port}'}")


@dataclass
class _Status:
    """What became of the messages for a target, as the process says."""

    problem: str | None = None
    sent: int = 0
    failed: int = 0


class Notifications:
    """The process that tells the targets of one launch."""

    def __init__(self, targets: Sequence[Target], lost: Mapping[str, object], log: Path) -> None:
        """Start the process. It sends `lost` if this one ends without a last message, and keeps its log in a file."""
        self._targets, self._log = targets, log
        self._statuses = [_Status() for _ in targets]
        command = [sys.executable, "-I", "-S", notifier.__file__]
        with files.opened(log, mode=0o600) as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
            )
        assert self._process.stdin is not None
        self._input: IO[bytes] | None = self._process.stdin
        os.set_blocking(self._input.fileno(), False)
        threading.Thread(target=self._read, daemon=True).start()
        plan = {"targets": [target.what for target in targets], "names": [target.name for target in targets]}
        self.send(plan | {"lost": dict(lost)})

    def send(self, message: Mapping[str, object]) -> None:
        """Hand the process a message. One that does not read its pipe gets no further one."""
        line = json.dumps(message).encode() + b"\n"
        if self._input is None:
            return
        try:
            is_whole = os.write(self._input.fileno(), line) == len(line)
        except OSError:
            is_whole = False
        if not is_whole:
            self._process.kill()
            self.close()

    def close(self) -> None:
        """Let the process send what is left and end; it is not waited for."""
        if self._input is not None:
            with suppress(OSError):
                self._input.close()
            self._input = None

    @property
    def problems(self) -> str | None:
        """What is known to be undelivered now, in one line."""
        each = [
            f"{target.name} ({status.problem}; {status.sent} of {status.sent + status.failed} taken)"
            for target, status in zip(self._targets, self._statuses, strict=True)
            if status.failed or (status.problem and not status.sent)
        ]
        return f"Notifications did not all arrive at {', '.join(each)}. {self._log} has more." if each else None

    def _read(self) -> None:
        """Follow what the process says, until it has ended."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with suppress(ValueError):  # half a line of a process that was killed
                status = json.loads(line)
                number = status.pop("target")
                self._statuses[number] = _Status(**status)
        self._process.stdout.close()
        self._process.wait()

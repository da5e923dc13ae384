"""Hands messages to web addresses and commands, as a program of its own: a launch waits for none of them.

It imports nothing of tune-jobs, so that it starts in a moment. The first line on standard input lists the targets and
the message to send if the launch dies; each further line is a message. Each target has a thread, and at most four
messages wait there, since a newer best takes the place of an older one. What became of them is on standard output, a
line at a time, and what could not be delivered on standard error; neither has a word of an address or a command.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

ANSWER_S = 5.0  # for an address, between two pieces of its answer
COMMAND_S = 30.0  # for a command to end
LAST_S = 30.0  # for what is left once the launch has ended
_AGAIN_S = 2.0  # between a failure and the second attempt
_REPLACED = "best"  # the kind of message of which only the newest is worth sending
_LAST = ("end", "failure")  # kinds that end a launch

Target = str | Sequence[str]  # an address, or the words of a command
Message = Mapping[str, Any]


class UndeliveredError(Exception):
    """A message was not taken, for a reason in words of ours; `again` if another attempt may fare better."""

    def __init__(self, why: str, *, again: bool = True) -> None:
        super().__init__(why)
        self.again = again


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST becomes a GET without the message: it counts as an error."""

    def redirect_request(self, *_: Any) -> None:
        return None


def post(address: str, body: bytes, answer_s: float = ANSWER_S) -> None:
    """Send a body to a web address, by way of the proxies that the environment names.

    Raises:
        UndeliveredError: it was not accepted.
    """
    parts = urlsplit(address)
    login, _, host = parts.netloc.rpartition("@")
    headers = {"Content-Type": "application/json", "User-Agent": "tune-jobs"}
    if login:
        headers["Authorization"] = "Basic " + base64.b64encode(unquote(login).encode()).decode()
    request = urllib.request.Request(parts._replace(netloc=host).geturl(), body, headers)
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=answer_s):
            pass
    except urllib.error.HTTPError as error:
        error.close()
        raise UndeliveredError(f"it answered {error.code}", again=error.code >= 500 or error.code == 429) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UndeliveredError(_why(error, answer_s)) from None


def _why(error: Exception, answer_s: float) -> str:
    """Return what went wrong, without the error's own text, which may have the address in it."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return f"no answer in {answer_s:g} s"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return type(reason if isinstance(reason, Exception) else error).__name__


def call(words: Sequence[str], body: bytes, limit_s: float = COMMAND_S) -> None:
    """Run a command with a body on its standard input. No shell reads the words.

    Raises:
        UndeliveredError: it failed, or did not end in time.
    """
    try:
        command = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise UndeliveredError(error.strerror or type(error).__name__, again=False) from None
    try:
        command.communicate(body, timeout=limit_s)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(command.pid, signal.SIGKILL)
        command.wait()
        raise UndeliveredError(f"it did not end in {limit_s:g} s", again=False) from None
    if command.returncode:
        raise UndeliveredError(f"exit code {command.returncode}", again=False)


class Channel:
    """Hands messages to one target, in their order, from a thread of its own."""

    def __init__(self, number: int, target: Target, name: str) -> None:
        self._number, self._target, self._name = number, target, name
        self._waiting: list[Message] = []
        self._changed = threading.Condition()
        self._is_closed = False
        self._sent = self._failed = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, message: Message) -> None:
        """Send a message after those that wait; a best that waits gives way to a newer one."""
        with self._changed:
            if message.get("event") == _REPLACED:
                self._waiting = [one for one in self._waiting if one.get("event") != _REPLACED]
            self._waiting.append(message)
            self._changed.notify()

    def close(self, until: float) -> None:
        """Wait until all is sent, or until a time of the monotonic clock."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        while (message := self._next()) is not None:
            self._report("no answer yet")
            problem = self._deliver(json.dumps(message).encode())
            self._sent, self._failed = self._sent + (problem is None), self._failed + (problem is not None)
            self._report(problem)
            if problem is not None:
                self._log(f"{message.get('event')} was not delivered: {problem}")

    def _next(self) -> Message | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            return self._waiting.pop(0) if self._waiting else None

    def _deliver(self, body: bytes) -> str | None:
        """Return why a message could not be delivered at the second attempt, or at the first if that is hopeless."""
        try:
            self._attempt(body)
        except UndeliveredError as error:
            if not error.again:
                return str(error)
            self._report(str(error))
            time.sleep(_AGAIN_S)
            try:
                self._attempt(body)
            except UndeliveredError as last:
                return str(last)
        return None

    def _attempt(self, body: bytes) -> None:
        if isinstance(self._target, str):
            post(self._target, body)
        else:
            call(self._target, body)

    def _report(self, problem: str | None) -> None:
        status = {"target": self._number, "problem": problem, "sent": self._sent, "failed": self._failed}
        with suppress(OSError, ValueError):  # the launch has ended
            os.write(1, json.dumps(status).encode() + b"\n")

    def _log(self, what: str) -> None:
        with suppress(OSError, ValueError):  # a full disk
            os.write(2, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {self._name}: {what}\n".encode())


def main() -> None:
    """Send what standard input says, and that the launch died if it ends without a last message."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # Ray sends it to all processes of a job, before the last message
    plan = json.loads(sys.stdin.readline())
    targets = zip(plan["targets"], plan["names"], strict=True)
    channels = [Channel(number, target, name) for number, (target, name) in enumerate(targets)]
    last: Message = {}
    for message in _messages(sys.stdin):
        last = message
        for channel in channels:
            channel.add(message)
    if last.get("event") not in _LAST:
        for channel in channels:
            channel.add(plan["lost"])
    until = time.monotonic() + LAST_S
    for channel in channels:
        channel.close(until)


def _messages(lines: Iterable[str]) -> Iterator[Message]:
    for line in lines:
        with suppress(ValueError):  # half a line of a launch that was killed
            yield json.loads(line)


if __name__ == "__main__":
    main()

"""Pages of other programs on 127.0.0.1: their options, and who says when they answer."""

from __future__ import annotations

import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import click

from tune_jobs.cli.options import say

_POLL_S = 0.2


def page_options(port: int, no_auth: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds --port with its default, --open, and --no-auth with this help."""
    options = (
        click.option(
            "--port", type=click.IntRange(1, 65535), default=port, show_default=True, help="Port on 127.0.0.1."
        ),
        click.option("--open", "opens", is_flag=True, help="Open the address in a browser, once the page is there."),
        click.option("--no-auth", is_flag=True, help=no_auth),
    )

    def decorated(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorated


def announce(program: str, answers_at: str, opened: str | None) -> None:
    """Say that a program starts, and when it answers; then open the address `opened`, if any, in a browser.

    This process goes on meanwhile, and may become the program. The process that waits in its place ends with it.
    """
    say(f"{program} is starting …")
    served_by, began = os.getpid(), time.monotonic()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    if os.fork() == 0:  # nobody has to wait for a grandchild
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        _wait(answers_at, served_by)
        say(f"{program} answers after {time.monotonic() - began:.0f} s")
        if opened is not None:
            click.launch(opened)
    os._exit(0)


def _wait(url: str, served_by: int) -> None:
    """Wait until a page answers, with an error or without. End this process if the one that serves it has ended."""
    while not _answers(url):
        time.sleep(_POLL_S)
        try:
            os.kill(served_by, 0)
        except OSError:
            os._exit(1)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False

"""Pages of other programs on 127.0.0.1: their options, and who says when they answer."""

from __future__ import annotations

import html
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tune_jobs import files, temporary
from tune_jobs.cli.options import say

if TYPE_CHECKING:
    from tune_jobs.actions.local_page import LocalPage

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


def say_page(program: str, page: LocalPage, path: str, *, opens: bool) -> None:
    """Say where a page is that this process serves, and open it in a browser if asked to."""
    say(f"{program} is at {page.address(path)}")
    if page.password is None:
        say("It asks for no password: every user of this machine can read what it shows")
    if opens:
        open_privately(page.address(path), temporary.make())


def open_privately(address: str, folder: Path) -> None:
    """Open an address in a browser by way of a file: all users of a machine can read the command line of a browser."""
    file = folder / "open.html"
    files.write(file, f'<meta http-equiv="refresh" content="0;url={html.escape(address)}">\n', mode=0o600)
    click.launch(file.as_uri())


def announce(program: str, answers_at: str, then: Callable[[], object], *, meanwhile: str = "") -> None:
    """Say that a program starts, with what it does meanwhile, and when it answers; then call `then`.

    This process goes on meanwhile, and serves the page. The process that waits in its place ends with it.
    """
    say(f"{program} is starting{meanwhile and ': '}{meanwhile} …")
    served_by, began = os.getpid(), time.monotonic()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    if os.fork() == 0:  # nobody has to wait for a grandchild
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        _wait(answers_at, served_by)
        say(f"{program} answers after {time.monotonic() - began:.0f} s")
        then()
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

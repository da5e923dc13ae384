"""What keeps other users of this machine out of a cluster of our own: a token that nobody else knows, and a folder that
nobody else enters.

Ray by itself keeps one token for ever, under the home folder, where others may read it, and its sockets and files in
folders under /tmp in which all may write. Its processes look for the token where the environment says; what we name
there is a file, for an environment is sooner shown and handed on. Nothing here prints it, and no part of this program
but Ray ever has it.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

from tune_jobs.errors import SettingsError
from tune_jobs.settings import ray_asks_for_none, ray_folder, ray_token_is_named, show_ray_token, variables


@contextmanager
def own() -> Iterator[str]:
    """A folder for Ray's files; a Ray that is started in the block asks everybody for the token, and this process has
    it. What the user set stays: RAY_AUTH_MODE=disabled, or a token of theirs.

    Raises:
        SettingsError: the token that the user names cannot be read, or there is nowhere to write ours.
    """
    folder = _private_folder()
    with variables(_variables(folder)):  # Ray's processes have them from this one, and only at their start
        _read_again()
        _check_token()
        yield str(folder / "ray")


def show() -> None:
    """To a running cluster that asks for a token this process shows the one it has."""
    show_ray_token()
    _read_again()


def _read_again() -> None:
    """Ray reads the environment when it is imported."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _variables(folder: Path) -> dict[str, str]:
    if ray_asks_for_none():
        return {}
    token = {} if ray_token_is_named() else {"RAY_AUTH_TOKEN_PATH": str(folder / "token")}
    return {"RAY_AUTH_MODE": "token"} | token


def _check_token() -> None:
    try:
        AuthenticationTokenLoader.instance().has_token()
    except Exception as error:  # Ray's own kind, which says where it looked
        why = str(error).splitlines()[0]
        raise SettingsError(f"Ray did not start on this machine: it has no token ({why})") from error


@functools.cache
def _private_folder() -> Path:
    """With a token in it, until this process ends. Ray lets all write in what it is given, the topmost folder included,
    so that its own has to be inside."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="tj-", dir=ray_folder()))  # a socket's path may not be long
        fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_SH)  # so that nobody tidies it away in a long sweep
        (folder / "token").touch(0o600)
        (folder / "token").write_text(secrets.token_hex(32), encoding="ascii")
    except OSError as error:
        raise SettingsError(
            f"Ray did not start on this machine: it has no folder ({error}); name one with RAY_TMPDIR"
        ) from error
    maker = os.getpid()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == maker else None)
    return folder

"""Keeps other users of this machine out of a sweep's own Ray: a token that nobody else knows, in a private folder.

By default Ray keeps one token for ever under the home folder, where others may read it, and puts its sockets and files
in folders under /tmp in which everybody may write. Its processes look for the token where the environment says. Here
the environment names a file, because variables are more easily shown or passed on than files. This program never prints
the token and gives it to nothing but Ray.
"""

from __future__ import annotations

import atexit
import functools
import os
import re
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Private to Ray: no public interface has it read its token again after it was imported.
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

from tune_jobs import temporary
from tune_jobs.environment import (
    enable_ray_token,
    is_ray_token_disabled,
    is_ray_token_named,
    ray_temp_dir,
    with_variables,
)
from tune_jobs.errors import SettingsError

_SOCKET_PATH = 107  # bytes that the path of a socket may have
_WITHIN = 80  # of them after the folder that we are given: `/tj-…/ray/session_…/sockets/plasma_store`
_PLAIN = re.compile(r"[A-Za-z0-9/._+=@,:-]+")


@contextmanager
def private_ray() -> Iterator[str]:
    """Make a Ray that is started in the block require a token, which this process has. Yields a folder for its files.

    The user's own settings stay: RAY_AUTH_MODE=disabled, or a token of theirs.

    Raises:
        SettingsError: if the user's token cannot be read, or no folder can be made for ours.
    """
    folder = private_folder()
    with with_variables(_variables(folder)):  # Ray's processes copy it when they start, and need it only then
        _reload()
        _check_token()
        yield str(folder / temporary.RAY_INSIDE)


def use_token() -> None:
    """Show this process's token to the running cluster that it connects to, which requires one."""
    enable_ray_token()
    _reload()


def _reload() -> None:
    """Let Ray read the environment again; it otherwise does so only when it is imported."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _variables(folder: Path) -> dict[str, str]:
    if is_ray_token_disabled():
        return {}
    token = {} if is_ray_token_named() else {"RAY_AUTH_TOKEN_PATH": str(folder / "token")}
    return {"RAY_AUTH_MODE": "token"} | token


def _check_token() -> None:
    try:
        AuthenticationTokenLoader.instance().has_token()
    except Exception as error:  # a private type of Ray's, whose message says where it looked
        why = str(error).splitlines()[0]
        raise SettingsError(f"Ray did not start on this machine: it has no token ({why})") from error


def _places() -> Iterator[str]:
    """Yield the folders for temporary files. A batch system may set TMPDIR to one that is too long, or gone."""
    with suppress(FileNotFoundError):
        yield tempfile.gettempdir()
    yield from temporary.PLACES


def _folder_with_token(place: str) -> Path:
    """Make a folder with a token in a place that suits Ray.

    Raises:
        OSError: if the place does not, or cannot be written.
    """
    if not _PLAIN.fullmatch(place):
        raise OSError("spaces and special characters do not suit Ray")
    temporary.remove_left_by_ray(Path(place))
    folder = Path(tempfile.mkdtemp(prefix=temporary.RAY_PREFIX, dir=place))
    try:
        _try_socket(folder / "x".ljust(_WITHIN - len("/tj-12345678/"), "x"))
        temporary.held(folder)
        (folder / temporary.RAY_MARK).touch(0o600)
        (folder / "token").touch(0o600)
        (folder / "token").write_text(secrets.token_hex(32), encoding="ascii")
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _try_socket(path: Path) -> None:
    """Make a socket at the path, and remove it: some network disks have none, and a path may be too long."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.bind(str(path))
    path.unlink()


@functools.cache
def private_folder() -> Path:
    """Make a folder with a token in it, which lasts until this process ends.

    Ray lets everybody write in the topmost folder that it is given, so that it is given one inside of this.
    """
    named, problems = ray_temp_dir(), list[str]()
    for place in [str(Path(named).absolute())] if named else _places():
        try:
            folder = _folder_with_token(place)
            break
        except OSError as error:
            problems.append(f"{place}: {error.strerror or error}")
    else:
        raise SettingsError(
            f"Ray did not start on this machine: it has no folder for its sockets ({'; '.join(problems)}); RAY_TMPDIR "
            f"has to name a local folder whose path has at most {_SOCKET_PATH - _WITHIN} plain characters"
        )
    maker = os.getpid()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == maker else None)
    return folder

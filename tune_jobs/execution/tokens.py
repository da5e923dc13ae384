"""The token that Ray asks of everybody who connects to it: one of our own for a cluster of our own, the user's for any
other.

Ray's processes look for it where the environment says. What we name there is a file: an environment is sooner shown and
handed on. Nothing here prints a token, and no part of this program but Ray ever has it.
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
from tune_jobs.settings import ray_asks_for_none, ray_folder, ray_token_is_named, variables


@contextmanager
def known(address: str | None) -> Iterator[None]:
    """Has Ray ask for a token, and know it, while the block runs; not where the user said RAY_AUTH_MODE=disabled.

    A cluster of our own, for which `address` is None, has a token that nobody else knows and that ends with this
    process. Ray itself would keep one for ever under the home folder, where others may read it. Elsewhere it is the
    user's, if there is one: given an address, Ray itself looks for none.

    Raises:
        SettingsError: the token that the user names cannot be read, or there is nowhere to write ours.
    """
    with variables(_variables(address)):
        Config.initialize("")  # Ray read them when it was imported, and has to again
        loader = AuthenticationTokenLoader.instance()
        loader.reset_cache()
        _try_to_read(loader)
        yield  # after it the cache stays: threads of Ray's may still be ending


def _variables(address: str | None) -> dict[str, str]:
    if ray_asks_for_none():
        return {}
    if address is None and not ray_token_is_named():
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(_own_token())}
    has_one = address is None or _try_to_read(AuthenticationTokenLoader.instance())
    return {"RAY_AUTH_MODE": "token"} if has_one else {}


def _try_to_read(loader: AuthenticationTokenLoader) -> bool:
    """Whether there is a token, in the environment or under the home folder."""
    try:
        return bool(loader.has_token(ignore_auth_mode=True))
    except Exception as error:  # Ray's own kind, which says where it looked
        why = str(error).splitlines()[0]
        raise SettingsError(f"Ray's token cannot be read ({why}): name a file that holds it, or unset that") from error


def _own_token() -> Path:
    file = own_folder() / "token"
    if not file.exists():
        file.touch(0o600)
        file.write_text(secrets.token_hex(32), encoding="ascii")
    return file


@functools.cache
def own_folder() -> Path:
    """A folder that this user alone may enter, until this process ends. Ray keeps its sockets and files in folders that
    all may write, the topmost included: they belong inside, and not beside the token.

    Raises:
        SettingsError: there is nowhere to make one.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="tj-", dir=ray_folder()))  # a socket's path may not be long
        fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_SH)  # so that nobody tidies it away in a long sweep
    except OSError as error:
        raise SettingsError(
            f"Ray did not start on this machine: no folder for it ({error}); name one with RAY_TMPDIR"
        ) from error
    maker = os.getpid()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == maker else None)
    return folder

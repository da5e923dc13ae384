"""The password of `tune-jobs ui`, made for one time.

Without one, MLflow does for every user of this machine what its own user can do, down to reading and writing files.
"""

from __future__ import annotations

import importlib.util
import secrets
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from tune_jobs import files, homes
from tune_jobs.errors import SettingsError
from tune_jobs.settings import Settings
from tune_jobs.tracking import ui_login

_CONFIG = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///{users}
authorization_function = tune_jobs.tracking.ui_login:authenticate
auth_cache_ttl_seconds = 60
"""


@dataclass(frozen=True)
class UiPassword:
    """A login, in files that only their owner can read."""

    folder: Path
    port: int
    password: str
    user: str = ui_login.USER

    @property
    def file(self) -> Path:
        """The file with the address."""
        return self.folder / "address"

    @property
    def config(self) -> Path:
        """The file of MLflow's settings."""
        return self.folder / "auth.ini"

    @property
    def address(self) -> str:
        """The address that lets a browser in."""
        return f"http://127.0.0.1:{self.port}/?{ui_login.ASKED}={self.password}"


def new_folder(settings: Settings, port: int) -> Path:
    """Return the folder with the files of the UI at this port, which is empty."""
    folder = settings.home / "ui" / str(port)
    shutil.rmtree(folder, ignore_errors=True)
    homes.make(folder.parent, folder)
    return folder


def check_port(port: int) -> None:
    """Refuse a port at which another process listens: it could be another user's, to whom the address would give the
    password.

    Raises:
        SettingsError: the port is in use.
    """
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            server.bind(("127.0.0.1", port))
        except OSError as error:
            raise SettingsError(
                f"port {port} of 127.0.0.1 cannot be used ({error.strerror}): choose another with --port"
            ) from error


def make(settings: Settings, port: int) -> UiPassword:
    """Make a new password for the UI at this port, in place of the one before.

    Raises:
        SettingsError: a package is missing.
    """
    if importlib.util.find_spec("flask_wtf") is None:
        raise SettingsError(
            "a password for the MLflow UI needs the package Flask-WTF: `pip install 'mlflow[auth]'`, or do without a "
            "password by --no-auth if nobody else uses this machine"
        )
    made = UiPassword(new_folder(settings, port), port, secrets.token_urlsafe(16))
    files.write_bytes(made.file, f"{made.address}\n".encode(), mode=0o600)
    users = made.folder / "users.db"
    if settings.mlflow_file is not None:  # the server runs in the home, whose name need not suit an address
        users = users.relative_to(settings.home)
    files.write_bytes(made.config, _CONFIG.format(users=str(users).replace("%", "%%")).encode(), mode=0o600)
    return made

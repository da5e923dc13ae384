"""MLflow's store: whether it answers and grants access, its SQLite file, and a client that repeats failed calls."""

from __future__ import annotations

import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tune_jobs.errors import SettingsError
from tune_jobs.masking import redact
from tune_jobs.settings import Settings, mlflow_login, prepare_mlflow

if TYPE_CHECKING:
    from mlflow import MlflowClient

_RETRY_WAITS_S = (0.1, 0.5, 1.0)  # before each repetition of a call at which the server failed
_SMALL_REQUEST = "/api/2.0/mlflow/experiments/search?max_results=1"
_DENIALS = ("UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED")  # MLflow's names for 401 and 403


def check(settings: Settings) -> None:
    """Check that the tracking store answers and grants access, without importing MLflow.

    Raises:
        SettingsError: if it does not, or is a plain folder, to which MLflow no longer writes.
    """
    uri, shown = settings.tracking_uri, settings.shown_tracking_uri
    scheme, _, rest = uri.partition("://")
    if scheme in ("http", "https"):
        _check_server(uri, shown)
    elif scheme == "sqlite":
        folder = Path(rest.removeprefix("/")).expanduser().parent
        if not os.access(folder, os.W_OK):
            raise SettingsError(f"MLFLOW_TRACKING_URI is {shown}, but the folder {folder} cannot be written")
    elif scheme not in ("postgresql", "mysql", "mssql") and "+" not in scheme:
        raise SettingsError(
            f"MLFLOW_TRACKING_URI must be http(s)://SERVER, sqlite:///FILE or a database; got {shown} "
            "(MLflow no longer writes to plain folders)"
        )


def _check_server(uri: str, shown: str) -> None:
    """Check that a server is there and grants access. A database too slow to say so at once is no reason not to train.

    Raises:
        SettingsError: if no server answers, or it denies access.
    """
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=5):
            pass
    except urllib.error.HTTPError:
        pass  # it answers; servers differ in what they say without a login
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = redact(str(getattr(error, "reason", None) or error), uri)
        raise SettingsError(
            f"no MLflow server answers at {shown} ({reason}): start it, "
            "or unset MLFLOW_TRACKING_URI to use a local file"
        ) from error
    request = urllib.request.Request(f"{uri.rstrip('/')}{_SMALL_REQUEST}")
    login = mlflow_login()
    if login is not None:
        request.add_unredirected_header("Authorization", login)
    try:
        with urllib.request.urlopen(request, timeout=5):
            return
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            raise access_denied(shown, f"{error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException):
        return


def access_denied(shown: str, why: str) -> SettingsError:
    """Return the error for a server that answers but denies access. `shown` is its address without a password."""
    return SettingsError(
        f"the MLflow server at {shown} denied access ({why}): set MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD to a user who may write there"
    )


def is_access_denied(error: Exception) -> bool:
    """Return True if the server denied access, so that a retry is pointless."""
    code = str(getattr(error, "error_code", ""))
    return code in _DENIALS or re.search(r"error code 40[13]\b|\b40[13] Client Error", str(error)) is not None


def client(settings: Settings) -> MlflowClient:
    """Return a client of the store. An SQLite file is made if it does not exist."""
    prepare_mlflow()
    from mlflow import MlflowClient

    _make_file(settings.tracking_uri)
    return cast("MlflowClient", _RetryingClient(MlflowClient(tracking_uri=settings.tracking_uri)))


def _make_file(uri: str) -> None:
    """Make MLflow's SQLite file if there is none, whole or not at all.

    MLflow creates its tables one after another. Killed in between, it leaves a file that it does not open again.
    """
    from mlflow import MlflowClient

    file = Path(uri.removeprefix("sqlite:///")).expanduser()
    if not uri.startswith("sqlite:///") or file.exists():
        return
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        MlflowClient(tracking_uri=f"sqlite:///{part}").search_experiments(max_results=1)
        os.link(part, file)
    except FileExistsError:
        pass  # another process was faster
    finally:
        part.unlink(missing_ok=True)


class _RetryingClient:
    """MLflow's client, which repeats a call at which the server failed.

    Calls that create something are not repeated: the server may have created it all the same.
    """

    def __init__(self, client: MlflowClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return method if name.startswith("create_") else partial(self._retry, method)

    @staticmethod
    def _retry(method: Callable[..., Any], *args: Any, **more: Any) -> Any:
        for wait_s in _RETRY_WAITS_S:
            try:
                return method(*args, **more)
            except Exception as error:
                if not is_servers_error(error):
                    raise
                time.sleep(wait_s)
        return method(*args, **more)


def is_servers_error(error: Exception) -> bool:
    """Return True if the server answered with an error 5xx. MLflow and requests tell that by the message alone."""
    return re.search(r"too many 5\d\d error responses|error code 5\d\d|5\d\d Server Error", str(error)) is not None

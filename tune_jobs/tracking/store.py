"""The store that MLflow is: whether it answers and lets us in, its SQLite file, and a client that asks again."""

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

_WAITS_S = (0.1, 0.5, 1.0)  # before a call that the server failed at is made again
_A_QUESTION = "/api/2.0/mlflow/experiments/search?max_results=1"
_REFUSALS = ("UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED")  # MLflow's names for 401 and 403


def check(settings: Settings) -> None:
    """Whether the tracking store answers, without importing MLflow.

    Raises:
        SettingsError: if it does not, or not to us, or is a plain folder, which MLflow no longer writes.
    """
    uri, shown = settings.tracking_uri, settings.shown_tracking_uri
    scheme, _, rest = uri.partition("://")
    if scheme in ("http", "https"):
        _check_server(uri, shown)
    elif scheme == "sqlite":
        folder = Path(rest.removeprefix("/")).expanduser().parent
        if not os.access(folder, os.W_OK):
            raise SettingsError(f"MLFLOW_TRACKING_URI is {shown}, and {folder} is no folder that can be written")
    elif scheme not in ("postgresql", "mysql", "mssql") and "+" not in scheme:
        raise SettingsError(
            f"MLFLOW_TRACKING_URI must be http(s)://SERVER, sqlite:///FILE or a database; got {shown} "
            "(MLflow has given up plain folders)"
        )


def _check_server(uri: str, shown: str) -> None:
    """Whether it is there, and lets us in. Only the first has to be answered at once: a database that is slow today is
    no reason not to train."""
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=5):
            pass
    except urllib.error.HTTPError:
        pass  # it answers; what it says to a stranger is its own affair
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = redact(str(getattr(error, "reason", None) or error), uri)
        raise SettingsError(
            f"no MLflow server answers at {shown} ({reason}): start it, "
            "or unset MLFLOW_TRACKING_URI to use a local file"
        ) from error
    request = urllib.request.Request(f"{uri.rstrip('/')}{_A_QUESTION}")
    login = mlflow_login()
    if login is not None:
        request.add_unredirected_header("Authorization", login)
    try:
        with urllib.request.urlopen(request, timeout=5):
            return
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            raise refused(shown, f"{error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException):
        return


def refused(shown: str, why: str) -> SettingsError:
    """What to say of a server that is there, and not for us."""
    return SettingsError(
        f"the MLflow server at {shown} refused us ({why}): set MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD to a user of it that may write"
    )


def is_refusal(error: Exception) -> bool:
    """Whether a call failed because the server does not let us: to make it again as we are would change nothing."""
    code = str(getattr(error, "error_code", ""))
    return code in _REFUSALS or re.search(r"error code 40[13]\b|\b40[13] Client Error", str(error)) is not None


def client(settings: Settings) -> MlflowClient:
    """A client of the store, which is made where it is a file that is not there yet."""
    prepare_mlflow()
    from mlflow import MlflowClient

    _make_file(settings.tracking_uri)
    return cast("MlflowClient", _RetryingClient(MlflowClient(tracking_uri=settings.tracking_uri)))


def _make_file(uri: str) -> None:
    """Makes MLflow's SQLite file where there is none yet, whole or not at all: MLflow makes its tables one after
    another, and takes a file no more in which it was killed meanwhile."""
    from mlflow import MlflowClient

    file = Path(uri.removeprefix("sqlite:///")).expanduser()
    if not uri.startswith("sqlite:///") or file.exists():
        return
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        MlflowClient(tracking_uri=f"sqlite:///{part}").search_experiments(max_results=1)
        os.link(part, file)
    except FileExistsError:
        pass  # made by another process since
    finally:
        part.unlink(missing_ok=True)


class _RetryingClient:
    """MLflow's client, whose calls are made again when the server answers with an error of its own; but for those that
    make something, which may be there all the same."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return method if name.startswith("create_") else partial(self._insist, method)

    @staticmethod
    def _insist(method: Callable[..., Any], *args: Any, **more: Any) -> Any:
        for wait_s in _WAITS_S:
            try:
                return method(*args, **more)
            except Exception as error:
                if not is_servers_error(error):
                    raise
                time.sleep(wait_s)
        return method(*args, **more)


def is_servers_error(error: Exception) -> bool:
    """Whether the server answered, with a 500 or the like; MLflow and requests say it in words alone."""
    return re.search(r"too many 5\d\d error responses|error code 5\d\d|5\d\d Server Error", str(error)) is not None

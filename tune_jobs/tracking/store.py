"""MLflow's store: whether it answers and grants access, what its errors mean, a client that repeats failed calls."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from tune_jobs import later_imports
from tune_jobs.environment import mlflow_login, prepare_mlflow
from tune_jobs.errors import SettingsError
from tune_jobs.masking import redact
from tune_jobs.settings import Settings
from tune_jobs.tracking import own_file
from tune_jobs.words import Say

if TYPE_CHECKING:
    from mlflow import MlflowClient

_RETRY_WAITS_S = (0.1, 0.5, 1.0)  # before each repetition of a call at which the server failed
_TABLES_LOCK = 0x74756E656A6F6273  # "tunejobs": the number of an advisory lock of PostgreSQL
_SMALL_REQUEST = "/api/2.0/mlflow/experiments/search?max_results=1"
_REFUSALS = (  # MLflow's names for 400, 404 and 409
    "INVALID_PARAMETER_VALUE",
    "BAD_REQUEST",
    "INVALID_STATE",
    "RESOURCE_DOES_NOT_EXIST",
    "RESOURCE_ALREADY_EXISTS",
)
_REFUSED = r"(error code |^)4(00|09|13|14|15|22|31)\b"
_DENIALS = ("UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED")  # MLflow's names for 401 and 403


class MissingPlaceError(Exception):
    """The folder in which MLflow keeps the files of an experiment is not there any more."""


def check(settings: Settings) -> None:
    """Check that the tracking store answers and grants access, without importing MLflow.

    Raises:
        SettingsError: if it does not, or is a plain folder, to which MLflow no longer writes.
    """
    uri, shown = settings.tracking_uri, settings.shown_tracking_uri
    scheme, _, rest = uri.partition("://")
    if settings.mlflow_file is not None:
        settings.prepare()
    elif scheme in ("http", "https"):
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


def client(settings: Settings, say: Say = lambda line: None) -> MlflowClient:
    """Return a client of the store. MLflow's file in the home is made, settled and brought up to date first.

    Raises:
        SettingsError: if the store's tables are of another MLflow version.
    """
    prepare_mlflow()
    uri = address(settings)
    with later_imports.without_collections():
        from mlflow import MlflowClient
        from mlflow.tracking._tracking_service import utils

        if not uri.startswith("http"):
            import mlflow.store.tracking.sqlalchemy_store  # noqa: F401 (which the first call would import)

    utils._artifact_repos_cache.clear()  # it knows runs by their ids alone, and a home that was copied has the same
    if settings.mlflow_file is not None:
        prepare_file(settings, say)
    with _turn_to_make_tables(uri):
        if settings.mlflow_file is None and not uri.startswith("http") and _is_of_another_version(uri):
            raise _another_version(settings.shown_tracking_uri)
        return cast("MlflowClient", _RetryingClient(MlflowClient(tracking_uri=uri)))


@contextmanager
def _turn_to_make_tables(uri: str) -> Iterator[None]:
    """Wait for other processes that open the same PostgreSQL database. Two that make MLflow's tables at once fail."""
    if not uri.startswith("postgres"):
        yield
        return
    from mlflow.store.db import utils

    engine = utils.create_sqlalchemy_engine(uri)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_lock({_TABLES_LOCK})")
            yield  # the lock ends with the connection
    finally:
        engine.dispose()


def prepare_file(settings: Settings, say: Say) -> None:
    """Make MLflow's file in the home, settle it, or bring it up to date, whatever is needed.

    Raises:
        SettingsError: if it is damaged, or cannot be brought up to date.
    """
    file = settings.mlflow_file
    assert file is not None
    own_file.make(file, settings.artifacts_dir)
    own_file.check(file)
    own_file.settle(file, settings.artifacts_dir)
    if _is_of_another_version(own_file.address(file)):
        own_file.upgrade(file, say)


def address(settings: Settings) -> str:
    """Return the store's address as MLflow reads it."""
    return settings.tracking_uri if settings.mlflow_file is None else own_file.address(settings.mlflow_file)


def _is_of_another_version(uri: str) -> bool:
    """Return True if a database has tables of another MLflow version. MLflow would change some of them unasked."""
    from mlflow.store.db import utils

    engine = utils.create_sqlalchemy_engine(uri)
    try:
        found = utils._get_schema_version(engine)
    finally:
        engine.dispose()
    return found is not None and found != _newest_version()


@cache
def _newest_version() -> str:
    from mlflow.store.db import utils

    return str(utils._get_latest_schema_revision())


def _another_version(shown: str) -> SettingsError:
    return SettingsError(
        f"the tables at {shown} are of another MLflow version than the one installed ({version('mlflow')}): "
        f"back them up and run `mlflow db upgrade {shown}`, or install the newer MLflow that made them"
    )


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


def is_refusal(error: Exception) -> bool:
    """Return True if what was sent is at fault, or the place of its files: sending it again is pointless."""
    if is_access_denied(error):
        return False
    if isinstance(error, ImportError | MissingPlaceError):
        return True
    if isinstance(error, PermissionError | FileNotFoundError | NotADirectoryError | shutil.Error):
        return "No space left" not in str(error)
    code = str(getattr(error, "error_code", ""))
    return code in _REFUSALS or re.search(_REFUSED, str(error)) is not None


def is_particular(error: Exception) -> bool:
    """Return True if the store answered, so that something else may succeed."""
    return is_refusal(error) or is_servers_error(error) or getattr(error, "error_code", "") == "INTERNAL_ERROR"


def missing_place(uri: str) -> str | None:
    """Return the folder of a home's artifacts that `uri` is in, if it is not there any more; else None."""
    found = re.match(r"file://(/.*/mlartifacts)/", uri)
    place = unquote(found[1]) if found else None
    return place if place is not None and not Path(place).is_dir() else None

"""What other programs read in the environment: Python, TensorFlow, Keras, MLflow and Ray. Our own is in `settings`."""

from __future__ import annotations

import base64
import configparser
import os
import secrets
import shlex
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

from tune_jobs import neutral_keras
from tune_jobs.process import is_strict


def visible_devices() -> tuple[str, ...] | None:
    """Return the devices in CUDA_VISIBLE_DEVICES, in its order: numbers or UUIDs. None if it is unset: all are visible.

    An empty variable leaves no device. As for CUDA, what follows -1 does not count.
    """
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    if names is None:
        return None
    return tuple(takewhile(lambda name: name not in ("", "-1"), map(str.strip, names.split(","))))


def prepare_python() -> None:
    """Keep warnings from being errors in processes that start from this one, whatever the user's shell asks of Python.

    They are warnings of other packages. Other wishes of PYTHONWARNINGS stay.
    """
    asked = os.environ.get("PYTHONWARNINGS", "").split(",")
    kept = [option for option in asked if not is_strict(option)]
    if kept != asked:
        os.environ["PYTHONWARNINGS"] = ",".join(kept)


def restart_with_docstrings() -> NoReturn:
    """Run the command line anew, where `python -OO` or PYTHONOPTIMIZE=2 took docstrings away.

    Ray cannot be imported without its own, and the help of our commands is theirs.
    """
    os.environ["PYTHONOPTIMIZE"] = ""
    os.execv(sys.executable, [sys.executable, "-P", "-m", "tune_jobs", *sys.argv[1:]])


_OTHER_BACKENDS = ("jax", "torch")  # of Keras


def prepare_own_training() -> None:
    """Set variables for a task's own training loop; those that the user set stay.

    Without them TensorFlow and JAX take a whole GPU at once, even where a trial has only a share.
    """
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def prepare_tensorflow(*, portable: bool = False) -> None:
    """Set the variables that TensorFlow reads at its import, so call this before; those that the user set stay.

    - CUDA numbers GPUs as NVIDIA's tools do, not the fastest first, so that each GPU's figures are its own.
    - oneDNN is on: its default depends on the processor, and without it small convolutions take four times as long.
    - oneDNN uses the system's allocator: its own keeps what the largest trial needed until the process ends (`malloc`).
    - TensorFlow's start-up messages are off.
    - Keras uses TensorFlow, and has none of the user's settings (`neutral_keras`): these two do not stay.
    - `tf.keras` is that Keras, and not the older one of TF_USE_LEGACY_KERAS, with which no model can be mixed.
    - A `portable` process holds oneDNN to AVX2, whatever the user set. oneDNN reads that at its first operation.
    """
    if portable:
        os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_USE_LEGACY_KERAS"] = "0"
    neutral_keras.install()


def prepare_keras() -> None:
    """Prepare for a task's file, which may import Keras: without the user's settings, and with a backend that exists.

    A backend that is installed stays for now, and so does the older Keras of TF_USE_LEGACY_KERAS, because a task's own
    training loop may need it.
    """
    if find_spec("tf_keras") is None:
        os.environ["TF_USE_LEGACY_KERAS"] = "0"
    if os.environ.get("KERAS_BACKEND") not in _OTHER_BACKENDS or find_spec(os.environ["KERAS_BACKEND"]) is None:
        os.environ["KERAS_BACKEND"] = "tensorflow"
    neutral_keras.install()


def tensorflow_is_quiet() -> bool:
    """Return True if TensorFlow writes no messages: the user's TF_CPP_MIN_LOG_LEVEL may ask for some."""
    return os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "3"


def prepare_mlflow() -> None:
    """Set the variables that MLflow reads at each call; those that the user set stay.

    MLflow tries each request once. Retries are ours (`tracking/store.py`): a blind one could make a run twice.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    _, user, password = tracking_uri()
    if user or password:
        os.environ.update(MLFLOW_TRACKING_USERNAME=user, MLFLOW_TRACKING_PASSWORD=password)


def tracking_uri() -> tuple[str, str, str]:
    """Return MLFLOW_TRACKING_URI without a login, and the login's user and password: MLflow prints addresses."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or ""
    split = urlsplit(uri) if uri.startswith(("http://", "https://")) else None
    login, separator, host = split.netloc.rpartition("@") if split else ("", "", "")
    if split is None or not separator:
        return uri, "", ""
    user, _, password = login.partition(":")
    return split._replace(netloc=host).geturl(), unquote(user), unquote(password)


def prepare_mlflow_ui(store: str, artifacts: str) -> None:
    """Set the variables that MLflow's server reads. Its command line would show the store's password to all users.

    `store` and `artifacts` are addresses.
    """
    os.environ["MLFLOW_BACKEND_STORE_URI"] = store
    os.environ.setdefault("MLFLOW_ARTIFACTS_DESTINATION", artifacts)
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    # uvicorn would import from the working folder first; the standard library is on the path anyway
    app_dir = shlex.join(["--app-dir", sysconfig.get_path("stdlib")])
    os.environ["MLFLOW_UVICORN_OPTS"] = f"{app_dir} {os.environ.get('MLFLOW_UVICORN_OPTS', '')}".strip()


def prepare_mlflow_server(variables: Mapping[str, str]) -> None:
    """Set the variables that MLflow's command has for its server."""
    os.environ.update(variables)


def prepare_mlflow_password(config: Path, user: str, password: str) -> None:
    """Set the variables with which MLflow's server asks for a password; `config` is the file of its settings."""
    os.environ["MLFLOW_AUTH_CONFIG_PATH"] = str(config)
    os.environ.update(MLFLOW_AUTH_ADMIN_USERNAME=user, MLFLOW_AUTH_ADMIN_PASSWORD=password)
    os.environ["MLFLOW_FLASK_SERVER_SECRET_KEY"] = secrets.token_hex()


def mlflow_login() -> str | None:
    """Return the Authorization header that MLflow's client sends to a server; None if it sends none or a plug-in does.

    As in MLflow, the login is in the variables or in the file `~/.mlflow/credentials`.
    """
    prepare_mlflow()
    if os.environ.get("MLFLOW_TRACKING_AUTH") or os.environ.get("MLFLOW_TRACKING_AWS_SIGV4"):
        return None
    credentials = _mlflow_credentials()
    names = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
    user, password = (os.environ.get(name) or credentials.get(name.lower()) or "" for name in names)
    if user and password:
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return f"Bearer {token}" if token else None


def _mlflow_credentials() -> Mapping[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(Path("~/.mlflow/credentials").expanduser(), encoding="utf-8")
    except (OSError, RuntimeError, UnicodeDecodeError, configparser.Error):
        return {}
    return parser["mlflow"] if parser.has_section("mlflow") else {}


def enable_ray_token() -> None:
    """Let Ray show its token, if it has one and the user has not set RAY_AUTH_MODE.

    Call this before Ray is imported, or have Ray read the environment again. Do not call it for a cluster that requires
    no token: that cluster would take a driver with a token for dead.
    """
    home = os.environ.get("HOME")
    if is_ray_token_named() or (home and Path(home, ".ray", "auth_token").is_file()):
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def is_ray_token_disabled() -> bool:
    """Return True if the user wants a Ray that requires no token."""
    mode = os.environ.get("RAY_AUTH_MODE")
    return mode is not None and mode.lower() != "token"


def ray_temp_dir() -> str | None:
    """Return where Ray's folder is made; None is where temporary files go."""
    return os.environ.get("RAY_TMPDIR") or None


def is_ray_token_named() -> bool:
    """Return True if the environment has Ray's token or names its file."""
    return bool(os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"))


_SAFE_PATH = "tune-jobs"  # any value that is not empty is a yes; this one shows that it is ours


def safe_path() -> AbstractContextManager[None]:
    """Keep the working folder off the import path of each Python process that starts in the block."""
    return with_variables({} if os.environ.get("PYTHONSAFEPATH") else {"PYTHONSAFEPATH": _SAFE_PATH})


def end_safe_path() -> None:
    """Let processes that the user's code starts from this one import as they would without us."""
    if os.environ.get("PYTHONSAFEPATH") == _SAFE_PATH:
        del os.environ["PYTHONSAFEPATH"]


def threads_of_numpy(count: int) -> AbstractContextManager[None]:
    """Have NumPy's libraries use so many threads in each process that starts in the block, as Ray has its workers do.

    A number that the user set stays.
    """
    return with_variables({} if os.environ.get("OMP_NUM_THREADS") else {"OMP_NUM_THREADS": str(count)})


@contextmanager
def with_variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set these variables for the block, for this process and those that it starts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

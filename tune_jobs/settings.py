"""The folders and addresses of this installation, and their defaults. No other module reads the environment.

Settings of a single study or trial do not belong here.
"""

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
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

from tune_jobs import homes, neutral_keras
from tune_jobs.errors import SettingsError
from tune_jobs.masking import is_misread, without_password
from tune_jobs.process import is_strict


@dataclass(frozen=True)
class Settings:
    """The folders and addresses that a command works with. All paths are absolute.

    `storage` is an Optuna storage URL; None means one journal file per study under `studies_dir`.
    """

    home: Path
    data_dir: Path
    storage: str | None = field(repr=False)  # this and the next may hold a password
    tracking_uri: str = field(repr=False)

    @classmethod
    def read(cls, home: Path | str | None = None, data_dir: Path | str | None = None) -> Settings:
        """Return the settings: from the arguments first, from the environment second, from the defaults last.

        The variables are TUNE_JOBS_HOME, TUNE_JOBS_DATA, TUNE_JOBS_STORAGE and MLFLOW_TRACKING_URI. An empty variable
        counts as unset, because shells and compose files cannot always leave one out.

        Raises:
            SettingsError: if a path starts with `~user` and this machine has no such user, if the home's name is no
                text, or another user can write in it, or if an address does not say where its password ends.
        """
        chosen_home = _absolute(home or os.environ.get("TUNE_JOBS_HOME") or "~/.tune-jobs")
        homes.check(chosen_home)
        for name in ("TUNE_JOBS_STORAGE", "MLFLOW_TRACKING_URI"):
            _check_password(name, os.environ.get(name) or "")
        return cls(
            home=chosen_home,
            data_dir=_absolute(data_dir or os.environ.get("TUNE_JOBS_DATA") or chosen_home / "data"),
            storage=os.environ.get("TUNE_JOBS_STORAGE") or None,
            tracking_uri=_tracking_uri()[0] or f"sqlite:///{chosen_home / 'mlflow.db'}",
        )

    @property
    def shown_tracking_uri(self) -> str:
        """MLflow's address without its password."""
        return without_password(self.tracking_uri)

    @property
    def mlflow_file(self) -> Path | None:
        """MLflow's SQLite file, which is in the home; None if MLFLOW_TRACKING_URI names another place."""
        file = self.home / "mlflow.db"
        return file if self.tracking_uri == f"sqlite:///{file}" else None

    @property
    def tasks_dir(self) -> Path:
        """Where the task files of submitted jobs are kept."""
        return self.home / "tasks"

    @property
    def studies_dir(self) -> Path:
        """Where the journal files of studies are."""
        return self.home / "studies"

    @property
    def artifacts_dir(self) -> Path:
        """Where MLflow keeps its files if it has no server."""
        return self.home / "mlartifacts"

    def exports_dir(self, study: str) -> Path:
        """Return the folder for a study's leaderboard and best configuration."""
        return self.home / "exports" / study

    def trial_files_dir(self, study: str) -> Path:
        """Return the folder for the files that a study's trials report, in one of its own for each trial."""
        return self.exports_dir(study) / "artifacts"

    def weights_dir(self, study_identity: str) -> Path:
        """Return the folder for the weights of a study's trials."""
        return self.home / "weights" / study_identity

    def checkpoints_dir(self, study_identity: str) -> Path:
        """Return the folder for the checkpoints of a study's unfinished trials."""
        return self.home / "checkpoints" / study_identity

    def activity_file(self, study: str) -> Path:
        """Return the file in which a study's driver writes what runs and what waits."""
        return self.home / "studies" / f"{study}.activity"

    def delivery_file(self, study: str) -> Path:
        """Return the file with what the last delivery of a study to MLflow has to say."""
        return self.home / "studies" / f"{study}.delivery"

    def drained_file(self, study: str) -> Path:
        """Return the file with the devices that a study's driver must not use."""
        return self.home / "studies" / f"{study}.drained"

    def prepare(self) -> None:
        """Make the home and its folders for its owner alone, and check that they can be written by nobody else.

        The data folder is not touched: it may be shared and read-only.

        Raises:
            SettingsError: if a folder cannot be made or written, or another user can write in it.
        """
        homes.make(self.home, *(self.home / name for name in homes.FOLDERS))
        homes.check(self.home)
        homes.close(self.home)


def jobs_address(option: str | None) -> str | None:
    """Return the dashboard that jobs are sent to: the option, else TUNE_JOBS_ADDRESS. None if it is empty or unset."""
    return (os.environ.get("TUNE_JOBS_ADDRESS") if option is None else option) or None


def _check_password(name: str, url: str) -> None:
    """Refuse an address before anything parses it and shows half of its password."""
    if is_misread(url):
        raise SettingsError(
            f"{name} is {without_password(url)}: it needs to begin with its kind, such as postgresql+psycopg:// or "
            "http://, and / ? # @ in its password are written %2F %3F %23 %40"
        )


def _absolute(path: Path | str) -> Path:
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:
        raise SettingsError(f"the path {str(path)!r} starts in a home folder that does not exist") from error


def user_variable() -> str | None:
    """Return TUNE_JOBS_USER: whom trials are accounted to, in place of this process' user. None if it is unset."""
    return os.environ.get("TUNE_JOBS_USER") or None


def sent_job() -> tuple[str, int] | None:
    """Return the id and the priority of the job that `submit` sent and this process runs; None if it runs none."""
    priority, _, job = os.environ.get("TUNE_JOBS_JOB", "").partition(":")
    return (job, int(priority)) if job else None


def notify_variable() -> tuple[str, ...]:
    """Return the lines of TUNE_JOBS_NOTIFY: whom to notify, if a command does not say."""
    return tuple(filter(None, map(str.strip, os.environ.get("TUNE_JOBS_NOTIFY", "").splitlines())))


def writes_reports() -> bool:
    """Return False if TUNE_JOBS_REPORT is `no`: then a launch starts no process that writes a report."""
    return os.environ.get("TUNE_JOBS_REPORT", "").lower() != "no"


def visible_devices() -> tuple[str, ...] | None:
    """Return the devices in CUDA_VISIBLE_DEVICES, in its order: numbers or UUIDs. None if it is unset: all are visible.

    An empty variable leaves no device. As for CUDA, what follows -1 does not count.
    """
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    if names is None:
        return None
    return tuple(takewhile(lambda name: name not in ("", "-1"), map(str.strip, names.split(","))))


def device_figures_file() -> Path | None:
    """Return the file in TUNE_JOBS_DEVICE_FIGURES, in which another tool keeps the figures of the devices."""
    path = os.environ.get("TUNE_JOBS_DEVICE_FIGURES")
    return _absolute(path) if path else None


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
    _, user, password = _tracking_uri()
    if user or password:
        os.environ.update(MLFLOW_TRACKING_USERNAME=user, MLFLOW_TRACKING_PASSWORD=password)


def _tracking_uri() -> tuple[str, str, str]:
    """Return MLFLOW_TRACKING_URI without a login, and the login's user and password: MLflow prints addresses."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or ""
    split = urlsplit(uri) if uri.startswith(("http://", "https://")) else None
    login, separator, host = split.netloc.rpartition("@") if split else ("", "", "")
    if split is None or not separator:
        return uri, "", ""
    user, _, password = login.partition(":")
    return split._replace(netloc=host).geturl(), unquote(user), unquote(password)


def prepare_mlflow_ui(settings: Settings) -> None:
    """Set the variables that MLflow's server reads. Its command line would show the store's password to all users.

    A file in the home is named as seen from there, so let the server run in the home.
    """
    if settings.mlflow_file is None:
        os.environ["MLFLOW_BACKEND_STORE_URI"] = settings.tracking_uri
    else:
        os.environ["MLFLOW_BACKEND_STORE_URI"] = f"sqlite:///{settings.mlflow_file.name}"
    os.environ.setdefault("MLFLOW_ARTIFACTS_DESTINATION", settings.artifacts_dir.as_uri())
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
    return environment({} if os.environ.get("PYTHONSAFEPATH") else {"PYTHONSAFEPATH": _SAFE_PATH})


def end_safe_path() -> None:
    """Let processes that the user's code starts from this one import as they would without us."""
    if os.environ.get("PYTHONSAFEPATH") == _SAFE_PATH:
        del os.environ["PYTHONSAFEPATH"]


def threads_of_numpy(count: int) -> AbstractContextManager[None]:
    """Have NumPy's libraries use so many threads in each process that starts in the block, as Ray has its workers do.

    A number that the user set stays.
    """
    return environment({} if os.environ.get("OMP_NUM_THREADS") else {"OMP_NUM_THREADS": str(count)})


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
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

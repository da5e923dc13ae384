"""Where this installation keeps things: the only reader of the environment, and the home of its defaults.

What a single study or trial is about does not belong here.
"""

from __future__ import annotations

import base64
import configparser
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tune_jobs.errors import SettingsError
from tune_jobs.masking import without_password


@dataclass(frozen=True)
class Settings:
    """The folders and addresses that a command works with; all paths are absolute.

    `storage` is an Optuna storage URL; None means a journal file per study under `studies_dir`.
    """

    home: Path
    data_dir: Path
    storage: str | None = field(repr=False)  # either may hold a password
    tracking_uri: str = field(repr=False)

    @classmethod
    def read(cls, home: Path | str | None = None, data_dir: Path | str | None = None) -> Settings:
        """Settings from the command line's flags first, the environment second, the defaults last.

        Reads TUNE_JOBS_HOME, TUNE_JOBS_DATA, TUNE_JOBS_STORAGE and MLFLOW_TRACKING_URI. A variable set to
        nothing counts as not set, because shells and compose files cannot always leave one out.

        Raises:
            SettingsError: if a `~user` in a path names nobody here.
        """
        chosen_home = _absolute(home or os.environ.get("TUNE_JOBS_HOME") or "~/.tune-jobs")
        return cls(
            home=chosen_home,
            data_dir=_absolute(data_dir or os.environ.get("TUNE_JOBS_DATA") or chosen_home / "data"),
            storage=os.environ.get("TUNE_JOBS_STORAGE") or None,
            tracking_uri=_tracking_uri()[0] or f"sqlite:///{chosen_home / 'mlflow.db'}",
        )

    @property
    def shown_tracking_uri(self) -> str:
        """Where MLflow is, as it may be shown."""
        return without_password(self.tracking_uri)

    @property
    def tasks_dir(self) -> Path:
        """Where the files of tasks are kept that were sent here to be launched."""
        return self.home / "tasks"

    @property
    def studies_dir(self) -> Path:
        """Where journal files of studies lie."""
        return self.home / "studies"

    @property
    def artifacts_dir(self) -> Path:
        """Where MLflow keeps files when it has no server of its own."""
        return self.home / "mlartifacts"

    def exports_dir(self, study: str) -> Path:
        """Where a study's leaderboard and best configuration are written when a launch ends."""
        return self.home / "exports" / study

    def weights_dir(self, study_identity: str) -> Path:
        """Where the weights of a study's trials are kept, when that is asked for."""
        return self.home / "weights" / study_identity

    def checkpoints_dir(self, study_identity: str) -> Path:
        """Where the checkpoints of a study's unfinished trials are."""
        return self.home / "checkpoints" / study_identity

    def activity_file(self, study: str) -> Path:
        """Where a study's driver tells what its trials wait for."""
        return self.home / "studies" / f"{study}.activity"

    def drained_file(self, study: str) -> Path:
        """Which devices a study's driver leaves alone."""
        return self.home / "studies" / f"{study}.drained"

    def prepare(self) -> None:
        """Make the home and its folders, and see that they can be written.

        The data folder is left alone: it may well be shared and read-only.

        Raises:
            SettingsError: if a folder cannot be made or written.
        """
        for folder in (self.home, self.studies_dir, self.artifacts_dir):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise _unusable(folder, error.strerror or type(error).__name__) from error
            if not os.access(folder, os.W_OK | os.X_OK):
                raise _unusable(folder, "Permission denied")


def jobs_address(said: str | None) -> str | None:
    """Where jobs are sent: as said, else TUNE_JOBS_ADDRESS; None, or nothing, is nowhere."""
    return (os.environ.get("TUNE_JOBS_ADDRESS") if said is None else said) or None


def _absolute(path: Path | str) -> Path:
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:
        raise SettingsError(f"the path {str(path)!r} starts at a home folder that does not exist") from error


def _unusable(folder: Path, why: str) -> SettingsError:
    return SettingsError(f"cannot write in {folder} ({why}): name another home with --home or TUNE_JOBS_HOME")


def visible_devices() -> tuple[str, ...] | None:
    """The devices that CUDA_VISIBLE_DEVICES leaves to this process, in its order and words: numbers or UUIDs; None
    where it leaves all. Set to nothing it leaves none, and as for CUDA what follows -1 does not count."""
    said = os.environ.get("CUDA_VISIBLE_DEVICES")
    if said is None:
        return None
    return tuple(takewhile(lambda name: name not in ("", "-1"), map(str.strip, said.split(","))))


def device_figures_file() -> Path | None:
    """The file that TUNE_JOBS_DEVICE_FIGURES names, in which another tool keeps what the devices of this machine do."""
    named = os.environ.get("TUNE_JOBS_DEVICE_FIGURES")
    return _absolute(named) if named else None


def prepare_own_training() -> None:
    """Variables for a task's own training loop, whatever it trains with; what the user set stays. TensorFlow and JAX
    would take a whole GPU at once, though they were given a share."""
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def prepare_tensorflow() -> None:
    """Variables that TensorFlow reads when it is imported; call this before. What the user set stays.

    oneDNN is asked for, because its default depends on the processor and small convolutions take four times as long
    without it; TensorFlow's start-up messages are not for our users. CUDA counts GPUs as NVIDIA's tools do, and not the
    fastest first, so that figures are of the GPU they are said to be of.
    oneDNN's own allocator would keep what the largest trial needed for as long as the process lives (`heap`).
    """
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")


def prepare_mlflow() -> None:
    """Variables that MLflow reads at each call; what the user set stays. It asks once: we ask again
    ourselves, after looking what was heard, where a blind retry could make a run twice."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    _, user, password = _tracking_uri()
    if user or password:
        os.environ.update(MLFLOW_TRACKING_USERNAME=user, MLFLOW_TRACKING_PASSWORD=password)


def _tracking_uri() -> tuple[str, str, str]:
    """MLFLOW_TRACKING_URI, without the user and the password in a server's, and these: MLflow prints addresses."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or ""
    split = urlsplit(uri) if uri.startswith(("http://", "https://")) else None
    login, at, place = split.netloc.rpartition("@") if split else ("", "", "")
    if split is None or not at:
        return uri, "", ""
    user, _, password = login.partition(":")
    return split._replace(netloc=place).geturl(), unquote(user), unquote(password)


def prepare_mlflow_ui(settings: Settings) -> None:
    """Variables that MLflow's own server reads; a command line would show the store's password to the whole machine."""
    os.environ["MLFLOW_BACKEND_STORE_URI"] = settings.tracking_uri
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")


def mlflow_login() -> str | None:
    """What MLflow's client says of itself to a server, as a header's value: from the variables or, as MLflow has it,
    the file `~/.mlflow/credentials`; None where it says nothing, or a plug-in does."""
    prepare_mlflow()
    if os.environ.get("MLFLOW_TRACKING_AUTH") or os.environ.get("MLFLOW_TRACKING_AWS_SIGV4"):
        return None
    kept = _mlflow_credentials()
    names = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
    user, password = (os.environ.get(name) or kept.get(name.lower()) or "" for name in names)
    if user and password:
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return f"Bearer {token}" if token else None


def _mlflow_credentials() -> Mapping[str, str]:
    kept = configparser.ConfigParser(interpolation=None)
    try:
        kept.read(Path("~/.mlflow/credentials").expanduser(), encoding="utf-8")
    except (OSError, RuntimeError, UnicodeDecodeError, configparser.Error):
        return {}
    return kept["mlflow"] if kept.has_section("mlflow") else {}


def prepare_ray(*, is_own_cluster: bool) -> None:
    """Variables that Ray reads when it is imported; call this before. What the user set stays.

    The first one makes Ray take this machine for 127.0.0.1: a cluster of our own listens on loopback alone, and of a
    running one that does 127.0.0.1 is not taken for the machine's other address, where nothing listens. One of our own
    has the ports closed that tell what runs here to whoever asks, two of them by a number at which nobody can listen.
    The last drops Ray's own words on dead workers, which would come between the results on standard output; the study
    says what became of the trial.
    """
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    if is_own_cluster:
        os.environ.setdefault("RAY_enable_metrics_collection", "0")
        os.environ.setdefault("DASHBOARD_METRIC_PORT", "-1")
        os.environ.setdefault("AUTOSCALER_METRIC_PORT", "-1")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")


def show_ray_token() -> None:
    """Lets Ray show its token where it has one, unless the user said whether it is to; call this before Ray is
    imported, or have Ray read the environment again. A cluster that asks for none would be refused by a driver with a
    token, and take it for dead."""
    home = os.environ.get("HOME")
    if ray_token_is_named() or (home and Path(home, ".ray", "auth_token").is_file()):
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def ray_asks_for_none() -> bool:
    """Whether the user wants a Ray that asks nobody for a token."""
    mode = os.environ.get("RAY_AUTH_MODE")
    return mode is not None and mode.lower() != "token"


def ray_folder() -> str | None:
    """Where Ray may make its folder; None is wherever temporary files go."""
    return os.environ.get("RAY_TMPDIR") or None


def ray_token_is_named() -> bool:
    """Whether the user says where Ray's token is."""
    return bool(os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"))


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """These variables, for all processes that begin in the block; then as before."""
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

"""The folders and addresses of this installation, their defaults, and our variables. What others read: `environment`.

Settings of a single study or trial do not belong here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from tune_jobs import environment, homes
from tune_jobs.errors import SettingsError
from tune_jobs.masking import is_misread, without_password

VARIABLES = {
    "TUNE_JOBS_HOME",
    "TUNE_JOBS_DATA",
    "TUNE_JOBS_STORAGE",
    "TUNE_JOBS_ADDRESS",
    "TUNE_JOBS_NOTIFY",
    "TUNE_JOBS_USER",
    "TUNE_JOBS_REPORT",
    "TUNE_JOBS_DEVICE_FIGURES",
}
_OTHER_VARIABLES = {  # of the compose file, of the tests, and what processes of ours tell each other
    "TUNE_JOBS_IMAGE",
    "TUNE_JOBS_TEST_POSTGRES",
    "TUNE_JOBS_JOB",
    "TUNE_JOBS_WORKER_SOCKET",
}


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
            tracking_uri=environment.tracking_uri()[0] or f"sqlite:///{chosen_home / 'mlflow.db'}",
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


def unread_variables() -> list[str]:
    """Return the variables that are named as ours are and are none: what they ask for would be passed over silently."""
    known = VARIABLES | _OTHER_VARIABLES
    return sorted(name for name in os.environ if name.startswith("TUNE_JOBS_") and name not in known)


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


def device_figures_file() -> Path | None:
    """Return the file in TUNE_JOBS_DEVICE_FIGURES, in which another tool keeps the figures of the devices."""
    path = os.environ.get("TUNE_JOBS_DEVICE_FIGURES")
    return _absolute(path) if path else None

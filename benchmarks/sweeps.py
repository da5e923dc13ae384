"""Run `tune-jobs launch` in a home of its own, to its end or until it is killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from measuring import ROOT, plain_environment, time_command

from tune_jobs.errors import StudyError
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.settings import Settings
from tune_jobs.study.storage import study_names
from tune_jobs.study.study import Study


@dataclass(frozen=True)
class Sweep:
    """A `launch` command with a home of its own, which shares nothing with another sweep."""

    home: Path
    task: str
    trials: int
    search: str = "random"
    epochs: int | None = None
    max_concurrent: int | None = None
    cpus_per_trial: float | None = None
    data_dir: Path = Path("data")
    settings: tuple[str, ...] = ()  # NAME=VALUE
    tracking_uri: str | None = None
    code: Path = ROOT  # the checkout that is run

    @property
    def command(self) -> list[str]:
        flags: dict[str, object] = {
            "--search": self.search,
            "--trials": self.trials,
            "--epochs": self.epochs,
            "--max-concurrent": self.max_concurrent,
            "--cpus-per-trial": self.cpus_per_trial,
            "--home": self.home,
            "--data-dir": self.data_dir.absolute(),
        }
        given = [text for name, value in flags.items() if value is not None for text in (name, str(value))]
        narrowed = [text for setting in self.settings for text in ("--set", setting)]
        return [sys.executable, "-P", "-m", "tune_jobs", "launch", self.task, *given, *narrowed]

    @property
    def env(self) -> dict[str, str]:
        address = {} if self.tracking_uri is None else {"MLFLOW_TRACKING_URI": self.tracking_uri}
        return plain_environment(PYTHONPATH=str(self.code), **address)

    @property
    def _settings(self) -> Settings:
        return Settings(self.home, self.data_dir, None, self.tracking_uri or f"sqlite:///{self.home / 'mlflow.db'}")

    @property
    def log(self) -> Path:
        return self.home.with_suffix(".log")

    def run(self) -> float:
        """Run the sweep, and return the seconds from the start of the process to its exit."""
        return time_command(self.command, self.env, self.log)

    def start(self) -> subprocess.Popen[bytes]:
        """Start the sweep, and return its process."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def record(self) -> StudyRecord:
        """Return the one study in the home."""
        names = study_names(self._settings)
        if len(names) != 1:
            raise SystemExit(f"{self.home} should hold one study, and holds {len(names)}; see {self.log}")
        return Study.open(names[0], self._settings).record()

    def current_trials(self) -> tuple[TrialRecord, ...]:
        """Return the trials as they are now; none before the sweep has begun."""
        try:
            records = [Study.open(name, self._settings).record() for name in study_names(self._settings)]
            return tuple(trial for record in records for trial in record.trials)
        except (StudyError, KeyError):  # the study is just being created
            return ()

    def n_finished(self) -> int:
        return sum(trial.is_finished for trial in self.current_trials())


def kill_tree(process: subprocess.Popen[bytes], *, spare: Callable[[psutil.Process], bool] = lambda _: False) -> int:
    """Kill a process that we started, and all that descend from it except those to `spare`; return how many died.

    All of them are suspended first, so that none starts another meanwhile.
    """
    parent = psutil.Process(process.pid)
    descendants: list[psutil.Process] = []
    parent.suspend()
    while new := [child for child in parent.children(recursive=True) if child not in descendants]:
        for child in new:
            with suppress(psutil.NoSuchProcess):
                child.suspend()
        descendants += new
    spared = [child for child in descendants if spare(child)]
    victims = [parent, *(child for child in descendants if child not in spared)]
    for victim in victims:
        with suppress(psutil.NoSuchProcess):
            victim.kill()
    for child in spared:
        child.resume()
    process.wait()
    psutil.wait_procs(victims, timeout=10)
    return len(victims)

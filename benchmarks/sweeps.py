"""`tune-jobs launch` as a benchmark runs it: with a home of its own, to its end or to its violent death."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from measuring import environment, seconds_of

from tune_jobs.errors import StudyError
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.settings import Settings
from tune_jobs.study.storage import study_names
from tune_jobs.study.study import Study


@dataclass(frozen=True)
class Sweep:
    """A `launch` command with a home of its own; nothing of it is shared with another sweep."""

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
        return [sys.executable, "-m", "tune_jobs", "launch", self.task, *given, *narrowed]

    @property
    def environment(self) -> dict[str, str]:
        return environment() if self.tracking_uri is None else environment(MLFLOW_TRACKING_URI=self.tracking_uri)

    @property
    def _where(self) -> Settings:
        return Settings(self.home, self.data_dir, None, self.tracking_uri or f"sqlite:///{self.home / 'mlflow.db'}")

    @property
    def log(self) -> Path:
        return self.home.with_suffix(".log")

    def run(self) -> float:
        """Seconds from the start of the process to its exit."""
        return seconds_of(self.command, self.environment, self.log)

    def start(self) -> subprocess.Popen[bytes]:
        """The same, left running."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def record(self) -> StudyRecord:
        """The one study in the home."""
        names = study_names(self._where)
        if len(names) != 1:
            raise SystemExit(f"{self.home} should hold one study, and holds {len(names)}; see {self.log}")
        return Study.open(names[0], self._where).record()

    def trials_so_far(self) -> tuple[TrialRecord, ...]:
        """As they are now; may be asked before the sweep is begun and while it runs."""
        try:
            return tuple(
                trial for name in study_names(self._where) for trial in Study.open(name, self._where).record().trials
            )
        except (StudyError, KeyError):  # it is just being begun
            return ()

    def n_finished(self) -> int:
        return sum(trial.is_finished for trial in self.trials_so_far())


def kill_family(process: subprocess.Popen[bytes], *, spare: Callable[[psutil.Process], bool] = lambda _: False) -> int:
    """SIGKILL to a process that we started and to all that descend from it, but those to `spare`; how many died.

    All of them are stopped first, so that none starts another meanwhile; only then is any killed.
    """
    parent = psutil.Process(process.pid)
    family: list[psutil.Process] = []
    parent.suspend()
    while fresh := [child for child in parent.children(recursive=True) if child not in family]:
        for child in fresh:
            with suppress(psutil.NoSuchProcess):
                child.suspend()
        family += fresh
    spared = [child for child in family if spare(child)]
    victims = [parent, *(child for child in family if child not in spared)]
    for victim in victims:
        with suppress(psutil.NoSuchProcess):
            victim.kill()
    for child in spared:
        child.resume()
    process.wait()
    psutil.wait_procs(victims, timeout=10)
    return len(victims)

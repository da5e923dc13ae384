"""Check what a sweep needs: packages, GPUs, data, stores and disk."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from tune_jobs import datasets, tracking
from tune_jobs.errors import UserError
from tune_jobs.masking import without_password
from tune_jobs.settings import Settings
from tune_jobs.study.storage import study_names

_PACKAGES = ("ray", "tensorflow", "keras", "optuna", "mlflow", "numpy", "pandas")
_LOW_DISK_GB = 2


@dataclass(frozen=True)
class Finding:
    """The result of one check; `bad` means that a sweep would not run."""

    what: str
    state: Literal["ok", "note", "bad"]
    found: str


def examine(settings: Settings) -> tuple[Finding, ...]:
    """Check all that can be checked without starting anything, and without importing TensorFlow, Ray or MLflow."""
    where = settings.studies_dir if settings.storage is None else without_password(settings.storage)
    python = Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")
    return (
        python,
        *(_package(name) for name in _PACKAGES),
        _gpus(),
        *_home(settings),
        *(_dataset(name, settings) for name in datasets.names()),
        tried("studies", lambda: f"{len(study_names(settings))} in {where}"),
        tried("tracking", lambda: mlflow(settings)),
    )


def _package(name: str) -> Finding:
    try:
        return Finding(name, "ok", version(name))
    except PackageNotFoundError:
        return Finding(name, "bad", "not installed: pip install tune-jobs brings it")


def _gpus() -> Finding:
    program = shutil.which("nvidia-smi")
    if program is None:
        return Finding("GPUs", "note", "none seen (no nvidia-smi): trials run on CPUs")
    answer = subprocess.run([program, "-L"], capture_output=True, text=True, check=False, timeout=30)
    lines = [line.split(" (UUID")[0] for line in answer.stdout.splitlines() if line.startswith("GPU ")]
    return Finding("GPUs", "ok" if lines else "note", "; ".join(lines) or "none seen: trials run on CPUs")


def _home(settings: Settings) -> tuple[Finding, ...]:
    try:
        settings.prepare()
    except UserError as error:
        return (Finding("home", "bad", str(error)),)
    free_gb = shutil.disk_usage(settings.home).free / 1e9
    disk = Finding("disk", "ok" if free_gb > _LOW_DISK_GB else "note", f"{free_gb:.1f} GB free")
    return Finding("home", "ok", str(settings.home)), disk


def _dataset(name: str, settings: Settings) -> Finding:
    try:
        return Finding(name, "ok", datasets.locate(name, settings.data_dir))
    except UserError as error:
        return Finding(name, "note", str(error))


def mlflow(settings: Settings) -> str:
    """Return MLflow's address.

    Raises:
        SettingsError: it does not answer.
    """
    tracking.check(settings)
    return settings.shown_tracking_uri


def tried(what: str, look: Callable[[], str]) -> Finding:
    """Return what a check returns, or why it fails."""
    try:
        return Finding(what, "ok", look())
    except UserError as error:
        return Finding(what, "bad", str(error))

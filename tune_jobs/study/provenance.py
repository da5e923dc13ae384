"""How a study is run: its launch with the machine, the versions and the commit."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from tune_jobs.records.studies import Launch, Search

_PACKAGES = ("tune-jobs", "ray", "tensorflow", "keras", "optuna", "mlflow", "numpy")


def note(search: Search, trials: int | None, encoding_params: tuple[str, ...] = ()) -> Launch:
    """Return a launch from this machine, now, without a scheduler and without a budget other than the trials."""
    here = socket.gethostname(), time.time(), _commit(), versions()
    return Launch(search, trials, *here, encoding_params=encoding_params)


def versions() -> dict[str, str]:
    """Return the installed versions of the packages that a score depends on."""
    installed = {}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):  # a checkout that was not installed
            installed[package] = version(package)
    return installed


def changed_versions(last: Launch | None) -> str:
    """Return in words the packages whose versions have changed since the last launch."""
    before, now = {} if last is None else last.versions, versions()
    return ", ".join(
        f"{package} {old}, which is now {now[package]}"
        for package, old in before.items()
        if package in now and now[package] != old
    )


def _commit() -> str | None:
    """Return the commit of the working folder; None if git has none."""
    git = shutil.which("git")
    if git is None:
        return None
    answer = subprocess.run([git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None

"""How a study is run, and with what: the launch as it is noted, versions, commit."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version

from tune_jobs.records.studies import Launch, Search


def note(search: Search, trials: int | None, encoding_params: tuple[str, ...] = ()) -> Launch:
    """How a study is run from now on, by whom it is asked here; with no scheduler and no budget but the trials."""
    here = socket.gethostname(), time.time(), _commit(), versions()
    return Launch(search, trials, *here, encoding_params=encoding_params)


def versions() -> dict[str, str]:
    """The installed versions of what a score depends on."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a checkout that was not installed
            continue
    return found


_PACKAGES = ("tune-jobs", "ray", "tensorflow", "keras", "optuna", "mlflow", "numpy")


def changed_versions(last: Launch | None) -> str:
    """The packages that are not as they were at the last launch, in words."""
    before, now = {} if last is None else last.versions, versions()
    return ", ".join(
        f"{package} {old}, which is now {now[package]}"
        for package, old in before.items()
        if package in now and now[package] != old
    )


def _commit() -> str | None:
    """The commit of the working folder, where it is one of git's."""
    git = shutil.which("git")
    if git is None:
        return None
    answer = subprocess.run([git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None

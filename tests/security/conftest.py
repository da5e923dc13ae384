"""A second user of the machine, and a place that both users reach."""

from __future__ import annotations

import encodings.ascii  # the second user cannot import these where Python is closed to others
import encodings.idna  # noqa: F401 (of sockets)
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tune_jobs.settings import Settings

_NUMBER = 54_321  # of a user that no machine has; it needs no entry in passwd


@dataclass(frozen=True)
class Intruder:
    """A user without any rights of the first one's."""

    number: int = _NUMBER

    def does(self, command: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a line of shell as this user, with the words as `$1`, `$2`, …"""
        return subprocess.run(
            ["/bin/sh", "-c", command, "sh", *map(str, words)],
            user=self.number,
            group=self.number,
            extra_groups=[],
            umask=0,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def calls(self, function: Callable[..., Any], *words: Any) -> Any:
        """Call a function as this user, in a fork of this process; what it returns has to be JSON."""
        read_end, write_end = os.pipe()
        if not (child := os.fork()):
            try:
                os.setgroups([])
                os.setgid(self.number)
                os.setuid(self.number)
                os.write(write_end, json.dumps(function(*words)).encode())
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
            finally:
                os._exit(0)
        os.close(write_end)
        with os.fdopen(read_end, "rb") as answer:
            content = answer.read()
        os.waitpid(child, 0)
        return json.loads(content)

    def writes(self, file: Path, text: str) -> None:
        done = self.does('printf %s "$2" > "$1"', file, text)
        assert done.returncode == 0, done.stderr

    def links(self, link: Path, target: Path) -> None:
        done = self.does('ln -s "$2" "$1"', link, target)
        assert done.returncode == 0, done.stderr

    def can_read(self, file: Path) -> bool:
        return self.does('cat "$1"', file).returncode == 0


@pytest.fixture(scope="session")
def intruder() -> Intruder:
    if os.getuid() != 0:
        pytest.skip("only root can act as a second user")
    return Intruder()


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder of the first user's that the second one may enter; pytest's are closed to it."""
    folder = Path(tempfile.mkdtemp(prefix="reach-", dir="/tmp"))  # short enough for the sockets of a Ray
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def open_home(reachable: Path) -> Settings:
    """A home in a folder that the second user may enter."""
    home = reachable / "home"
    return Settings(home, home / "data", storage=None, tracking_uri=f"sqlite:///{home / 'mlflow.db'}")

"""A task file that data name runs only if nobody else can have written it, and what was looked at is what runs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.security.conftest import Intruder
from tune_jobs.search_spaces import catalog, own_files
from tune_jobs.search_spaces.protocol import TaskError

TASK = """
from pathlib import Path
Path({ran!r}).touch()
import helper
from search_spaces import Choice, Objective, Protocol, Space, Task

def train(params, data, *, seed, epochs):
    pass

OWN = Task("own", Space(width=Choice(1)), Objective("val_accuracy", "maximize"), dataset="digits",
           protocol=Protocol(1, 1), train=train)
"""


@pytest.fixture
def folder(reachable: Path) -> Path:
    folder = reachable / "tasks"
    folder.mkdir(mode=0o755)
    (folder / "own.py").write_text(TASK.format(ran=str(folder / "ran")))
    (folder / "helper.py").write_text("")
    return folder


def refused(folder: Path, file: str = "own.py") -> str:
    with pytest.raises(TaskError, match=r"which .*: it is Python, and not run") as said:
        catalog.find_said(str(folder / file), "best.yaml")
    assert not (folder / "ran").exists()
    return str(said.value)


def swapped_for_a_pipe(folder: Path, intruder: Intruder) -> None:
    (folder / "own.py").unlink()
    os.mkfifo(folder / "own.py")


def module_is_a_pipe(folder: Path, intruder: Intruder) -> None:
    (folder / "helper.py").unlink()
    (folder / "helper").mkdir()
    folder.chmod(0o777)
    os.mkfifo(folder / "helper.py")


def group_may_write(folder: Path, intruder: Intruder) -> None:
    os.chown(folder / "own.py", 0, intruder.number)
    (folder / "own.py").chmod(0o664)


def group_may_write_the_module(folder: Path, intruder: Intruder) -> None:
    os.chown(folder / "helper.py", 0, intruder.number)
    (folder / "helper.py").chmod(0o664)


def folder_is_open(folder: Path, intruder: Intruder) -> None:
    folder.chmod(0o777)


def folder_above_is_open_to_a_group(folder: Path, intruder: Intruder) -> None:
    os.chown(folder.parent, 0, intruder.number)
    folder.parent.chmod(0o775)


def written_by_another(folder: Path, intruder: Intruder) -> None:
    folder.chmod(0o1777)  # as /tmp is
    (folder / "own.py").unlink()
    intruder.writes(folder / "own.py", TASK.format(ran=str(folder / "ran")))


def linked_to_another(folder: Path, intruder: Intruder) -> None:
    theirs = folder.parent / "theirs"
    theirs.mkdir()
    os.chown(theirs, intruder.number, intruder.number)
    intruder.writes(theirs / "own.py", TASK.format(ran=str(folder / "ran")))
    (folder / "own.py").unlink()
    (folder / "own.py").symlink_to(theirs / "own.py")


@pytest.mark.parametrize(
    "attack",
    [
        swapped_for_a_pipe,
        module_is_a_pipe,
        group_may_write,
        group_may_write_the_module,
        folder_is_open,
        folder_above_is_open_to_a_group,
        written_by_another,
        linked_to_another,
    ],
)
def test_a_file_that_others_can_write_is_not_run(
    attack: Callable[[Path, Intruder], None], folder: Path, intruder: Intruder
) -> None:
    attack(folder, intruder)
    assert re.search("another user can write|no regular file", refused(folder))


def test_a_file_of_ones_own_runs_and_through_a_link_of_ones_own(folder: Path, intruder: Intruder) -> None:
    assert catalog.find_said(str(folder / "own.py"), "best.yaml").name == "own"
    (folder / "link.py").symlink_to(folder / "own.py")
    assert catalog.find_said(str(folder / "link.py"), "best.yaml").name == "own"


def test_what_was_looked_at_is_what_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between look and run somebody exchanges the file."""
    read = own_files.read

    def exchanged(file: Path) -> bytes:
        content = read(file)
        file.write_text("raise AssertionError('what was exchanged ran')")
        return content

    monkeypatch.setattr(own_files, "read", exchanged)
    assert catalog.find_said(str(folder / "own.py"), "best.yaml").name == "own"


def test_a_group_of_the_users_own_may_write(folder: Path) -> None:
    """As on systems that make a group of each user's name and let it write everything."""
    (folder / "own.py").chmod(0o664)
    assert catalog.find_said(str(folder / "own.py"), "best.yaml").name == "own"

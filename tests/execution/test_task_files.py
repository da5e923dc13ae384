"""A task file that came from another machine makes the same task here, and lies in its folder alone."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from tune_jobs.execution import task_files
from tune_jobs.search_spaces import TaskError
from tune_jobs.search_spaces.catalog import find

OWN = """
from tune_jobs.models.label_encodings import Classes
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task

def build(*, input_shape, head, units):
    return units

SMALL = Task(
    name="small",
    summary="two widths",
    dataset="digits",
    space=Space(units=Choice(4, 8)),
    objective=Objective("val_accuracy", "maximize"),
    protocol=Protocol(epochs=1),
    baseline={"units": 4},
    build=build,
    encoding=Classes(10),
)
"""
OTHER = "\nfrom dataclasses import replace\nOTHER = replace(SMALL, name='other')\n"


def test_a_worker_makes_the_same_task_from_the_text(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    here = find(str(tmp_path / "own.py"))
    there = task_files.load(OWN, "own.py", "SMALL", tmp_path / "worker")
    assert there.digest() == here.digest()
    assert there.space == here.space
    assert there.build is not None
    assert there.build is not here.build
    assert sys.modules[there.build.__module__].build is there.build
    assert task_files.load(OWN, "own.py", None, tmp_path / "worker") is there
    (written,) = [path for path in (tmp_path / "worker").rglob("*") if path.is_file()]
    assert written.read_text() == OWN
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_other_text_under_the_same_name_is_another_task(tmp_path: Path) -> None:
    first = task_files.load(OWN, "own.py", None, tmp_path)
    second = task_files.load(OWN + OTHER, "own.py", "OTHER", tmp_path)
    assert (first.name, second.name) == ("small", "other")


def test_text_is_written_inside_its_folder(tmp_path: Path) -> None:
    task_files.load(OWN, "../../own.py", None, tmp_path / "a" / "b")
    assert [path for path in tmp_path.rglob("own.py") if not path.is_relative_to(tmp_path / "a" / "b")] == []


def test_text_that_fails_is_told_where(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"^own\.py, line 1: ZeroDivisionError: division by zero$"):
        task_files.load("1 / 0\n", "own.py", None, tmp_path)

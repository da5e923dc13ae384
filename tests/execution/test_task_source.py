"""A task's way to a worker: its files arrive in a private folder and make the same task."""

from __future__ import annotations

import pickle
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tune_jobs.execution import task_source
from tune_jobs.execution.task_source import TaskSource
from tune_jobs.search_spaces import TaskError, catalog

TASK = """
from tune_jobs.models.label_encodings import Classes
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task
import arriving_widths

def build(*, input_shape, head, units):
    from arriving_nets.small import small
    return small(units)

SMALL = Task(
    name="small",
    summary="two widths",
    dataset="digits",
    space=Space(units=Choice(*arriving_widths.WIDTHS)),
    objective=Objective("val_accuracy", "maximize"),
    protocol=Protocol(epochs=1),
    baseline={"units": 4},
    build=build,
    encoding=Classes(10),
)
"""
FILES = {
    "own.py": TASK,
    "arriving_widths.py": "WIDTHS = (4, 8)\n",
    "arriving_nets/small.py": "def small(units):\n    return units + 1\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A worker's private folder, in which the tests look."""
    return tmp_path / "private"


@pytest.fixture
def reference(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    folder.mkdir()
    monkeypatch.setattr(task_source, "_private_folder", lambda: folder)
    for name, text in FILES.items():
        (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / name).write_text(text, encoding="utf-8")
    yield f"{tmp_path / 'project' / 'own.py'}:SMALL"
    for name in list(sys.modules):
        if name.startswith("arriving_"):
            del sys.modules[name]


def arrived(reference: str) -> TaskSource:
    """The source as a worker gets it, on a machine without the user's files."""
    source: TaskSource = pickle.loads(pickle.dumps(TaskSource.of(reference)))
    project = Path(reference.rpartition(":")[0]).parent
    project.rename(project.with_name("elsewhere"))
    return source


def test_a_worker_makes_the_same_task_from_the_files(reference: str, folder: Path) -> None:
    here = catalog.find(reference)
    source = arrived(reference)
    there = source.load()
    assert there.digest() == here.digest()
    assert there.space == here.space
    assert there.build is not here.build
    assert there.build is not None
    assert there.build(input_shape=None, head=None, units=4) == 5  # imported when it is called
    assert sys.modules["arriving_nets.small"].__file__ is not None
    assert Path(sys.modules["arriving_nets.small"].__file__).is_relative_to(folder)
    assert source.load() is there
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.name: path.read_text(encoding="utf-8") for path in written} == {
        Path(name).name: text for name, text in FILES.items()
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o600}


def test_a_task_of_the_catalogue_travels_as_its_name() -> None:
    source = TaskSource.of("digits-mlp")
    assert source.files is None
    assert source.load() is catalog.find("digits-mlp")


def test_a_file_that_fails_on_the_worker_is_told_where(reference: str) -> None:
    file = Path(reference.rpartition(":")[0])
    file.write_text("1 / 0\n", encoding="utf-8")
    with pytest.raises(TaskError, match=r"^own\.py, line 1: ZeroDivisionError: division by zero$"):
        arrived(reference).load()


def test_the_folder_is_new_and_private() -> None:
    task_source._private_folder.cache_clear()
    first = task_source._private_folder()
    assert task_source._private_folder() is first
    task_source._private_folder.cache_clear()
    second = task_source._private_folder()
    try:
        assert first != second
        assert stat.S_IMODE(first.stat().st_mode) == stat.S_IMODE(second.stat().st_mode) == 0o700
    finally:
        task_source._private_folder.cache_clear()
        first.rmdir()
        second.rmdir()

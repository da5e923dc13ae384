"""A task's way to a worker: its files arrive in a private folder and make the same task."""

from __future__ import annotations

import pickle
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tune_jobs import temporary
from tune_jobs.execution import task_source
from tune_jobs.execution.task_source import TaskSource
from tune_jobs.search_spaces import Task, TaskError, beside, catalog

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


def arrived(reference: str, *also: Path) -> TaskSource:
    """The source as a worker gets it, on a machine without the user's files."""
    source: TaskSource = pickle.loads(pickle.dumps(TaskSource.of(reference, also)))
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


def test_a_folder_that_a_killed_process_left_is_removed_and_one_that_is_in_use_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    program = (
        "import os, signal\nfrom tune_jobs import temporary\nfolder = temporary.make()\n"
        "(folder / 'large').write_text('x')\nprint(folder, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    left = Path(answer.stdout.strip())
    assert (left / "large").exists()
    (tmp_path / "tune-jobs-files-link").symlink_to(tmp_path)
    first = temporary.make()
    second = temporary.make()
    assert not left.exists()
    assert first.exists()
    assert second.exists()


READING = """
from pathlib import Path

import numpy as np

from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task
%s
HERE = Path(__file__).parent

def train(params, data, *, seed, epochs):
    yield {"loss": float(np.load(HERE / "arrays" / "a.npz")["a"].sum())}

OWN = Task(
    name="reading",
    summary="files beside it",
    dataset="digits",
    space=Space(width=Choice(*map(int, (HERE / "widths.csv").read_text().split(",")))),
    objective=Objective("loss", "minimize"),
    protocol=Protocol(epochs=1),
    baseline={"width": 4},
    train=train,
)
"""


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def reading_task(file: Path, imports: str = "") -> str:
    """Write a task that reads the files beside it, and these; its reference."""
    write(file, READING % imports)
    write(file.with_name("widths.csv"), "4,8")
    (file.parent / "arrays").mkdir()
    np.savez(file.parent / "arrays" / "a.npz", a=np.arange(4))
    return f"{file}:OWN"


def loss(task: Task) -> float:
    assert task.train is not None
    return next(iter(task.train({"width": 4}, None, seed=0, epochs=1)))["loss"]  # type: ignore[arg-type]


@pytest.mark.usefixtures("reference")
def test_files_beside_a_task_are_read_on_another_machine(tmp_path: Path, folder: Path) -> None:
    reference = reading_task(tmp_path / "data" / "own.py")
    write(tmp_path / "data" / ".env", "TOKEN=1")
    task = arrived(reference).load()
    assert (task.space.size, loss(task)) == (2, 6.0)
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {"own.py", "widths.csv", "a.npz"}


@pytest.mark.usefixtures("reference")
@pytest.mark.parametrize("ignored", [False, True])
def test_what_does_not_travel_is_read_where_it_lies(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, *, ignored: bool
) -> None:
    reference = reading_task(tmp_path / "data" / "own.py")
    if ignored:
        write(tmp_path / "data" / ".tunejobsignore", "arrays\n")
    else:
        monkeypatch.setattr(beside, "MAX_BYTES", 1000)
        write(tmp_path / "data" / "arrays" / "large.bin", "x" * 1000)
    source: TaskSource = pickle.loads(pickle.dumps(TaskSource.of(reference)))
    assert loss(source.load()) == 6.0
    (link,) = (path for path in folder.rglob("*") if path.is_symlink())
    assert link.resolve() == tmp_path / "data" / "arrays"


@pytest.mark.usefixtures("reference")
def test_a_task_in_a_package_imports_relatively_on_another_machine(tmp_path: Path) -> None:
    pkg = tmp_path / "above" / "arriving_pkg"
    reference = reading_task(
        pkg / "tasks" / "own.py",
        "from . import blocks\nfrom ..nets.small import A\nfrom arriving_pkg.nets import B\n"
        "assert A + B + blocks.C == 6\n",
    )
    write(pkg / "__init__.py")
    write(pkg / "tasks" / "__init__.py")
    write(pkg / "tasks" / "blocks.py", "from ..nets.small import A\nC = A + 2")
    write(pkg / "nets" / "__init__.py", "from .small import A\nB = A + 1")
    write(pkg / "nets" / "small.py", "A = 1")
    here = catalog.find(reference)
    there = arrived(reference).load()
    assert there.digest() == here.digest()
    assert loss(there) == 6.0


@pytest.mark.usefixtures("reference")
def test_what_is_named_arrives_and_is_imported_and_read(tmp_path: Path) -> None:
    reference = reading_task(
        tmp_path / "project" / "data" / "own.py",
        "import arriving_lib.tools\nfrom arriving_more import B\nassert arriving_lib.tools.A + B == 3\n"
        "assert (Path(__file__).parents[2] / 'shared' / 'words.txt').read_text() == 'w'\n",
    )
    also = (
        write(tmp_path / "shared" / "arriving_lib" / "tools.py", "A = 1").parent,
        write(tmp_path / "shared" / "arriving_more.py", "B = 2"),
        write(tmp_path / "shared" / "words.txt", "w"),
    )
    with pytest.raises(TaskError, match="No module named 'arriving_"):
        catalog.find(reference)
    assert catalog.find(reference, also).name == "reading"
    assert loss(arrived(reference, *also).load()) == 6.0

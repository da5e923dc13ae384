"""Which files a task brings along: those that it imports from its own folder, and no others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tune_jobs.search_spaces import TaskError, beside
from tune_jobs.search_spaces.task_files import TaskFiles

Project = Callable[[dict[str, str]], Path]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Write the files of a project and return the path of its task file."""

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / "task.py"

    return write


def brought(file: Path) -> set[str]:
    return set(TaskFiles.read(file).contents) - {"task.py"}


EVERYWHERE = {
    "common.py": "",
    "nets/__init__.py": "",
    "nets/small.py": "",
    "nets/deep/__init__.py": "",
    "nets/deep/blocks.py": "",
    "plain/one.py": "",
    "plain/two.py": "",
}


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("import common", {"common.py"}),
        ("import numpy, common as c", {"common.py"}),
        ("from common import load_data", {"common.py"}),
        ("from common import *", {"common.py"}),
        ("import nets", {"nets/__init__.py"}),
        ("import nets.small", {"nets/__init__.py", "nets/small.py"}),
        ("from nets import small", {"nets/__init__.py", "nets/small.py"}),
        ("from nets.small import small", {"nets/__init__.py", "nets/small.py"}),
        (
            "from nets.deep.blocks import a",
            {"nets/__init__.py", "nets/deep/__init__.py", "nets/deep/blocks.py"},
        ),
        ("from nets import *", {"nets/__init__.py", "nets/small.py"}),
        ("from plain import one", {"plain/one.py"}),
        ("import plain.two", {"plain/two.py"}),
        ("import plain", set()),
        ("def build():\n    from nets.small import small", {"nets/__init__.py", "nets/small.py"}),
        ("if False:\n    import common", {"common.py"}),
        ("import importlib\nimportlib.import_module('common')", {"common.py"}),
        ("from . import common", set()),  # a task file is in no package
        ("import task", set()),
        ("import nowhere, os, numpy", set()),
        ("from nets.nowhere import x", {"nets/__init__.py"}),
        ("not python (", set()),
    ],
)
def test_a_task_brings_what_it_imports(project: Project, text: str, files: set[str]) -> None:
    assert brought(project({**EVERYWHERE, "task.py": text})) == files


def test_it_brings_what_its_modules_import_too(project: Project) -> None:
    file = project(
        {
            "task.py": "import first",
            "first.py": "from nets.outer import x",
            "nets/__init__.py": "",
            "nets/outer.py": "from . import inner\nfrom .. import above\nfrom .deep.blocks import a",
            "nets/inner.py": "from .outer import x",  # a circle
            "nets/deep/blocks.py": "from ..last import z",
            "nets/last.py": "import task, first",
            "above.py": "",
            "unused.py": "",
        }
    )
    assert brought(file) == {
        "first.py",
        "nets/__init__.py",
        "nets/outer.py",
        "nets/inner.py",
        "nets/deep/blocks.py",
        "nets/last.py",
    }


def test_a_file_of_a_requirements_name_stays_at_home(project: Project) -> None:
    """TensorFlow imports keras: it has to get the real one. What nobody needs may be called like an installed file."""
    names = ["keras.py", "mlflow.py", "json.py", "tune_jobs.py", "google/__init__.py", "pytest.py", "models.py"]
    file = project(
        {
            "task.py": "import keras, mlflow, json, tune_jobs, google, pytest, models, search_spaces",
            **dict.fromkeys(names, ""),
            "search_spaces.py": "",
        }
    )
    assert brought(file) == {"models.py", "search_spaces.py"}


def test_what_cannot_be_read_is_named(project: Project) -> None:
    file = project({"task.py": "import common"})
    (file.parent / "common.py").write_bytes(b"\xff")
    with pytest.raises(TaskError, match=r"common\.py cannot be read: .*") as caught:
        TaskFiles.read(file)
    assert "\n" not in str(caught.value)


def test_too_much_is_refused_in_one_line(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"part_{n}.py": f"import part_{n + 1}" for n in range(5)}
    file = project({"task.py": "import part_0", **files})
    monkeypatch.setattr(beside, "MAX_FILES", 6)
    assert len(TaskFiles.read(file).contents) == 6
    monkeypatch.setattr(beside, "MAX_FILES", 5)
    refusal = r"^task\.py imports more than can travel with a task \(5 files of 50 MB in all\): install "
    with pytest.raises(TaskError, match=refusal) as caught:
        TaskFiles.read(file)
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(beside, "MAX_FILES", 6)
    monkeypatch.setattr(beside, "MAX_BYTES", 40)
    with pytest.raises(TaskError, match="imports more than"):
        TaskFiles.read(file)


def test_files_of_another_encoding_are_taken_as_they_are(project: Project) -> None:
    file = project({"task.py": "import common"})
    content = "# coding: latin-1\nNAME = 'é'\n".encode("latin-1")
    (file.parent / "common.py").write_bytes(content)
    assert TaskFiles.read(file).contents["common.py"] == content


def test_the_digest_changes_with_every_file(project: Project) -> None:
    files = {"task.py": "import common", "common.py": "a = 1"}
    first = TaskFiles.read(project(files)).digest
    assert TaskFiles.read(project({"task.py": ""})).digest == "e3b0c44298fc1c14"  # SHA-256 of the file alone
    assert TaskFiles.read(project(files)).digest == first
    assert TaskFiles.read(project({**files, "common.py": "a = 2"})).digest != first
    assert TaskFiles.read(project({**files, "other.py": ""})).digest == first

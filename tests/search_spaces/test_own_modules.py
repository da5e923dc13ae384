"""Modules beside a task: imported at once or later, under their usual names, from what was read."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tune_jobs.search_spaces import TaskError, installed, own_modules
from tune_jobs.search_spaces.task_files import TaskFiles

Load = Callable[..., ModuleType]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Write a project's files and import its task file."""

    def write_and_import(folder: str = "a", /, **files: str) -> ModuleType:
        for name, text in files.items():
            path = tmp_path / folder / (name.replace("__in__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return own_modules.import_task(TaskFiles.read(tmp_path / folder / "task.py"), tmp_path / folder)

    monkeypatch.setattr(own_modules, "_finder", own_modules._OwnModules())
    before, finders = set(sys.modules), list(sys.meta_path)
    yield write_and_import
    sys.meta_path[:] = finders
    for name in set(sys.modules) - before:
        if not name.startswith("tune_jobs"):
            del sys.modules[name]


def test_modules_are_imported_at_once_and_later(load: Load) -> None:
    task = load(
        task="import common_\nfrom nets_.small import A\ndef later():\n    import late_\n    return late_.B",
        common_="",
        late_="B = 2",
        nets___in__small="A = 1",
    )
    assert (task.A, task.later()) == (1, 2)
    assert sys.modules["common_"] is task.common_
    assert "a" not in [Path(place).name for place in sys.path]


def test_a_module_is_what_was_read_though_its_file_is_edited(load: Load, tmp_path: Path) -> None:
    task = load(task="def later():\n    import late_\n    return late_.B", late_="B = 2")
    (tmp_path / "a" / "late_.py").write_text("B = 3", encoding="utf-8")
    assert task.later() == 2
    assert load().later() == 3


def test_an_edited_module_is_imported_anew_with_all_that_imports_it(load: Load) -> None:
    files = {"task": "from outer_ import A", "outer_": "from inner_ import A", "inner_": "A = 1"}
    first = load(**files)
    assert load() is first
    second = load(**{**files, "inner_": "A = 2"})
    assert (first.A, second.A) == (1, 2)
    assert not list(Path(second.__file__ or "").parent.rglob("*.pyc"))


def test_tasks_of_two_folders_have_modules_of_their_own(load: Load) -> None:
    first = load("a", task="import common_", common_="A = 1")
    second = load("b", task="import common_", common_="A = 2")
    assert (first.common_.A, second.common_.A) == (1, 2)


def test_two_tasks_of_a_folder_share_its_modules(load: Load, tmp_path: Path) -> None:
    first = load(task="import common_", common_="A = []")
    (tmp_path / "a" / "other.py").write_text("import common_", encoding="utf-8")
    other = own_modules.import_task(TaskFiles.read(tmp_path / "a" / "other.py"), tmp_path / "a")
    assert other.common_ is first.common_


def test_a_module_that_was_imported_from_its_folder_before_is_imported_anew(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(task="", common_="A = 1")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(tmp_path / "a"))
        import common_  # type: ignore[import-not-found]
    assert load(task="import common_", common_="A = 2").common_.A == 2
    assert common_.A == 1


def test_sources_can_be_shown(load: Load, tmp_path: Path) -> None:
    task = load(task="import common_", common_="def fails():\n    raise KeyError\n")
    assert inspect.getsource(task.common_.fails) == "def fails():\n    raise KeyError\n"
    assert inspect.getfile(task.common_.fails) == str(tmp_path / "a" / "common_.py")


def test_a_line_is_shown_though_its_file_is_gone(load: Load, tmp_path: Path) -> None:
    task = load(task="import common_", common_="def fails():\n    raise KeyError\n")
    (tmp_path / "a" / "common_.py").unlink()
    with pytest.raises(KeyError) as caught:
        task.common_.fails()
    assert traceback.extract_tb(caught.value.__traceback__)[-1].line == "raise KeyError"


def test_a_future_statement_of_ours_is_not_a_tasks(load: Load) -> None:
    assert load(task="def f(x: int): pass").f.__annotations__ == {"x": int}


def test_a_module_that_fails_can_be_mended(load: Load) -> None:
    files = {"task": "\nimport common_", "common_": "1 / 0"}
    with pytest.raises(TaskError, match=r"^task\.py, line 2: ZeroDivisionError: division by zero$"):
        load(**files)
    assert load(**{**files, "common_": "A = 1"}).common_.A == 1


def test_a_package_knows_its_folder(load: Load, tmp_path: Path) -> None:
    task = load(task="import nets_", nets___in____init__="")
    assert list(task.nets_.__path__) == [str(tmp_path / "a" / "nets_")]


def test_a_module_that_an_installer_linked_from_elsewhere_is_an_installed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, packages = tmp_path / "store", tmp_path / "packages"
    for folder in (store, packages):
        folder.mkdir()
    (store / "linked.py").touch()
    (packages / "linked.py").symlink_to(store / "linked.py")
    monkeypatch.setattr(installed, "_FOLDERS", [packages])
    module = ModuleType("linked")
    for folder, is_one in ((packages, True), (store, False)):
        module.__file__ = str(folder / "linked.py")
        assert installed.is_installed(module) is is_one

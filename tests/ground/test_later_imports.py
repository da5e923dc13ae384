"""What Keras imports and does not use is imported when somebody uses it."""

from __future__ import annotations

import gc
import importlib
import sys
from pathlib import Path
from threading import Thread
from types import ModuleType

import pytest

from tune_jobs import later_imports

CODE = """
import time

with open({log!r}, "a") as log:
    log.write("imported ")
if {fails!r}:
    raise ImportError("a part of it is missing")
time.sleep(0.05)
VALUE = 7
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a package with a module in it, and a file `log` in which it notes its import."""
    folder = tmp_path / "seldom_used"
    folder.mkdir()
    (folder / "part.py").write_text("from seldom_used import VALUE\n")
    monkeypatch.setattr(later_imports, "_NAMES", ("seldom_used", "in_no_place"))
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("seldom_used", "seldom_used.part"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return write(folder)


def write(folder: Path, *, fails: bool = False) -> Path:
    log = str(folder.with_name("log"))
    (folder / "__init__.py").write_text(CODE.format(log=log, fails=fails))
    importlib.invalidate_caches()
    return folder


def n_imports(package: Path) -> int:
    log = package.with_name("log")
    return len(log.read_text().split()) if log.exists() else 0


def imported_later() -> ModuleType:
    with later_imports.at_first_use():
        return importlib.import_module("seldom_used")


def test_a_package_is_imported_when_it_is_used(package: Path) -> None:
    seldom_used = imported_later()
    assert n_imports(package) == 0
    assert seldom_used.VALUE == 7
    assert (n_imports(package), type(seldom_used)) == (1, ModuleType)
    assert importlib.import_module("seldom_used").VALUE == 7
    assert not hasattr(seldom_used, "OTHER")
    assert n_imports(package) == 1


def test_an_import_of_what_is_in_it_is_a_use_of_it(package: Path) -> None:
    imported_later()
    assert importlib.import_module("seldom_used.part").VALUE == 7
    assert n_imports(package) == 1


def test_who_looks_through_all_modules_does_not_use_them(package: Path) -> None:
    """As TensorFlow, `inspect` and `unittest` do."""
    seldom_used = imported_later()
    assert seldom_used.__file__ == str(package / "__init__.py")
    assert not hasattr(seldom_used, "__warningregistry__")
    assert (seldom_used.__name__, seldom_used.__doc__) == ("seldom_used", None)
    assert n_imports(package) == 0


def test_two_threads_that_use_it_at_once_have_it_whole(package: Path) -> None:
    seldom_used, values = imported_later(), list[int]()
    threads = [Thread(target=lambda: values.append(seldom_used.VALUE)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (values, n_imports(package)) == ([7] * 4, 1)


def test_an_import_that_fails_is_tried_again_at_the_next_use(package: Path) -> None:
    write(package, fails=True)
    seldom_used = imported_later()
    with pytest.raises(ImportError, match="a part of it is missing"):
        _ = seldom_used.VALUE
    write(package)
    assert seldom_used.VALUE == 7


def test_after_the_block_it_is_imported_at_once(package: Path) -> None:
    finders = list(sys.meta_path)
    with later_imports.at_first_use():
        pass
    assert sys.meta_path == finders
    importlib.import_module("seldom_used")
    assert n_imports(package) == 1


def test_one_that_is_not_installed_is_not_there_from_the_start(package: Path) -> None:
    with later_imports.at_first_use(), pytest.raises(ImportError):
        importlib.import_module("in_no_place")


def test_no_garbage_is_looked_for_while_modules_are_imported() -> None:
    assert gc.isenabled()
    with later_imports.without_collections():
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    try:
        with later_imports.without_collections():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()

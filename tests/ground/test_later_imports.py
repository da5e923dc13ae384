"""What Keras imports and does not use is imported when somebody uses it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from tune_jobs import later_imports


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a module that notes its import."""
    file = tmp_path / "seldom_used.py"
    file.write_text(f"open({str(tmp_path / 'imported')!r}, 'w').close()\nVALUE = 7\n")
    monkeypatch.setattr(later_imports, "_NAMES", ("seldom_used", "in_no_place"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "seldom_used", raising=False)
    return file


def test_a_module_is_imported_when_it_is_used(module: Path) -> None:
    with later_imports.at_first_use():
        seldom_used = importlib.import_module("seldom_used")
        assert not module.with_name("imported").exists()
    assert seldom_used.VALUE == 7
    assert module.with_name("imported").exists()


def test_after_the_block_it_is_imported_at_once(module: Path) -> None:
    finders = list(sys.meta_path)
    with later_imports.at_first_use():
        pass
    assert sys.meta_path == finders
    importlib.import_module("seldom_used")
    assert module.with_name("imported").exists()


def test_one_that_is_not_installed_is_not_there_from_the_start(module: Path) -> None:
    with later_imports.at_first_use(), pytest.raises(ImportError):
        importlib.import_module("in_no_place")

"""The examples of a task each run in this process, on little data."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

import tune_jobs as tj

EXAMPLES = Path(__file__).parents[2] / "examples"
MOST_LINES = 40


def example(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What an example defines, imported in a folder of its own."""
    monkeypatch.chdir(folder)
    path = EXAMPLES / name
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    return runpy.run_path(str(path))


def test_a_folder_of_images_is_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = example("image_folder.py", tmp_path, monkeypatch)
    names["draw_shapes"](tmp_path / "shapes", 40)
    result = tj.run_trial(names["TASK"], home=tmp_path / "home")
    assert result.state == "complete"
    assert result.score is not None
    assert result.score > 0.7  # by chance 0.5

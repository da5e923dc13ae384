"""The examples and the page on Python run as they are, in processes other than this."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.sweeping import PROGRAMS

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
NOTEBOOK = EXAMPLES / "first_sweep.ipynb"
PAGE = ROOT / "docs" / "python.md"
PATIENCE_S = 580


def run(folder: Path, *words: str) -> str:
    """What a program prints that Python runs in this folder, with nothing of ours in its environment."""
    ours = ("RAY_", "TUNE_", "MLFLOW_", "PYTEST_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {"TUNE_JOBS_HOME": str(folder / "home"), "MPLBACKEND": "agg", "TUNE_JOBS_REPORT": "no"}
    command = [sys.executable, *words]
    answer = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_each_example_is_run_by_a_test() -> None:
    names = {path.name for path in EXAMPLES.iterdir() if path.is_file()}
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parents[1].rglob("test_*.py"))
    assert {name for name in names if f'"{name}"' not in tests} == set()


def test_the_notebook_has_the_form_of_notebooks() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    for cell in notebook["cells"]:
        keys = {"cell_type", "id", "metadata", "source"}
        is_code = cell["cell_type"] == "code"
        assert set(cell) == (keys | {"execution_count", "outputs"} if is_code else keys)
        if is_code:
            ast.parse("".join(cell["source"]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(scope="module")
def printed(folder: Path) -> dict[str, str]:
    """What each file prints. They run in one process, one after the other: each further one would import TensorFlow."""
    files = (EXAMPLES / "compare_searches.py", EXAMPLES / "own_task.py", NOTEBOOK, PAGE)
    _, *parts = run(folder, str(PROGRAMS / "run_cells.py"), *map(str, files)).split("begin ")
    return dict(part.split("\n", 1) for part in parts)


@pytest.mark.slow
def test_searches_are_compared(printed: dict[str, str], folder: Path) -> None:
    lines = printed["compare_searches.py"].splitlines()
    assert [line.split(":")[0].strip() for line in lines] == ["random", "tpe", "gp"]
    assert all(re.search(r"val_loss 0\.\d{4} with \{'learning_rate': ", line) for line in lines)
    assert (folder / "compare_searches" / "sweeps" / "exports" / "logistic-gp" / "best.yaml").is_file()


@pytest.mark.slow
def test_a_task_of_ones_own_is_swept_replicated_evaluated_and_predicted_with(printed: dict[str, str]) -> None:
    lines = printed["own_task.py"]
    assert "the test split was read once" in lines
    true, read = (line.split()[1:] for line in lines.splitlines()[-2:])
    assert len(true) == len(read) == 10
    assert sum(a == b for a, b in zip(true, read, strict=True)) >= 5  # by chance 2.5


@pytest.mark.slow
def test_the_notebook_runs_in_one_process(printed: dict[str, str], folder: Path) -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert printed[NOTEBOOK.name].count("ran cell") == sum(cell["cell_type"] == "code" for cell in cells)
    assert (folder / NOTEBOOK.stem / "sweeps" / "results" / "best.yaml").is_file()


@pytest.mark.slow
def test_the_blocks_of_the_page_run_in_one_process(printed: dict[str, str]) -> None:
    lines = printed[PAGE.name]
    assert lines.count("ran cell") == PAGE.read_text(encoding="utf-8").count("```python\n") > 10
    assert "no study named 'digits-mpl'; near it: digits-mlp" in lines
    assert "TestScore(metric='test_accuracy'" in lines

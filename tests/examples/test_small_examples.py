"""The examples of a task each run in this process, on little data."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tune_jobs as tj
from tune_jobs.training.trial import TrialRun

EXAMPLES = Path(__file__).parents[2] / "examples"
MOST_LINES = 40


def example(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What an example defines, imported in a folder of its own."""
    monkeypatch.chdir(folder)
    path = EXAMPLES / name
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    return runpy.run_path(str(path))


@pytest.mark.slow
def test_a_folder_of_images_is_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = example("image_folder.py", tmp_path, monkeypatch)
    names["draw_shapes"](tmp_path / "shapes", 40)
    result = tj.run_trial(names["TASK"], home=tmp_path / "home")
    assert result.state == "complete"
    assert result.score is not None
    assert result.score > 0.7  # by chance 0.5


def test_a_forest_of_scikit_learn_is_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = example("function_sklearn.py", tmp_path, monkeypatch)["TASK"]
    few = {"n_estimators": 10}
    result = tj.run_trial(task, few, seed=1)
    assert (result.state, sorted(result.metrics)) == ("complete", ["mean_absolute_error", "root_mean_squared_error"])
    assert result.score is not None
    assert 40 < result.score < 60  # the mean of the targets is 65 off
    assert tj.run_trial(task, few, seed=1).score == result.score != tj.run_trial(task, few, seed=2).score


def test_a_simulator_goes_on_from_its_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = example("function_simulator.py", tmp_path, monkeypatch)["TASK"]
    whole = tj.run_trial(task)
    assert (whole.best_epoch, len(whole.history)) == (27, 27)
    first = TrialRun(task, task.baseline, None, seed=0)
    for day, _ in first:
        if day == 20:
            start = first.checkpoint()
            break
    run = TrialRun(task, task.baseline, None, seed=0, start=start)
    assert [day for day, _ in run] == list(range(21, 28))
    assert run.result.score == whole.score
    assert run.artifacts is not None
    assert len((run.artifacts / "costs.csv").read_text().splitlines()) == 27


def test_the_pytorch_example_is_a_function_that_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch is not installed; all but its own calls is run."""
    torch = ModuleType("torch")
    torch.nn = ModuleType("torch.nn")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    task = example("function_pytorch.py", tmp_path, monkeypatch)["TASK"]
    assert (task.run_takes, task.protocol.epochs) == (("seed", "checkpoint", "artifacts"), 20)


@pytest.mark.slow
def test_a_model_of_keras_tuner_is_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = example("migrated_keras_tuner.py", tmp_path, monkeypatch)
    task, unit = names["TASK"], tj.Int(16, 64, step=16)
    layers = tj.Variants({"1": tj.Space(), "2": tj.Space(units_1=unit)})
    dropout = tj.Variants({"false": tj.Space(), "true": tj.Space(dropout_rate=tj.Float(0.1, 0.5, step=0.1))})
    rate = tj.Float(1e-4, 1e-1, log=True)
    assert task.space == tj.Space(layers=layers, units_0=unit, dropout=dropout, learning_rate=rate)
    params = {"layers": "2", "units_1": 32, "dropout": "true", "dropout_rate": 0.2}
    result = tj.run_trial(task, params, images=300, epochs=1)
    assert (result.state, result.weights) == ("complete", 64 * 16 + 16 + 16 * 32 + 32 + 32 * 10 + 10)


@pytest.mark.slow
def test_a_streamed_data_set_is_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = example("streamed.py", tmp_path, monkeypatch)
    names["SIZES"].update(train=2000, validation=200)
    result = tj.run_trial(names["TASK"], home=tmp_path / "home")
    assert result.state == "complete", result.message
    assert result.score is not None
    assert result.score < 0.6  # the median alone is 1 off

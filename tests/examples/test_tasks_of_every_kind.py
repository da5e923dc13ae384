"""The example tasks, each of another kind of data or model, are trained in this process for an epoch or two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tune_jobs as tj

EXAMPLES = Path(__file__).parents[2] / "examples"
METRICS: dict[str, Any] = {  # that say what kind of task it is
    "table_regression.py": {"val_mae", "val_r2"},
    "text_classifier.py": {"val_accuracy"},
    "sequence_model.py": {"val_rmse", "learning_rate"},
    "two_inputs_two_outputs.py": {"val_bright_auc", "val_weight_rmse"},
    "sample_weights.py": {"val_mae"},
    "transfer_learning.py": {"val_accuracy"},
    "own_train_step.py": {"val_mae"},
}

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras


@pytest.mark.slow
@pytest.mark.parametrize("name", METRICS)
def test_an_example_is_short_and_trains(name: str, tmp_path: Path) -> None:
    file = EXAMPLES / name
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 40
    result = tj.run_trial(tj.find_task(str(file)), epochs=2, home=tmp_path)
    assert (result.state, result.message) == ("complete", None)
    assert METRICS[name] <= result.metrics.keys()


@pytest.mark.slow
def test_an_optimizer_of_keras_is_chosen_with_its_own_settings(tmp_path: Path) -> None:
    task = tj.find_task(str(EXAMPLES / "table_regression.py"))
    lion = {"optimizer": "Lion", "learning_rate": 0.003, "weight_decay": 0.1}
    assert tj.run_trial(task, lion, epochs=1, home=tmp_path).state == "complete"

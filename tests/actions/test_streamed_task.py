"""A task of streamed batches from its launch to a saved model that reads rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.sweeping import SharedRay, called
from tune_jobs.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, when it saves

TASK_FILE = """
import keras
import numpy as np
import tensorflow as tf
from tune_jobs.models.regression import Regression
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task
from tune_jobs.search_spaces.streamed import streamed


def batches(*, part, batch_size, seed, params):
    x = np.random.default_rng([len(part), seed]).normal(size=(48, 3)).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, x.sum(axis=1))).batch(batch_size)


def build(*, input_shape, head, width):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, head(keras.layers.Dense(width)(inputs)))


OWN = Task("waves", Space(width=Choice(4)), Objective("val_mae", "minimize"), dataset=streamed(batches), build=build,
           encoding=Regression("cm"), protocol=Protocol(epochs=2, batch_size=16))
"""


def test_a_streamed_task_is_launched_trained_again_and_read(tmp_path: Path, ray: SharedRay) -> None:
    settings, file, model = Settings.read(home=tmp_path / "home"), tmp_path / "own.py", tmp_path / "model.keras"
    file.write_text(TASK_FILE)
    code, _, stderr = called(settings, "launch", f"{file}:OWN", "--search", "baseline")
    assert code == 0, stderr
    best = settings.exports_dir("waves") / "best.yaml"
    code, stdout, stderr = called(settings, "train", str(best), "-o", str(model), "--no-mlflow", "--json")
    assert code == 0, stderr
    assert json.loads(stdout)["is_same"]
    rows = tmp_path / "rows.npy"
    np.save(rows, np.ones((2, 3)))
    code, stdout, stderr = called(settings, "predict", str(model), str(rows), "--json")
    assert code == 0, stderr
    assert [(row["row"], row["unit"]) for row in json.loads(stdout)] == [(1, "cm"), (2, "cm")]

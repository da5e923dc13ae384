"""A trained model in MLflow, whatever layers it has."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tune_jobs.environment import prepare_mlflow
from tune_jobs.settings import Settings
from tune_jobs.tracking.logged_model import TrainedModel, log_model

prepare_mlflow()

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of MLflow's tables, and of what Keras saves


class Scale(keras.layers.Layer):  # type: ignore[misc]
    def call(self, x: Any) -> Any:
        return x / 255


def test_a_layer_that_keras_does_not_know_is_logged_without_a_warning(
    settings: Settings, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    settings.prepare()
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(1)(Scale()(inputs)))
    trained = TrainedModel("own", np.ones((2, 3), np.float32), 0.5, "val_mae", {})
    uri = log_model(settings, model, trained, None, lambda message: None)
    assert uri.startswith("models:/")
    assert "Failed to validate" not in capfd.readouterr().err + caplog.text

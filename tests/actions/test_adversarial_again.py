"""An adversarial network, with two optimizers and average weights, trains again from best.yaml to the same score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.sweeping import Own, finished_study
from tune_jobs import exports
from tune_jobs.actions import train
from tune_jobs.models.generative import sample_scores
from tune_jobs.prediction import keras_files
from tune_jobs.settings import Settings

TASK_FILE = """
from dataclasses import replace

from tune_jobs.models.generative import features
from tune_jobs.search_spaces import Choice, Protocol, Space
from tune_jobs.search_spaces.tasks.generative import MNIST_GAN

SMALL = {"latent_dim": 4, "filters": 4, "depth": 2, "upsampling": 1, "kernel_size": 3, "batch_size": 64}
BASELINE = {**MNIST_GAN.baseline, **SMALL, "average": 0.9, "critic_steps": 2, "features": features.name_of("digits")}
SPACE = Space.of({name: Choice(value) for name, value in BASELINE.items()})
PROTOCOL = Protocol(epochs=2, batch_size=64, validation=0.2)
OWN = replace(MNIST_GAN, name="own", dataset="digits", space=SPACE, baseline=BASELINE, protocol=PROTOCOL)
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, when it saves
def test_a_network_of_two_players_trains_again_to_the_same_score_and_is_saved(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_scores, "ALIKE", 0.0)  # two epochs draw nothing yet
    monkeypatch.setattr(train.tensorflow_start, "start", lambda *_, **__: None)  # this process has used it
    own = Own(tmp_path / "own_task.py")
    own.file.write_text(TASK_FILE, encoding="utf-8")
    record = finished_study(own, settings)
    assert [trial.state for trial in record.trials] == ["complete"], record.trials[0].message
    exports.write_all(record, tmp_path)
    model = tmp_path / "model.keras"
    again = train.train(tmp_path / "best.yaml", settings, output=model, with_mlflow=False, say=lambda message: None)
    assert (again.metric, again.score) == ("val_kid", record.trials[0].score)
    drawn = keras_files.load(model, own.task).decode(np.zeros((2, 4), np.float32))
    assert np.asarray(drawn).shape == (2, 8, 8, 1)

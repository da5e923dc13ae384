"""Trials of generative networks: they are scored by what their models say, repeat, and are evaluated like any other."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tune_jobs import datasets
from tune_jobs.datasets import Dataset
from tune_jobs.models.generative import features, sample_scores
from tune_jobs.records import trial_pictures
from tune_jobs.records.per_image import unpack
from tune_jobs.records.trials import RecordedResult, TrialRecord
from tune_jobs.search_spaces import Objective, Protocol, TaskError, catalog
from tune_jobs.search_spaces.tasks import generative
from tune_jobs.training import finalist, weights
from tune_jobs.training.checkpoints import Checkpoint
from tune_jobs.training.runs import run_trial
from tune_jobs.training.trial import TrialRun

pytestmark = pytest.mark.slow  # each trial traces its model

SHORT = Protocol(epochs=2, batch_size=64, validation=0.2, images=300)
SMALL = {"latent_dim": 4, "filters": 4, "depth": 2, "upsampling": 1, "kernel_size": 3, "batch_size": 64}
NAME = features.name_of("digits")
PLAYERS = {**generative.MNIST_GAN.baseline, **SMALL, "features": NAME}
QUICK = replace(generative.GENERATIVE_QUICK, protocol=SHORT)
QUICK_PARAMS = {**QUICK.baseline, **SMALL}
OF_DIGITS = replace(generative.MNIST_GAN, name="digits-gan", dataset="digits", protocol=SHORT)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return datasets.load("digits", data_dir=Path(), validation=0.2, images=300)


@pytest.fixture(scope="module")
def vae_run(digits: Dataset) -> TrialRun:
    run = TrialRun(QUICK, QUICK_PARAMS, digits.training, seed=3)
    list(run)
    return run


def trial(run: TrialRun) -> TrialRecord:
    result = RecordedResult(
        **{name: getattr(run.result, name) for name in run.result.__dataclass_fields__}, finished=1.0
    )
    return TrialRecord(0, QUICK_PARAMS, 3, "complete", result=result)


def test_a_bound_is_the_mean_of_what_is_kept_of_each_image(vae_run: TrialRun, digits: Dataset) -> None:
    result = vae_run.result
    assert result.state == "complete", result.message
    assert result.errors is not None
    errors = unpack(result.errors)
    assert len(errors) == len(digits.validation)
    assert errors.mean() == pytest.approx(result.score, rel=1e-5)
    parts = result.metrics["val_rate"] + result.metrics["val_distortion"]
    assert parts == pytest.approx(result.score, rel=1e-5)
    assert {"val_kid", "val_kid_error", "val_frechet", "val_recall", "val_classes"} <= result.metrics.keys()


def test_a_trial_keeps_what_its_model_draws(vae_run: TrialRun, digits: Dataset) -> None:
    kept = vae_run.result.pictures
    assert kept is not None
    shapes = {name: opened(packed).shape for name, packed in kept.items()}
    assert shapes == {"reconstructions": (17, 71), "samples": (71, 71), "nearest": (17, 71), "walk": (35, 71)}
    assert {*opened(kept["samples"])[8].tolist(), *opened(kept["samples"])[:, 62].tolist()} == {128}  # between images
    np.testing.assert_array_equal(opened(kept["reconstructions"])[:8, :8], digits.validation.x[0, ..., 0])


def test_a_trial_keeps_how_its_training_went_and_draws_the_same_things_each_time(
    vae_run: TrialRun, digits: Dataset
) -> None:
    progress = vae_run.result.progress
    assert [each.epoch for each in progress] == [1, 2]
    first, second = (opened(each.pictures["training"]) for each in progress)
    assert first.shape == (4 * 9 - 1, 8 * 9 - 1)  # images, reconstructions, two rows of samples
    np.testing.assert_array_equal(first[:8], second[:8])
    assert (first[8:] != second[8:]).any()
    if vae_run.result.best_epoch == 2:
        kept = vae_run.result.pictures
        assert kept is not None
        np.testing.assert_array_equal(second[9:17], opened(kept["reconstructions"])[9:])
        np.testing.assert_array_equal(second[18:], opened(kept["samples"])[:17])
    begun = TrialRun(QUICK, QUICK_PARAMS, digits.training, seed=3)
    next(iter(begun))
    checkpoint = begun.checkpoint()
    assert checkpoint is not None
    resumed = TrialRun(QUICK, QUICK_PARAMS, digits.training, seed=3, start=Checkpoint.from_bytes(checkpoint.to_bytes()))
    list(resumed)
    assert resumed.result.progress == progress
    assert resumed.result.history == vae_run.result.history


def opened(packed: str) -> Any:
    return np.asarray(Image.open(io.BytesIO(trial_pictures.content(packed))))


def test_pictures_in_training_change_no_score(vae_run: TrialRun, digits: Dataset) -> None:
    without = run_trial(replace(QUICK, pictures=None), QUICK_PARAMS, digits.training, seed=3)
    assert (without.history, without.progress) == (vae_run.result.history, ())


def test_pictures_that_fail_in_training_cost_no_trial(digits: Dataset) -> None:
    task = replace(QUICK, protocol=replace(SHORT, epochs=1, images=64), pictures=fails_in_training)
    result = run_trial(task, QUICK_PARAMS, digits.training, seed=1)
    assert (result.state, list(result.pictures or ()), result.progress) == ("complete", ["fine"], ())
    assert result.message == "it has no pictures of epoch 1: ZeroDivisionError: division by zero"


def fails_in_training(model: Any, data: Any, seed: int, epoch: int | None = None) -> dict[str, Any]:
    return {"fine": np.zeros((2, 2), np.uint8)} if epoch is None else {"x": 1 / 0}


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        (lambda model, data, seed: 1 / 0, "it has no pictures: ZeroDivisionError: division by zero"),
        (lambda model, data, seed: {"No": np.zeros((2, 2), np.uint8)}, "a picture needs a name of a-z"),
    ],
)
def test_pictures_that_fail_cost_no_trial(pictures: Any, message: str, digits: Dataset) -> None:
    task = replace(QUICK, protocol=replace(SHORT, epochs=1, images=64), pictures=pictures)
    result = run_trial(task, QUICK_PARAMS, digits.training, seed=1)
    assert (result.state, result.pictures) == ("complete", None)
    assert result.message is not None
    assert message in result.message


def test_a_trial_comes_to_the_same_score_again(vae_run: TrialRun, digits: Dataset) -> None:
    again = run_trial(QUICK, QUICK_PARAMS, digits.training, seed=3)
    assert again.history == vae_run.result.history
    assert again.errors == vae_run.result.errors


def test_kept_weights_are_known_by_their_score(vae_run: TrialRun, digits: Dataset) -> None:
    assert vae_run.model is not None
    kept = [np.asarray(weight) for weight in vae_run.model.get_weights()]
    scored = weights.scored_model(QUICK, trial(vae_run), digits.training, kept)
    assert scored is not None
    test = finalist.score(QUICK, trial(vae_run), digits.training, digits.test, kept)
    assert test.val_score == vae_run.result.score
    assert test.errors is not None
    assert unpack(test.errors).mean() == pytest.approx(test.metrics["test_negative_elbo"], rel=1e-5)
    assert test.metrics["test_importance_bound"] < test.metrics["test_negative_elbo"]
    assert {"test_kid", "test_recall"} <= test.metrics.keys()


def test_an_adversarial_network_is_scored_by_its_samples_and_its_average_weights_resume(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_scores, "ALIKE", 0.0)  # two epochs draw nothing yet
    params = {**PLAYERS, "average": 0.9, "critic_steps": 2}
    whole = TrialRun(OF_DIGITS, params, digits.training, seed=1)
    list(whole)
    assert whole.result.state == "complete", whole.result.message
    assert whole.result.score == min(epoch["val_kid"] for epoch in whole.result.history)
    assert whole.result.errors is None  # a distance of sets is the mean of nothing
    begun = TrialRun(OF_DIGITS, params, digits.training, seed=1)
    next(iter(begun))
    resumed = TrialRun(OF_DIGITS, params, digits.training, seed=1, start=begun.checkpoint())
    list(resumed)
    assert resumed.result.history == whole.result.history


def test_samples_that_are_all_alike_are_no_result(digits: Dataset) -> None:
    one_step = replace(OF_DIGITS, protocol=replace(SHORT, epochs=1, images=64, precision="mixed_bfloat16"))
    params = {**PLAYERS, "adversarial_loss": "hinge", "spectral_normalization": True, "label_smoothing": 0.0}
    result = run_trial(one_step, params, digits.training, seed=1)
    assert (result.state, result.reason, result.score) == ("failed", "collapsed", None)
    assert result.message is not None
    assert result.message.startswith("its samples are all alike: their variance is ")
    assert math.isfinite(result.history[0]["val_loss"])  # in half precision too


def test_an_autoencoder_has_a_front_of_errors_and_latents(digits: Dataset) -> None:
    task = replace(generative.MNIST_CAE, name="digits-cae", dataset="digits", protocol=replace(SHORT, epochs=1))
    params = {**task.baseline, **SMALL}
    result = run_trial(task, params, digits.training, seed=1, further_objectives=task.further_objectives)
    assert result.state == "complete", result.message
    assert result.metrics["val_latent_dim"] == 4
    assert result.errors is not None
    assert unpack(result.errors).mean() == pytest.approx(result.score, rel=1e-5)


def test_the_tasks_name_the_classifiers_that_are_shipped() -> None:
    assert {data: features.name_of(data) for data in generative.FEATURES} == generative.FEATURES


def test_a_task_says_that_it_looks_for_a_front() -> None:
    fronts = {task.name: [each.metric for each in task.objectives] for task in catalog.TASKS if task.further_objectives}
    assert fronts == {
        "mnist-cae": ["val_reconstruction", "val_latent_dim"],
        "mnist-vae-beta": ["val_distortion", "val_rate"],
        "fashion-mnist-cae": ["val_reconstruction", "val_latent_dim"],
        "fashion-mnist-vae-beta": ["val_distortion", "val_rate"],
    }
    task = generative.MNIST_CAE
    assert replace(task, further_objectives=()).digest() != task.digest()


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        (("val_rate",), "further_objectives needs values of type Objective; got 'val_rate'"),
        ((Objective("val_negative_elbo", "minimize"),), "the objective val_negative_elbo is there 2 times"),
    ],
)
def test_further_objectives_are_checked(objectives: tuple[Any, ...], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        replace(QUICK, further_objectives=objectives)

"""Scores of samples by a shipped network: real images beside themselves, a dropped class, one repeated image."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from tune_jobs.models.generative import features, sample_scores, set_distances
from tune_jobs.models.generative.sample_scores import SampleScores, why_collapsed

PIXELS, LABELS = load_digits(return_X_y=True)
DIGITS = np.rint(PIXELS * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
ORDER = np.random.default_rng(0).permutation(len(DIGITS))  # they come writer by writer
REAL, OTHERS, CLASSES = DIGITS[ORDER[:400]], DIGITS[ORDER[400:800]], LABELS[ORDER[400:800]]


@pytest.fixture(scope="module")
def network() -> features.FeatureNetwork:
    return features.load(features.name_of("digits"))


def scored(network: features.FeatureNetwork, drawn: np.ndarray) -> dict[str, float]:
    """The scores of a model that draws these images, one after the other."""
    images = iter(drawn.astype(np.float32) / 255)
    return SampleScores(network).scores(lambda noise: np.stack([next(images) for _ in noise]), 2, REAL[: len(drawn)])


def test_a_shipped_network_knows_its_classes(network: features.FeatureNetwork) -> None:
    seen, classes = network.see(DIGITS.astype(np.float32) / 255)
    assert seen.shape == (1797, 64)
    assert np.square(seen).mean() == pytest.approx(1, abs=0.1)
    assert (classes == LABELS).mean() > 0.95


def test_other_real_images_are_as_good_as_can_be(network: features.FeatureNetwork) -> None:
    scores = scored(network, OTHERS)
    assert abs(scores["kid"]) < 3 * scores["kid_error"]
    assert min(scores["precision"], scores["recall"]) > 0.7
    assert scores["classes"] == 1
    assert 0.8 < scores["diversity"] < 1.25


@pytest.mark.parametrize(("n", "share"), [(9, 0.9), (5, 0.5)])
def test_without_some_classes_their_share_is_missing(network: features.FeatureNetwork, n: int, share: float) -> None:
    assert scored(network, OTHERS[np.isin(CLASSES, np.arange(n))])["classes"] == pytest.approx(share)


@pytest.mark.slow
def test_without_half_of_the_classes_samples_are_far_from_real_ones(network: features.FeatureNetwork) -> None:
    half = OTHERS[np.isin(CLASSES, np.arange(5))]
    scores, whole = scored(network, half), scored(network, OTHERS[: len(half)])
    assert scores["recall"] < whole["recall"] - 0.15
    assert scores["frechet"] > 1.2 * whole["frechet"]
    assert scores["kid"] > whole["kid"] + 2 * scores["kid_error"]


def test_one_repeated_image_is_a_collapse(network: features.FeatureNetwork) -> None:
    scores = scored(network, np.repeat(REAL[:1], 400, axis=0))
    assert scores["classes"] == 0.1
    message = why_collapsed({f"val_{name}": value for name, value in scores.items()})
    assert message is not None
    assert "its samples are all alike" in message
    assert why_collapsed({"val_diversity": 0.5}) is None
    assert why_collapsed({"val_loss": 0.5}) is None


@pytest.mark.slow
def test_scores_repeat_and_are_those_of_the_features(network: features.FeatureNetwork) -> None:
    def decode(noise: np.ndarray) -> Any:
        return np.clip(noise.mean(axis=1).reshape(-1, 1, 1, 1) + np.linspace(0, 1, 64).reshape(8, 8, 1), 0, 1)

    first, second = (SampleScores(network).scores(decode, 3, REAL) for _ in range(2))
    assert first == second
    drawn, _ = network.see(sample_scores.draw(decode, 3, 400).astype(np.float32))
    real, _ = network.see(REAL.astype(np.float32) / 255)
    assert first["frechet"] == set_distances.frechet_distance(real, drawn)


def test_no_more_images_count_than_are_needed(
    network: features.FeatureNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_scores, "IMAGES", 50)
    drawn = []

    def decode(noise: np.ndarray) -> Any:
        drawn.append(len(noise))
        return np.zeros((len(noise), 8, 8, 1), np.float32)

    SampleScores(network).scores(decode, 2, REAL)
    assert drawn == [50]


def test_a_networks_name_changes_with_its_weights() -> None:
    arrays = [np.arange(4, dtype=np.float16), np.ones((2, 2))]
    other = [arrays[0], arrays[1] + [[0, 0], [0, 1e-9]]]
    assert features.digest(arrays) != features.digest(other)


def test_a_written_network_is_read_again(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "FOLDER", tmp_path)
    keras.utils.set_random_seed(0)
    model = features.build((4, 4, 1), 3)
    features.write("squares", (4, 4, 1), model)
    images = np.random.default_rng(0).random((5, 4, 4, 1), dtype=np.float32)
    seen, _ = features.load(features.name_of("squares")).see(images)
    np.testing.assert_allclose(seen, model(images)[0], rtol=1e-2, atol=1e-3)  # half precision

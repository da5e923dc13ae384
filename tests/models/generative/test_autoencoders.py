"""Autoencoders and variational ones: their numbers against plain computations, and what they refuse."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats

from tune_jobs.models.generative import autoencoder, likelihoods, vae
from tune_jobs.models.generative.vae_model import EVALUATION_SEED

SMALL = {"input_shape": (8, 8, 1), "latent_dim": 3, "filters": 4, "depth": 2, "upsampling": 1}
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), dtype=np.uint8)
LOGITS = np.random.default_rng(1).normal(size=IMAGES.shape).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> Any:
    keras.utils.set_random_seed(0)
    return vae.build(**SMALL)


def array(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("log_scale", [-1.0, 0.5])
def test_likelihoods_are_those_of_scipy(log_scale: float) -> None:
    x, mean, scale = IMAGES / 255, scipy.special.expit(LOGITS.astype(float)), np.exp(log_scale)
    expected = {
        "bernoulli": -(scipy.special.xlogy(x, mean) + scipy.special.xlog1py(1 - x, -mean)),
        "gaussian": -scipy.stats.norm.logpdf(x, mean, scale),
        "l1": -scipy.stats.laplace.logpdf(x, mean, scale),
    }
    floats = likelihoods.as_floats(IMAGES)
    for likelihood in likelihoods.LIKELIHOODS:
        found = likelihoods.negative_log_likelihood(likelihood, LOGITS, floats, log_scale)
        np.testing.assert_allclose(array(found), expected[likelihood].sum(axis=(1, 2, 3)), rtol=1e-5)


def test_a_density_is_never_finer_than_a_step_of_a_pixel() -> None:
    floats = likelihoods.as_floats(IMAGES)
    at, below = (
        array(likelihoods.negative_log_likelihood("gaussian", LOGITS, floats, np.float32(np.log(scale))))
        for scale in (1 / 255, 1e-6)
    )
    np.testing.assert_allclose(at, below, rtol=1e-5)


@pytest.mark.slow
def test_the_bound_is_that_of_two_normal_distributions(model: Any) -> None:
    mean, log_variance = np.split(array(model.encoder(IMAGES)).astype(float), 2, axis=1)
    rate = -0.5 * (1 + log_variance - mean**2 - np.exp(log_variance)).sum(axis=1)  # Kingma and Welling, appendix B
    noise = array(keras.random.normal((6, 3), seed=EVALUATION_SEED))
    latents = (mean + np.exp(0.5 * log_variance) * noise).astype(np.float32)
    probabilities, x = scipy.special.expit(array(model.decoder(latents)).astype(float)), IMAGES / 255
    distortion = -(x * np.log(probabilities) + (1 - x) * np.log(1 - probabilities)).sum(axis=(1, 2, 3))
    scored = model.evaluate(IMAGES, np.zeros(6), batch_size=6, verbose=0, return_dict=True)
    assert scored["rate"] == pytest.approx(rate.mean(), rel=1e-4)
    assert scored["distortion"] == pytest.approx(distortion.mean(), rel=1e-4)
    assert scored["negative_elbo"] == pytest.approx((rate + distortion).mean(), rel=1e-4)
    np.testing.assert_allclose(array(model.image_errors(IMAGES)), rate + distortion, rtol=1e-4)


def test_the_importance_bound_is_a_mean_of_weights(model: Any) -> None:
    mean, log_variance = np.split(array(model.encoder(IMAGES)).astype(float), 2, axis=1)
    deviation, weights = np.exp(0.5 * log_variance), []
    for draw in range(4):
        latents = mean + deviation * array(keras.random.normal((6, 3), seed=EVALUATION_SEED + draw))
        logits = array(model.decoder(latents.astype(np.float32)))
        log_likelihood = -array(likelihoods.negative_log_likelihood("bernoulli", logits, likelihoods.as_floats(IMAGES)))
        log_ratio = scipy.stats.norm.logpdf(latents) - scipy.stats.norm.logpdf(latents, mean, deviation)
        weights.append(np.exp(log_likelihood + log_ratio.sum(axis=1)))
    expected = -np.log(np.mean(weights, axis=0))
    np.testing.assert_allclose(array(model.importance_bound(IMAGES, 4)), expected, rtol=1e-4)


def test_with_a_posterior_like_the_prior_and_a_deaf_decoder_all_bounds_are_the_likelihood() -> None:
    model = vae.build(**SMALL)
    for weight in model.weights:
        weight.assign(keras.ops.zeros_like(weight))
    expected = 64 * np.log(2)  # each pixel is white with probability 1/2
    np.testing.assert_allclose(array(model.image_errors(IMAGES)), expected, rtol=1e-5)
    np.testing.assert_allclose(array(model.importance_bound(IMAGES, 3)), expected, rtol=1e-5)


@pytest.mark.slow
def test_a_model_reconstructs_and_counts_its_squared_errors() -> None:
    model = autoencoder.build(**SMALL, likelihood="l1")
    drawn = array(model(IMAGES))
    assert drawn.shape == IMAGES.shape
    assert 0 < drawn.min() < drawn.max() < 1
    errors = ((drawn - IMAGES / 255) ** 2).mean(axis=(1, 2, 3))
    scored = model.evaluate(IMAGES, np.zeros(6), verbose=0, return_dict=True)
    assert scored["reconstruction"] == pytest.approx(errors.mean(), rel=1e-4)
    np.testing.assert_allclose(array(model.image_errors(IMAGES)), errors, rtol=1e-4)
    np.testing.assert_array_equal(array(model.decode(model.encode(IMAGES))), drawn)


@pytest.mark.parametrize(("warmup_steps", "share"), [(0, 1.0), (4, 0.25)])
def test_beta_grows_with_the_steps_and_is_whole_in_an_evaluation(warmup_steps: int, share: float) -> None:
    model = vae.build(**SMALL, beta=3.0, warmup_steps=warmup_steps)
    for training, factor in ((True, share), (False, 1.0)):
        model.reset_metrics()
        loss = float(model.compute_loss(x=IMAGES, training=training))
        parts = model.get_metrics_result()
        expected = float(parts["distortion"]) + 3.0 * factor * float(parts["rate"])
        assert loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_the_scale_of_a_density_is_trained() -> None:
    model = vae.build(**SMALL, likelihood="gaussian", learning_rate=0.01)
    model.run_eagerly = True  # a trace takes longer
    before = float(model.log_scale)
    model.fit(IMAGES, np.zeros(6), epochs=3, verbose=0)
    assert float(model.log_scale) > before + 0.01  # noise is coarser than the first scale


@pytest.mark.parametrize(
    ("shape", "upsampling"), [((28, 28, 1), 1), ((28, 28, 1), 3), ((64, 64, 3), 4), ((7, 9, 2), 2)]
)
def test_reconstructions_have_the_shape_of_the_images(shape: tuple[int, int, int], upsampling: int) -> None:
    model = autoencoder.build(input_shape=shape, filters=2, depth=2, upsampling=upsampling, latent_dim=2)
    assert model.decoder.output_shape == (None, *shape)


def test_the_reports_network_has_four_convolutions_and_one_transposed() -> None:
    model = autoencoder.build(input_shape=(28, 28, 1))
    kinds = [type(layer).__name__ for half in (model.encoder, model.decoder) for layer in half.layers]
    assert kinds[:7].count("Conv2D") == 4
    assert kinds.count("Conv2DTranspose") == 1
    assert model.latent_dim == 32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 5}, "depth=5 halves images of 8 x 8 pixels after they are one pixel wide: use less depth"),
        ({"upsampling": 5}, "upsampling=5 halves images"),
        ({"likelihood": "poisson"}, "likelihood must be one of bernoulli, gaussian, l1; got 'poisson'"),
        ({"latent_dim": 0}, "latent_dim must be a whole number of at least 1; got 0"),
        ({"beta": 0}, "beta must be a finite number above 0; got 0"),
        ({"warmup_steps": -1}, "warmup_steps must be a whole number of at least 0; got -1"),
        ({"features": "letters"}, "features must be those of butterflies, digits"),
        ({"features": "digits-00000000"}, "samples were scored by the features digits-00000000, and this version"),
    ],
)
def test_impossible_arguments_are_refused_in_one_line(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vae.build(**(SMALL | arguments))

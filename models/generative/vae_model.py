"""A variational autoencoder as a Keras model with its own loss."""

from __future__ import annotations

import functools
import math
from typing import Any

import keras
import numpy as np

from tune_jobs.models.generative.autoencoder_model import Autoencoder
from tune_jobs.models.generative.likelihoods import as_floats, negative_log_likelihood, squared_error
from tune_jobs.models.generative.sample_scores import SampleScores, sample_scores_of

EVALUATION_SEED = 0  # all trials are scored with the same noise
DRAWS = 50  # of the importance-weighted bound
_BATCH = 500  # images
FIRST_SCALE = 0.1  # of a Gaussian or L1 likelihood, before it is trained


@keras.saving.register_keras_serializable(package="tune_jobs")
class VariationalAutoencoder(Autoencoder):
    """An autoencoder with a normal distribution of latents for each image, and a standard normal prior."""

    has_prior = True
    image_metric = "negative_elbo"

    def __init__(self, *, beta: float, warmup_steps: int, features: str, **kwargs: Any) -> None:
        super().__init__(**{"name": "vae", **kwargs})
        self.beta, self.warmup_steps, self.features = beta, warmup_steps, features

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the noise, what counts the steps, the scale of the likelihood if it has one, and the metrics."""
        self.noise = keras.random.SeedGenerator()
        self.rate, self.distortion = (keras.metrics.Mean(name=name) for name in ("rate", "distortion"))
        self.negative_elbo = keras.metrics.Mean(name="negative_elbo")
        self.trained_steps = self.add_weight(name="trained_steps", initializer="zeros", trainable=False)
        if self.likelihood != "bernoulli":
            first = keras.initializers.Constant(math.log(FIRST_SCALE))
            self.log_scale = self.add_weight(name="log_scale", initializer=first)
        super().build(input_shape)

    def encode(self, images: Any) -> Any:
        """Return the mean of each image's latents, `(B, latent_dim)`."""
        return self._distribution(images)[0]

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return distortion plus beta times rate, the mean over the images, and count both."""
        images, (latents, rate) = as_floats(x), self._drawn(x, self.noise if training else EVALUATION_SEED)
        logits = self.decoder(latents)
        distortion = self._improbability(logits, images)
        self.reconstruction.update_state(squared_error(keras.ops.sigmoid(logits), images))
        for metric, values in (
            (self.rate, rate),
            (self.distortion, distortion),
            (self.negative_elbo, distortion + rate),
        ):
            metric.update_state(values)
        return keras.ops.mean(distortion + self._beta_now(training) * rate)

    def image_errors(self, images: Any) -> Any:
        """Return the negative ELBO of each image, `(B,)` nats, as an evaluation of this batch counts it."""
        latents, rate = self._drawn(images, EVALUATION_SEED)
        return self._improbability(self.decoder(latents), as_floats(images)) + rate

    def importance_bound(self, images: Any, draws: int) -> Any:
        """Return the negative importance-weighted bound of each image, `(B,)` nats (Burda et al. 2016).

        It is at most the negative ELBO on average, and comes nearer to the negative log-likelihood with more `draws`.
        """
        ops, floats, logs = keras.ops, as_floats(images), []
        mean, log_variance = self._distribution(images)
        for draw in range(draws):
            noise = keras.random.normal(ops.shape(mean), seed=EVALUATION_SEED + draw)
            latents = mean + ops.exp(0.5 * log_variance) * noise
            log_ratio = 0.5 * ops.sum(noise**2 + log_variance - latents**2, axis=-1)  # log prior - log posterior
            logs.append(log_ratio - self._improbability(self.decoder(latents), floats))
        return math.log(draws) - ops.logsumexp(ops.stack(logs), axis=0)

    def further_scores(self, images: Any, *, thorough: bool = False) -> dict[str, float]:
        """Return the scores of samples, beside real images `(N, H, W, C)`, uint8, if samples are scored.

        A `thorough` look, as `evaluate` takes, adds the importance-weighted bound.
        """
        found = {} if self._samples is None else self._samples.scores(self.decode, self.latent_dim, images)
        if thorough:
            parts = [images[first : first + _BATCH] for first in range(0, len(images), _BATCH)]
            bounds = [keras.ops.convert_to_numpy(self.importance_bound(part, DRAWS)) for part in parts]
            found["importance_bound"] = float(np.concatenate(bounds).mean())
        return found

    @functools.cached_property
    def _samples(self) -> SampleScores | None:
        return sample_scores_of(self.features)

    def _drawn(self, images: Any, seed: Any) -> tuple[Any, Any]:
        """Return a latent drawn for each image, `(B, latent_dim)`, and the rate of each, `(B,)` nats."""
        mean, log_variance = self._distribution(images)
        latents = mean + keras.ops.exp(0.5 * log_variance) * keras.random.normal(keras.ops.shape(mean), seed=seed)
        return latents, 0.5 * keras.ops.sum(mean**2 + keras.ops.exp(log_variance) - 1 - log_variance, axis=-1)

    def _distribution(self, images: Any) -> tuple[Any, Any]:
        """Return mean and logarithm of the variance of each image's latents, `(B, latent_dim)` each."""
        mean, log_variance = keras.ops.split(self.encoder(images), 2, axis=-1)
        return mean, log_variance

    def _improbability(self, logits: Any, images: Any) -> Any:
        log_scale = 0.0 if self.likelihood == "bernoulli" else self.log_scale
        return negative_log_likelihood(self.likelihood, logits, images, log_scale)

    def _beta_now(self, training: bool) -> Any:
        if not training or not self.warmup_steps:
            return self.beta
        self.trained_steps.assign_add(1.0)
        return self.beta * keras.ops.minimum(self.trained_steps / self.warmup_steps, 1.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta": self.beta, "warmup_steps": self.warmup_steps, "features": self.features}

"""An adversarial network as a Keras model with its own loss.

The loss is the sum of the critic's and the generator's. No gradient of the one reaches the weights of the other, so one
backward pass has both, as if each had been computed alone.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import keras

from tune_jobs.models.generative.critic import Critic, Kernels
from tune_jobs.models.generative.likelihoods import as_floats
from tune_jobs.models.generative.sample_scores import SampleScores, sample_scores_of, why_collapsed

EVALUATION_SEED = 0  # all trials are scored with the same noise
PENALTY = 10.0  # Gulrajani et al. 2017


@keras.saving.register_keras_serializable(package="tune_jobs")
class GenerativeAdversarialNetwork(keras.Model):  # type: ignore[misc]  # Keras comes without types
    """Images `(B, H, W, C)`, uint8, to how real its critic finds them, `(B, 1)`; `decode` draws images from noise."""

    has_prior = True
    evaluation_batch = 500  # images: noise that is drawn for a batch is the same whatever a trial trains in

    def __init__(
        self,
        *,
        generator: keras.Model,
        critic: Critic,
        adversarial_loss: str,
        label_smoothing: float,
        features: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"name": "gan", **kwargs})
        self.generator, self.critic = generator, critic
        self.adversarial_loss, self.label_smoothing = adversarial_loss, label_smoothing
        self.features = features
        self.latent_dim: int = generator.input_shape[-1]
        self.noise = keras.random.SeedGenerator()
        self.critic_loss, self.generator_loss = (
            keras.metrics.Mean(name=f"{name}_loss") for name in ("critic", "generator")
        )
        self.build((None, *critic.image_shape))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Say that all is created: both networks are built."""
        self.built = True

    def call(self, images: Any) -> Any:
        """Return how real the critic finds images, `(B, 1)`."""
        return self.critic(as_floats(images))

    def decode(self, latents: Any) -> Any:
        """Return the images of latents, `(B, H, W, C)` from 0 to 1."""
        return keras.ops.sigmoid(self.generator(latents))

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the sum of both losses, each the mean over a batch of real images and as many drawn ones."""
        images, kernels = as_floats(x), self.critic.kernels_now(training=training)
        shape, seed = (keras.ops.shape(images)[0], self.latent_dim), self.noise if training else EVALUATION_SEED
        drawn = self.decode(keras.random.normal(shape, seed=seed))
        critic_losses = self._critic_losses(images, keras.ops.stop_gradient(drawn), kernels, seed)
        generator_losses = self._generator_losses(self.critic.rate(drawn, kernels, is_frozen=True))
        self.critic_loss.update_state(critic_losses)
        self.generator_loss.update_state(generator_losses)
        return keras.ops.mean(critic_losses) + keras.ops.mean(generator_losses)

    def _critic_losses(self, images: Any, drawn: Any, kernels: Kernels, seed: Any) -> Any:
        """Return the critic's loss, `(B, 1)`: of one real image and one drawn image each."""
        ops, smoothing = keras.ops, self.label_smoothing
        real, fake = (self.critic.rate(some, kernels) for some in (images, drawn))
        if self.adversarial_loss == "hinge":
            return ops.relu(1 - real) + ops.relu(1 + fake)
        if self.adversarial_loss == "non-saturating":
            return (1 - smoothing) * ops.softplus(-real) + smoothing * ops.softplus(real) + ops.softplus(fake)
        share = keras.random.uniform((ops.shape(images)[0], 1, 1, 1), seed=seed)
        slopes = self.critic.slopes(share * images + (1 - share) * drawn, kernels)
        return fake - real + PENALTY * ops.expand_dims(ops.square(slopes - 1), -1)

    def _generator_losses(self, fake: Any) -> Any:
        return keras.ops.softplus(-fake) if self.adversarial_loss == "non-saturating" else -fake

    def further_scores(self, images: Any, *, thorough: bool = False) -> dict[str, float]:
        """Return the scores of samples, beside real images `(N, H, W, C)`, uint8, if samples are scored."""
        return {} if self._samples is None else self._samples.scores(self.decode, self.latent_dim, images)

    @functools.cached_property
    def _samples(self) -> SampleScores | None:
        return sample_scores_of(self.features)

    def why_failed(self, metrics: Mapping[str, float]) -> str | None:
        """Return in words that the samples of an epoch with these metrics are all alike; None if they are not."""
        return why_collapsed(metrics)

    def bare(self) -> GenerativeAdversarialNetwork:
        """Return a copy that is not compiled, as it is saved: without an optimizer."""
        copy = type(self).from_config(self.get_config())
        copy.set_weights(self.get_weights())
        return copy

    def get_config(self) -> dict[str, Any]:
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in ("generator", "critic")}
        settings = {"adversarial_loss": self.adversarial_loss, "label_smoothing": self.label_smoothing}
        settings["features"] = self.features
        return {"name": self.name, **parts, **settings}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> GenerativeAdversarialNetwork:
        parts = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
            for name in ("generator", "critic")
        }
        return cls(**{**config, **parts})

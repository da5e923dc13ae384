"""An autoencoder as a Keras model with its own loss. Builders import this module when called, since it needs Keras."""

from __future__ import annotations

from typing import Any

import keras

from tune_jobs.models.generative.likelihoods import as_floats, negative_log_likelihood, squared_error


@keras.saving.register_keras_serializable(package="tune_jobs")
class Autoencoder(keras.Model):  # type: ignore[misc]  # Keras comes without types
    """Images `(B, H, W, C)`, uint8, to reconstructions from 0 to 1, through latents `(B, latent_dim)`."""

    has_prior = False  # nothing says how its latents are distributed, so it cannot be sampled from
    image_metric = "reconstruction"  # the metric that `image_errors` has the parts of
    evaluation_batch = 500  # images: noise that is drawn for a batch is the same whatever a trial trains in

    def __init__(self, *, encoder: keras.Model, decoder: keras.Model, likelihood: str, **kwargs: Any) -> None:
        super().__init__(**{"name": "autoencoder", **kwargs})
        self.encoder, self.decoder, self.likelihood = encoder, decoder, likelihood
        self.latent_dim: int = decoder.input_shape[-1]
        self.reconstruction = keras.metrics.Mean(name="reconstruction")
        self.build(encoder.input_shape)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Say that all is created: both halves are built."""
        self.built = True

    def call(self, images: Any) -> Any:
        """Return reconstructions `(B, H, W, C)`, float32 from 0 to 1."""
        return self.decode(self.encode(images))

    def encode(self, images: Any) -> Any:
        """Return the latents of images, `(B, latent_dim)`."""
        return self.encoder(images)

    def decode(self, latents: Any) -> Any:
        """Return the images of latents, `(B, H, W, C)` from 0 to 1."""
        return keras.ops.sigmoid(self.decoder(latents))

    def compute_loss(self, x: Any = None, *_: Any, **__: Any) -> Any:
        """Return the mean of the negative log-likelihood of images, and count their reconstruction errors."""
        images, logits = as_floats(x), self.decoder(self.encode(x))
        self.reconstruction.update_state(squared_error(keras.ops.sigmoid(logits), images))
        return keras.ops.mean(negative_log_likelihood(self.likelihood, logits, images))

    def image_errors(self, images: Any) -> Any:
        """Return the mean squared error of each image, `(B,)`."""
        return squared_error(self(images), as_floats(images))

    def further_scores(self, images: Any, *, thorough: bool = False) -> dict[str, float]:
        """Return the number of latents, against which reconstructions are weighed."""
        return {"latent_dim": float(self.latent_dim)}

    def bare(self) -> Autoencoder:
        """Return a copy that is not compiled, as it is saved: without an optimizer."""
        copy = type(self).from_config(self.get_config())
        copy.set_weights(self.get_weights())
        return copy

    def get_config(self) -> dict[str, Any]:
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in ("encoder", "decoder")}
        return {"name": self.name, **parts, "likelihood": self.likelihood}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Autoencoder:
        parts = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
            for name in ("encoder", "decoder")
        }
        return cls(**{**config, **parts})

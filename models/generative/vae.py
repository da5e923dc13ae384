"""Variational autoencoders: an autoencoder whose latents have a distribution, so that new images can be drawn.

Kingma and Welling 2014, Auto-Encoding Variational Bayes; with beta, Higgins et al. 2017.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tune_jobs.models import arguments, optimizers
from tune_jobs.models.generative import likelihoods, networks

if TYPE_CHECKING:
    from tune_jobs.models.generative.vae_model import VariationalAutoencoder


def build(
    *,
    input_shape: tuple[int, int, int],
    latent_dim: int = 32,
    filters: int = 32,
    depth: int = 4,
    upsampling: int = 1,
    kernel_size: int = 3,
    likelihood: str = "bernoulli",
    beta: float = 1.0,
    warmup_steps: int = 0,
    features: str = "none",
    optimizer: str = "adam",
    learning_rate: float = 1e-3,
) -> VariationalAutoencoder:
    """Build a compiled variational autoencoder; its two halves are those of `autoencoder.build`.

    The loss is distortion plus `beta` times rate. `beta` grows from 0 over the first `warmup_steps` training steps.
    Metrics are of an image, in nats: `distortion`, the negative log-likelihood at a latent that is drawn; `rate`, the
    divergence of the latents' distribution from the prior; `negative_elbo`, their sum, whatever `beta` is. A Gaussian
    or L1 likelihood has one scale for all pixels, which is trained. `features` names a network of `features.py` by
    which samples are scored too.

    Raises:
        ValueError: an argument is not allowed, or the images are too small.
    """
    from tune_jobs.models.generative import sample_scores
    from tune_jobs.models.generative.vae_model import VariationalAutoencoder

    arguments.one_of("likelihood", likelihood, likelihoods.LIKELIHOODS)
    arguments.positive("beta", beta)
    arguments.whole("warmup_steps", warmup_steps, at_least=0)
    sample_scores.sample_scores_of(features)
    networks.check(
        input_shape,
        latent_dim=latent_dim,
        filters=filters,
        depth=depth,
        upsampling=upsampling,
        kernel_size=kernel_size,
    )
    model = VariationalAutoencoder(
        encoder=networks.encoder(input_shape, 2 * latent_dim, filters=filters, depth=depth, kernel_size=kernel_size),
        decoder=networks.decoder(
            input_shape, latent_dim, filters=filters, upsampling=upsampling, kernel_size=kernel_size
        ),
        likelihood=likelihood,
        beta=beta,
        warmup_steps=warmup_steps,
        features=features,
    )
    steps = optimizers.build(steps_per_epoch=1, epochs=1, optimizer=optimizer, learning_rate=learning_rate)
    model.compile(optimizer=steps, jit_compile=False)
    return model

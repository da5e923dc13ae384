"""Convolutional autoencoders: images squeezed through a few numbers, and drawn again from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tune_jobs.models import arguments, optimizers
from tune_jobs.models.generative import likelihoods, networks

if TYPE_CHECKING:
    from tune_jobs.models.generative.autoencoder_model import Autoencoder


def build(
    *,
    input_shape: tuple[int, int, int],
    latent_dim: int = 32,
    filters: int = 32,
    depth: int = 4,
    upsampling: int = 1,
    kernel_size: int = 3,
    likelihood: str = "bernoulli",
    optimizer: str = "adam",
    learning_rate: float = 1e-3,
) -> Autoencoder:
    """Build a compiled autoencoder of `depth` convolutions and `upsampling` transposed ones, of `filters` each.

    The model maps images `(B, H, W, C)`, uint8, to reconstructions of the same shape, floats from 0 to 1. It is trained
    by a likelihood of `likelihoods.py`, at a scale of 1. Its metric `reconstruction` is the mean squared error of an
    image, whatever the likelihood.

    Raises:
        ValueError: an argument is not allowed, or the images are too small.
    """
    from tune_jobs.models.generative.autoencoder_model import Autoencoder

    arguments.one_of("likelihood", likelihood, likelihoods.LIKELIHOODS)
    networks.check(
        input_shape,
        latent_dim=latent_dim,
        filters=filters,
        depth=depth,
        upsampling=upsampling,
        kernel_size=kernel_size,
    )
    model = Autoencoder(
        encoder=networks.encoder(input_shape, latent_dim, filters=filters, depth=depth, kernel_size=kernel_size),
        decoder=networks.decoder(
            input_shape, latent_dim, filters=filters, upsampling=upsampling, kernel_size=kernel_size
        ),
        likelihood=likelihood,
    )
    steps = optimizers.build(steps_per_epoch=1, epochs=1, optimizer=optimizer, learning_rate=learning_rate)
    model.compile(optimizer=steps, jit_compile=False)
    return model

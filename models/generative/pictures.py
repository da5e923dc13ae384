"""What a trial of a generative network shows: reconstructions, samples beside the images next to them, and walks."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tune_jobs.models.generative import latents, sample_scores, set_distances

Array = NDArray[Any]
COLUMNS: Final = 8
WALKED: Final = (1, 2)  # coordinates, each in rows of its own
_SEARCHED: Final = 10_000  # training images, at most, among which the nearest one is looked for


def pictures(model: Any, data: Any, seed: int) -> dict[str, Array]:
    """Return what a model draws, by names, as arrays `(H, W, C)` of uint8.

    `reconstructions` has eight validation images over what the model makes of them, `samples` 64 images drawn from
    noise, `nearest` eight of them over the training image that is nearest to each in its pixels, `walk` two samples of
    which one coordinate changes from left to right, and then another. What a model cannot draw is left out.
    """
    drawn: dict[str, Array] = {}
    if hasattr(model, "encode"):
        images = data.validation.x[:COLUMNS]
        drawn["reconstructions"] = tiled(np.concatenate([images / 255, np.asarray(model(images))]))
    if model.has_prior:
        samples = sample_scores.draw(model.decode, model.latent_dim, COLUMNS**2, seed)
        drawn["samples"] = tiled(samples)
        drawn["nearest"] = tiled(np.concatenate([samples[:COLUMNS], _nearest(samples[:COLUMNS], data.train.x)]))
        drawn["walk"] = tiled(np.asarray(model.decode(_walks(model.latent_dim, seed))))
    return drawn


def tiled(images: Array, columns: int = COLUMNS) -> Array:
    """Return images `(N, H, W, C)` from 0 to 1 side by side, row after row, `(rows * H, columns * W, C)` of uint8."""
    n, height, width, channels = images.shape
    rows = -(-n // columns)
    pixels = np.zeros((rows * columns, height, width, channels), np.uint8)
    pixels[:n] = np.clip(np.rint(images * 255), 0, 255)
    grid = pixels.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    return grid.reshape(rows * height, columns * width, channels)


def _nearest(samples: Array, images: Array) -> Array:
    """Return the image nearest to each sample, from 0 to 1."""
    candidates = images[:_SEARCHED].astype(np.float32) / 255
    flat = [each.reshape(len(each), -1) for each in (samples, candidates)]
    found: Array = candidates[set_distances.squared_distances(*flat).argmin(axis=1)]
    return found


def _walks(latent_dim: int, seed: int) -> Array:
    coordinates = [coordinate for coordinate in WALKED if coordinate <= latent_dim]
    return np.concatenate([latents.walk(latent_dim, (each,), rows=2, steps=COLUMNS, seed=seed) for each in coordinates])

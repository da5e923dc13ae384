"""What a trial of a generative network shows: reconstructions, samples beside the images next to them, and walks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tune_jobs.models.generative import latents, sample_scores, set_distances

Array = NDArray[Any]
COLUMNS: Final = 8
GAP: Final = 1  # pixel between two images
_GREY: Final = 128
WALKS: Final = 4  # samples, each in a row of its own
_SEARCHED: Final = 10_000  # training images, at most, among which the nearest one is looked for


def in_training(model: Any, data: Any, seed: int) -> dict[str, Array]:
    """Return one small picture that shows how a training goes: `training`, of the same images and noise every time.

    It has eight validation images over what the model makes of them, and below 16 samples; what a model cannot draw is
    left out.
    """
    drawn = [*_reconstructions(model, data), *_samples(model, 2 * COLUMNS, seed)]
    return {"training": tiled(np.concatenate(drawn))}


def pictures(model: Any, data: Any, seed: int, walked: Sequence[int] = (1,)) -> dict[str, Array]:
    """Return what a model draws, by names, as arrays `(H, W, C)` of uint8.

    `reconstructions` has eight validation images over what the model makes of them, `samples` 64 images drawn from
    noise, `nearest` eight of them over the training image that is nearest to each in its pixels, `walk` four samples in
    which the coordinates `walked`, counted from 1, change together from left to right. What a model cannot draw is left
    out, and so are coordinates that it lacks; if it has none of them, the first one changes.
    """
    drawn: dict[str, Array] = {}
    if reconstructions := _reconstructions(model, data):
        drawn["reconstructions"] = tiled(np.concatenate(reconstructions))
    for samples in _samples(model, COLUMNS**2, seed):
        drawn["samples"] = tiled(samples)
        drawn["nearest"] = tiled(np.concatenate([samples[:COLUMNS], _nearest(samples[:COLUMNS], data.train.x)]))
        drawn["walk"] = tiled(np.asarray(model.decode(_walk(model.latent_dim, walked, seed))))
    return drawn


def _reconstructions(model: Any, data: Any) -> list[Array]:
    """Return eight validation images from 0 to 1 and what the model makes of them; nothing if it has no encoder."""
    if not hasattr(model, "encode"):
        return []
    images = data.validation.x[:COLUMNS]
    return [images / 255, np.asarray(model(images))]


def _samples(model: Any, n: int, seed: int) -> list[Array]:
    """Return images that the model draws from noise, of which fewer are the first of more; nothing if it cannot."""
    return [sample_scores.draw(model.decode, model.latent_dim, n, seed)] if model.has_prior else []


def tiled(images: Array, columns: int = COLUMNS) -> Array:
    """Return images `(N, H, W, C)` from 0 to 1 side by side, row after row, with a grey line between two of them:
    `(rows * (H + 1) - 1, columns * (W + 1) - 1, C)` of uint8."""
    n, height, width, channels = images.shape
    rows = -(-n // columns)
    pixels = np.full((rows * columns, height + GAP, width + GAP, channels), _GREY, np.uint8)
    pixels[:n, :height, :width] = np.clip(np.rint(images * 255), 0, 255)
    grid = pixels.reshape(rows, columns, height + GAP, width + GAP, channels).transpose(0, 2, 1, 3, 4)
    return grid.reshape(rows * (height + GAP), columns * (width + GAP), channels)[:-GAP, :-GAP]


def _nearest(samples: Array, images: Array) -> Array:
    """Return the image nearest to each sample, from 0 to 1."""
    candidates = images[:_SEARCHED].astype(np.float32) / 255
    flat = [each.reshape(len(each), -1) for each in (samples, candidates)]
    found: Array = candidates[set_distances.squared_distances(*flat).argmin(axis=1)]
    return found


def _walk(latent_dim: int, walked: Sequence[int], seed: int) -> Array:
    coordinates = [coordinate for coordinate in walked if coordinate <= latent_dim] or [1]
    return latents.walk(latent_dim, coordinates, rows=WALKS, steps=COLUMNS, seed=seed)

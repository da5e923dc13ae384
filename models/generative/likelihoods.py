"""How improbable a decoder finds images, in nats for each image.

A Bernoulli likelihood takes grey values for probabilities of white. It is no density of grey values, so its numbers
compare with each other and not with those of the two densities.
"""

from __future__ import annotations

import math
from typing import Any, Final

from tune_jobs.models.lazy_keras import keras

LIKELIHOODS: Final = ("bernoulli", "gaussian", "l1")
SMALLEST_SCALE: Final = 1 / 255  # one step of a pixel: a finer scale would only learn the steps


def as_floats(images: Any) -> Any:
    """Return images, uint8 from 0 to 255, as float32 from 0 to 1."""
    return keras.ops.cast(images, "float32") / 255


def negative_log_likelihood(likelihood: str, logits: Any, images: Any, log_scale: Any = 0.0) -> Any:
    """Return the negative logarithm of the likelihood of each image, `(B,)` nats, summed over its pixels.

    `logits` `(B, H, W, C)` are a decoder's, and `images`, of the same shape, are floats from 0 to 1. "bernoulli" is the
    cross-entropy. "gaussian" and "l1" are the normal and the Laplace distribution about the sigmoid of the logits;
    `log_scale` is the logarithm of the standard deviation, or of the mean absolute deviation.
    """
    ops = keras.ops
    if likelihood == "bernoulli":
        return _sums(ops.softplus(logits) - images * logits)
    log_scale = ops.maximum(log_scale, math.log(SMALLEST_SCALE))
    distance = (images - ops.sigmoid(logits)) / ops.exp(log_scale)
    if likelihood == "gaussian":
        return _sums(0.5 * ops.square(distance) + log_scale + 0.5 * math.log(2 * math.pi))
    return _sums(ops.abs(distance) + log_scale + math.log(2))


def squared_error(reconstructions: Any, images: Any) -> Any:
    """Return the mean squared error over the pixels of each image, `(B,)`; both are `(B, H, W, C)` from 0 to 1."""
    return keras.ops.mean(keras.ops.square(reconstructions - images), axis=(1, 2, 3))


def _sums(values: Any) -> Any:
    return keras.ops.sum(values, axis=(1, 2, 3))

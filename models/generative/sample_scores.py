"""How good the images are that a model draws from noise, beside real ones that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tune_jobs.models.generative import set_distances
from tune_jobs.models.generative.features import FeatureNetwork, load

Array = NDArray[Any]
IMAGES: Final = 2000  # of each kind, at most
ALIKE: Final = 0.01  # of the real images' variance: what has less is one image, repeated
_SEED: Final = 0  # all trials are scored by the same noise, against the same images
_BATCH: Final = 500


class SampleScores:
    """Scores images by the features of one network. It keeps what it saw of the real images for the next time."""

    def __init__(self, network: FeatureNetwork) -> None:
        self._network = network
        self._seen: tuple[Array, Array, Array] | None = None  # the real images, their features and classes

    def scores(self, decode: Callable[[Array], Any], latent_dim: int, images: Array) -> dict[str, float]:
        """Return the scores of images that `decode` makes of noise `(B, latent_dim)`, as many as there are real ones.

        `images` `(N, H, W, C)`, uint8, are real; at most `IMAGES` of them count. The scores are `kid` and its standard
        error `kid_error`, `frechet`, `precision`, `recall`, `classes` (the share of the classes that are drawn) and
        `diversity`.
        """
        real, real_classes = self._real(images)
        drawn, drawn_classes = self._network.see(draw(decode, latent_dim, len(real)))
        kid, error = set_distances.kernel_distance(real, drawn)
        precision, recall = set_distances.precision_and_recall(real, drawn)
        return {
            "kid": kid,
            "kid_error": error,
            "frechet": set_distances.frechet_distance(real, drawn),
            "precision": precision,
            "recall": recall,
            "classes": set_distances.class_coverage(real_classes, drawn_classes),
            "diversity": set_distances.diversity(real, drawn),
        }

    def _real(self, images: Array) -> tuple[Array, Array]:
        if self._seen is None or self._seen[0] is not images:
            chosen = images
            if len(images) > IMAGES:
                chosen = images[np.random.default_rng(_SEED).permutation(len(images))[:IMAGES]]
            self._seen = (images, *self._network.see(chosen.astype(np.float32) / 255))
        return self._seen[1:]


def sample_scores_of(features: str) -> SampleScores | None:
    """Return what scores samples by the network of `features.py` that has this name; None for "none".

    Raises:
        ValueError: there is no such network.
    """
    return None if features == "none" else SampleScores(load(features))


def draw(decode: Callable[[Array], Any], latent_dim: int, n: int, seed: int = _SEED) -> Array:
    """Return `n` images `(n, H, W, C)` from 0 to 1 that `decode` makes of standard normal noise."""
    noise = np.random.default_rng(seed).standard_normal((n, latent_dim), dtype=np.float32)
    return np.concatenate([np.asarray(decode(noise[first : first + _BATCH])) for first in range(0, n, _BATCH)])


def why_collapsed(metrics: Mapping[str, float]) -> str | None:
    """Return in words that the samples of an epoch are all alike, from its metrics; None if they are not scored so."""
    share = metrics.get("val_diversity")
    if share is None or share >= ALIKE:
        return None
    return f"its samples are all alike: their variance is {share:.2g} of that of the real images"

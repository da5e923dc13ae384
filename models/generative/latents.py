"""Points of a latent space to look at: walks along coordinates, and ways from one point to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SPAN: Final = 3.0  # a walk goes so many standard deviations to either side


def walk(latent_dim: int, coordinates: Sequence[int], *, rows: int, steps: int, seed: int) -> Array:
    """Return `(rows * steps, latent_dim)`: for each row a point drawn from a standard normal distribution, whose
    `coordinates`, counted from 1, go together from `-SPAN` to `SPAN`.

    Raises:
        ValueError: there is no such coordinate.
    """
    for coordinate in coordinates:
        if not 1 <= coordinate <= latent_dim:
            raise ValueError(f"the latents have the coordinates 1 to {latent_dim}; got {coordinate}")
    points = np.random.default_rng(seed).standard_normal((rows, 1, latent_dim), dtype=np.float32)
    points = np.repeat(points, steps, axis=1)
    points[:, :, [coordinate - 1 for coordinate in coordinates]] = np.linspace(-SPAN, SPAN, steps)[None, :, None]
    return points.reshape(rows * steps, latent_dim)


def between(first: Array, last: Array, steps: int) -> Array:
    """Return `(steps, latent_dim)` on the way from one point `(latent_dim,)` to another, both included.

    The direction turns at an even pace, and the length grows evenly (spherical interpolation, White 2016), so that no
    point is nearer to the middle than samples are. Where there is no angle between the two, the way is straight.
    """
    lengths = np.linalg.norm(first), np.linalg.norm(last)
    share = np.linspace(0, 1, steps)[:, None]
    straight: Array = (1 - share) * first + share * last
    if min(lengths) == 0:
        return straight
    units = first / lengths[0], last / lengths[1]
    angle = np.arccos(np.clip(units[0] @ units[1], -1, 1))
    if np.sin(angle) < 1e-6:
        return straight
    directions = (np.sin((1 - share) * angle) * units[0] + np.sin(share * angle) * units[1]) / np.sin(angle)
    way: Array = directions * ((1 - share) * lengths[0] + share * lengths[1])
    return way


def plane(points: Array) -> Array:
    """Return `(N, 2)`: points `(N, d)` in the plane of their two largest variances, if they have more than two."""
    if points.shape[1] <= 2:
        return np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    centred = points - points.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return np.asarray(centred @ axes[:2].T)

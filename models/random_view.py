"""Pictures seen from a slightly other place: turned, nearer or farther, shifted, in one resampling.

Keras has a layer for each of the three; one after the other they would blur a picture three times, and small ones
suffer from it. Imported where a network asks for it, since a layer's class needs Keras.
"""

from __future__ import annotations

import math
from typing import Any

import keras


class RandomView(keras.layers.Layer):  # type: ignore[misc]  # Keras comes without types
    """Each picture `(B, H, W, C)` under a similarity of its own while training; untouched otherwise.

    `turn` is the most that it is turned to either side, in degrees; `zoom` how much nearer or farther at most (0.1: by
    a tenth); `shift` the most that it is moved, as a share of each side. What comes into view is mirrored from within.
    """

    def __init__(self, *, turn: float, zoom: float, shift: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.turn, self.zoom, self.shift = turn, zoom, shift
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, images: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        """The pictures, of the same shape."""
        if not training:
            return images
        height, width = images.shape[1:3]
        chance = keras.random.uniform((keras.ops.shape(images)[0], 4), -1.0, 1.0, seed=self.seed_generator)
        angle = chance[:, 0] * (self.turn * math.pi / 180)
        scale = 1 + chance[:, 1] * self.zoom
        across, down = chance[:, 2] * (self.shift * width), chance[:, 3] * (self.shift * height)
        transforms = _about_the_centre(angle, scale, across, down, height, width)
        return keras.ops.image.affine_transform(images, transforms, interpolation="bilinear", fill_mode="reflect")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "turn": self.turn, "zoom": self.zoom, "shift": self.shift}


def _about_the_centre(angle: Any, scale: Any, across: Any, down: Any, height: int, width: int) -> keras.KerasTensor:
    """Keras' eight numbers `(B, 8)` that take a point of the new picture to one of the old."""
    x, y = (width - 1) / 2, (height - 1) / 2
    cosine, sine = scale * keras.ops.cos(angle), scale * keras.ops.sin(angle)
    nothing = keras.ops.zeros_like(angle)
    rows = [
        cosine, -sine, x - cosine * x + sine * y + across,
        sine, cosine, y - sine * x - cosine * y + down,
        nothing, nothing,
    ]  # fmt: skip
    return keras.ops.stack(rows, axis=-1)

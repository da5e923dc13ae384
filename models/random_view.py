"""A layer that turns, zooms and shifts pictures at random, in one resampling.

Keras has a layer for each of the three. One after the other they would blur a picture three times, which harms small
ones. A network that needs the layer imports this module when it is built, since a layer's class needs Keras.
"""

from __future__ import annotations

import math
from typing import Any

import keras


class RandomView(keras.layers.Layer):  # type: ignore[misc]  # Keras comes without types
    """Change each picture of `(B, H, W, C)` in its own way while training; leave all as they are otherwise.

    A picture is turned by at most `turn` degrees to either side, enlarged or shrunk by at most `zoom` (0.1: a tenth),
    and moved by at most `shift`, a share of each side. What lies outside the picture is filled with its mirror image.
    """

    def __init__(self, *, turn: float, zoom: float, shift: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.turn, self.zoom, self.shift = turn, zoom, shift
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, images: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        """Return the pictures, of the same shape."""
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
    """Return the eight numbers `(B, 8)` by which Keras maps a point of the new picture to one of the old."""
    x, y = (width - 1) / 2, (height - 1) / 2
    cosine, sine = scale * keras.ops.cos(angle), scale * keras.ops.sin(angle)
    nothing = keras.ops.zeros_like(angle)
    rows = [
        cosine, -sine, x - cosine * x + sine * y + across,
        sine, cosine, y - sine * x - cosine * y + down,
        nothing, nothing,
    ]  # fmt: skip
    return keras.ops.stack(rows, axis=-1)

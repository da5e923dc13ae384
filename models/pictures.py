"""What happens to pictures before the first layer: scaling, a fixed permutation, random changes while training.

All of it is inside the model: a saved one takes pictures as they are stored, and evaluates without the random part.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from models import arguments
from models.lazy_keras import keras

AUGMENTATIONS: Final = ("none", "flip", "shift", "flip-shift")
PIXEL_ORDERS: Final = ("original", "permuted")
SHIFT: Final = 0.08  # of height and width, at most: two pixels of 28, three of 32
_PERMUTATION_SEED: Final = 0  # one for all: what is compared is pixels in order with pixels out of order


def scaled(inputs: keras.KerasTensor, *, augmentation: str, pixels: str) -> keras.KerasTensor:
    """Pictures `(B, H, W, C)`, uint8 from 0 to 255, as floats from 0 to 1, of the same shape.

    `augmentation` is done while training only: "flip" mirrors left and right every other time, "shift" moves by up to
    `SHIFT` of each side. `pixels="permuted"` puts all pixels in one fixed random order (a pixel's channels stay
    together), the same for every picture and every model.

    Raises:
        ValueError: a value is not allowed, or pictures of one axis are to be augmented.
    """
    arguments.one_of("augmentation", augmentation, AUGMENTATIONS)
    arguments.one_of("pixels", pixels, PIXEL_ORDERS)
    if augmentation != "none" and len(inputs.shape) != 4:
        raise ValueError(f"augmentation={augmentation!r} needs pictures (H, W, C); {tuple(inputs.shape[1:])} came")
    x = keras.layers.Rescaling(1 / 255, name="rescaling")(inputs)
    if pixels == "permuted":
        x = _permuted(x)
    # Keras' own default for these layers is training=True, with which a plain `model(x)` would be random.
    if "flip" in augmentation:
        x = keras.layers.RandomFlip("horizontal", name="flip")(x, training=False)
    if "shift" in augmentation:
        x = keras.layers.RandomTranslation(SHIFT, SHIFT, fill_mode="constant", name="shift")(x, training=False)
    return x


def permutation(n_pixels: int) -> list[int]:
    """Where each pixel comes from, by `np.random.Generator(PCG64)` from a fixed seed."""
    order: list[int] = np.random.Generator(np.random.PCG64(_PERMUTATION_SEED)).permutation(n_pixels).tolist()
    return order


def _permuted(x: keras.KerasTensor) -> keras.KerasTensor:
    *sides, channels = x.shape[1:] if len(x.shape) == 4 else (*x.shape[1:], 1)
    n_pixels = math.prod(sides)
    flat = keras.layers.Reshape((n_pixels, channels), name="pixels")(x)  # (B, H * W, C)
    mixed = keras.ops.take(flat, permutation(n_pixels), axis=1)
    return keras.layers.Reshape(tuple(x.shape[1:]), name="permuted")(mixed)

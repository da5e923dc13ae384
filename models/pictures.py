"""Change pictures before the first layer: scaling, a fixed permutation, random changes while training.

All of it is inside the model. A saved model takes pictures as they are stored, and evaluates without random changes.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tune_jobs.models import arguments
from tune_jobs.models.lazy_keras import keras

CHANGES: Final = ("flip", "turn", "zoom", "shift", "brightness")  # joined by hyphens, in this order
PIXEL_ORDERS: Final = ("original", "permuted")
SHIFT: Final = 0.08  # of height and width, at most: two pixels of 28, three of 32
ZOOM: Final = 0.1  # nearer or farther, at most
TURN: Final = 180.0  # degrees to either side, at most: every direction
BRIGHTNESS: Final = 0.15  # of the range from black to white, lighter or darker, at most
_VIEW: Final = "view"  # the layer's name
_PERMUTATION_SEED: Final = 0  # the same for all tasks, which compare pixels in order with pixels out of order


def scaled(inputs: keras.KerasTensor, *, augmentation: str, pixels: str) -> keras.KerasTensor:
    """Return pictures `(B, H, W, C)`, uint8 from 0 to 255, as floats from 0 to 1, of the same shape.

    `augmentation` is "none", or some of `CHANGES` joined by hyphens in their order; it acts while training only. "flip"
    mirrors left and right half of the time, "turn" turns to any direction, "zoom" enlarges or shrinks by up to `ZOOM`,
    "shift" moves by up to `SHIFT` of each side, "brightness" adds up to `BRIGHTNESS`. A clock may be turned if its
    numerals show what is up, and must never be flipped. `pixels="permuted"` puts all pixels in one fixed random order,
    the same for every picture and every model; a pixel's channels stay together.

    Raises:
        ValueError: a value is not allowed, or pictures with one axis are to be augmented.
    """
    changes = _changes(augmentation)
    arguments.one_of("pixels", pixels, PIXEL_ORDERS)
    if changes and len(inputs.shape) != 4:
        raise ValueError(f"augmentation={augmentation!r} needs pictures (H, W, C); got {tuple(inputs.shape[1:])}")
    x = keras.layers.Rescaling(1 / 255, name="rescaling")(inputs)
    if pixels == "permuted":
        x = _permuted(x)
    # Keras' own default for these layers is training=True, with which a plain `model(x)` would be random.
    if "flip" in changes:
        x = keras.layers.RandomFlip("horizontal", name="flip")(x, training=False)
    if changes & {"turn", "zoom"}:
        x = _viewed(x, changes)
    elif "shift" in changes:
        x = keras.layers.RandomTranslation(SHIFT, SHIFT, fill_mode="constant", name="shift")(x, training=False)
    if "brightness" in changes:
        x = keras.layers.RandomBrightness(BRIGHTNESS, value_range=(0.0, 1.0), name="brightness")(x, training=False)
    return x


def _changes(augmentation: str) -> set[str]:
    """Return the parts of an augmentation's name."""
    parts = [] if augmentation == "none" else str(augmentation).split("-")
    if parts != [name for name in CHANGES if name in parts]:
        raise ValueError(
            f"augmentation must be none, or some of {', '.join(CHANGES)} joined by hyphens in this order; "
            f"got {augmentation!r}"
        )
    return set(parts)


def _viewed(x: keras.KerasTensor, changes: set[str]) -> keras.KerasTensor:
    """Turn, zoom and shift in one layer, as far as each is among the changes."""
    from tune_jobs.models.random_view import RandomView

    turn, zoom, shift = (
        most if name in changes else 0.0 for name, most in (("turn", TURN), ("zoom", ZOOM), ("shift", SHIFT))
    )
    return RandomView(turn=turn, zoom=zoom, shift=shift, name=_VIEW)(x)


def without_views(model: keras.Model) -> keras.Model:
    """Return the same network without random views, whose layer Keras alone could not load.

    It is a copy of a functional model of images `(B, H, W, C)`, with the same weights and outputs. A model without a
    view is returned as it is.
    """
    if not any(layer.name == _VIEW for layer in model.layers):
        return model

    def copied(layer: keras.layers.Layer) -> keras.layers.Layer:
        return keras.layers.Identity(name=_VIEW) if layer.name == _VIEW else type(layer).from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=copied)
    copy.set_weights(model.get_weights())
    return copy


def permutation(n_pixels: int) -> list[int]:
    """Return the place that each pixel comes from, drawn by `np.random.Generator(PCG64)` from a fixed seed."""
    order: list[int] = np.random.Generator(np.random.PCG64(_PERMUTATION_SEED)).permutation(n_pixels).tolist()
    return order


def _permuted(x: keras.KerasTensor) -> keras.KerasTensor:
    *sides, channels = x.shape[1:] if len(x.shape) == 4 else (*x.shape[1:], 1)
    n_pixels = math.prod(sides)
    flat = keras.layers.Reshape((n_pixels, channels), name="pixels")(x)  # (B, H * W, C)
    mixed = keras.ops.take(flat, permutation(n_pixels), axis=1)
    return keras.layers.Reshape(tuple(x.shape[1:]), name="permuted")(mixed)

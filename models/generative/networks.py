"""The two halves of a generative network: convolutions from images to numbers, and back from numbers to images."""

from __future__ import annotations

from tune_jobs.models import arguments
from tune_jobs.models.lazy_keras import keras


def check(
    input_shape: tuple[int, ...], *, latent_dim: int, filters: int, depth: int, upsampling: int, kernel_size: int
) -> None:
    """Check what `encoder` and `decoder` are called with.

    Raises:
        ValueError: an argument is not allowed, or the images are too small to be halved so often.
    """
    for name, value in (("latent_dim", latent_dim), ("filters", filters), ("depth", depth), ("upsampling", upsampling)):
        arguments.whole(name, value, at_least=1)
    arguments.whole("kernel_size", kernel_size, at_least=2)
    height, width, _ = arguments.shape("input_shape", input_shape, rank=3)
    for name, halvings in (("depth", depth), ("upsampling", upsampling)):
        if min(height, width) <= 2 ** (halvings - 1):
            raise ValueError(
                f"{name}={halvings} halves images of {height} x {width} pixels after they are one pixel wide: "
                f"use less {name}"
            )


def encoder(input_shape: tuple[int, ...], units: int, *, filters: int, depth: int, kernel_size: int) -> keras.Model:
    """Return `depth` convolutions that halve height and width each, under one dense layer.

    It maps images `(B, H, W, C)`, uint8 from 0 to 255, to `(B, units)`.
    """
    inputs = keras.Input(input_shape, dtype="uint8", name="images")
    x = keras.layers.Rescaling(1 / 255, name="rescaling")(inputs)  # (B, H, W, C)
    for number in range(1, depth + 1):
        x = keras.layers.Conv2D(
            filters, kernel_size, strides=2, padding="same", activation="relu", name=f"convolution_{number}"
        )(x)
    x = keras.layers.Flatten(name="flatten")(x)
    outputs = keras.layers.Dense(units, dtype="float32", name="latents")(x)
    return keras.Model(inputs, outputs, name="encoder")


def decoder(
    output_shape: tuple[int, ...], latent_dim: int, *, filters: int, upsampling: int, kernel_size: int
) -> keras.Model:
    """Return a dense layer, `upsampling` transposed convolutions that double height and width, and one convolution.

    It maps latents `(B, latent_dim)` to logits `(B, H, W, C)`, whose sigmoid is an image from 0 to 1. What exceeds the
    image is cut off on all sides.
    """
    *sides, channels = output_shape
    height, width = (-(-side // 2**upsampling) for side in sides)
    inputs = keras.Input((latent_dim,), name="latents")
    x = keras.layers.Dense(height * width * filters, activation="relu", name="dense")(inputs)
    x = keras.layers.Reshape((height, width, filters), name="reshape")(x)
    for number in range(1, upsampling + 1):
        x = keras.layers.Conv2DTranspose(
            filters, kernel_size, strides=2, padding="same", activation="relu", name=f"transposed_{number}"
        )(x)
    x = keras.layers.Conv2D(channels, kernel_size, padding="same", dtype="float32", name="logits")(x)
    return keras.Model(inputs, _cut(x, sides), name="decoder")


def _cut(x: keras.KerasTensor, sides: list[int]) -> keras.KerasTensor:
    """Return the middle of `(B, H, W, C)`, of the height and width in `sides`."""
    margins = [has - needed for has, needed in zip(x.shape[1:3], sides, strict=True)]
    if not any(margins):
        return x
    return keras.layers.Cropping2D([(margin // 2, margin - margin // 2) for margin in margins], name="cut")(x)

"""Convolutional networks: stages of convolutions closed by pooling, then dense layers under the head of an encoding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tune_jobs.models import arguments, pictures
from tune_jobs.models.hidden_layers import DEFAULT_FACTOR, HiddenLayers
from tune_jobs.models.label_encodings import Head
from tune_jobs.models.lazy_keras import keras

POOLINGS: Final = ("max", "average", "none")
PADDINGS: Final = ("same", "valid")
NORMALIZATIONS: Final = ("none", "batch", "layer")

Stages = tuple[tuple[int, ...], ...]  # the filters of each convolution, stage by stage


def build(
    *,
    input_shape: tuple[int, int, int],
    head: Head,
    filters: int | str = "32-64",
    kernel_size: int | str = 3,
    strides: int = 1,
    pooling: str = "max",
    pool_every: int = 1,
    padding: str = "same",
    units: int | str = 128,
    initializer: str = "glorot_uniform",
    initializer_scale: float = 1.0,
    activation: str = "relu",
    regularizer: str = "none",
    factor: float = DEFAULT_FACTOR,
    dropout: str = "without",
    dropout_rate: float = 0.0,
    dense_dropout_rate: float | None = None,
    flatten_dropout_rate: float = 0.0,
    batch_norm: bool = False,
    dense_normalization: str = "none",
    augmentation: str = "none",
    pixels: str = "original",
) -> keras.Model:
    """Build convolutions, one for each width in `filters`, in stages of `pool_every`; the last stage may be shorter.

    The model maps images `(B, H, W, C)`, uint8, to the outputs of `head`, which gets `(B, features)`. Stages of unequal
    length are written with slashes: "64/128-128" is one convolution, then two. Pooling ends a stage and halves height
    and width, rounded down; `pooling="none"` leaves it out. Dropout follows. `kernel_size` is one size for all
    convolutions or a label with one for each, of which the last is for all that follow ("7-3"). `strides` are those of
    the first convolution: 2 halves height and width at once. Dense layers come next, one for each width in `units`
    ("none": no such layer), each with dropout at `dense_dropout_rate`, or at `dropout_rate` if that is None. The
    features are dropped at `flatten_dropout_rate` before them, and `dense_normalization` follows the first of them.
    `augmentation` and `pixels` are those of `pictures.scaled`.

    Raises:
        ValueError: an argument is not allowed, has no effect given the others, or the images are too small for it.
    """
    hidden = HiddenLayers(
        initializer=initializer,
        initializer_scale=initializer_scale,
        activation=activation,
        regularizer=regularizer,
        factor=factor,
        dropout=dropout,
        dropout_rate=dropout_rate,
        dense_dropout_rate=dense_dropout_rate,
        batch_norm=batch_norm,
    )
    stages = _stages(filters, arguments.whole("pool_every", pool_every, at_least=1))
    kernels = _kernels(kernel_size, sum(len(stage) for stage in stages))
    arguments.whole("strides", strides, at_least=1)
    arguments.one_of("pooling", pooling, POOLINGS)
    arguments.one_of("padding", padding, PADDINGS)
    arguments.fraction("flatten_dropout_rate", flatten_dropout_rate)
    dense_widths = () if units == "none" else arguments.widths("units", units)
    arguments.one_of("dense_normalization", dense_normalization, NORMALIZATIONS)
    if dense_normalization != "none" and not dense_widths:
        raise ValueError(f"dense_normalization={dense_normalization!r} needs a dense layer; got units='none'")
    height, width, _ = arguments.shape("input_shape", input_shape, rank=3)
    lost = [kernel - 1 if padding == "valid" else 0 for kernel in kernels]
    _refuse_small_images(height, width, stages, lost=lost, strides=strides, pooling=pooling)

    inputs = keras.Input(input_shape, dtype="uint8", name="images")  # (B, H, W, C)
    x = pictures.scaled(inputs, augmentation=augmentation, pixels=pixels)
    x = _convolved(x, hidden, stages, kernels=kernels, strides=strides, padding=padding, pooling=pooling)
    x = keras.layers.Flatten(name="flatten")(x)  # (B, features)
    if flatten_dropout_rate:
        x = keras.layers.Dropout(flatten_dropout_rate, name="flatten_dropout")(x)
    for number, units_here in enumerate(dense_widths, start=1):
        x = hidden.dense(x, units_here, number=number)  # (B, units_here)
        if number == 1 and dense_normalization != "none":
            x = _normalization(dense_normalization)(x)
        x = hidden.dropped(x, after=f"dense_{number}")
    return keras.Model(inputs, head(x), name="cnn")


def _stages(filters: int | str, pool_every: int) -> Stages:
    if isinstance(filters, str) and "/" in filters:
        if pool_every != 1:
            raise ValueError(f"filters={filters!r} says where stages end: leave out pool_every; got {pool_every}")
        return tuple(arguments.widths("filters", stage) for stage in filters.split("/"))
    widths = arguments.widths("filters", filters)
    return tuple(widths[first : first + pool_every] for first in range(0, len(widths), pool_every))


def _kernels(kernel_size: int | str, n_convolutions: int) -> tuple[int, ...]:
    """Return the side of each convolution's kernel."""
    kernels = arguments.widths("kernel_size", kernel_size)
    if len(kernels) > n_convolutions:
        raise ValueError(f"kernel_size={kernel_size!r} has {len(kernels)} sizes for {n_convolutions} convolutions")
    return kernels + kernels[-1:] * (n_convolutions - len(kernels))


def _normalization(name: str) -> keras.layers.Layer:
    of = keras.layers.BatchNormalization if name == "batch" else keras.layers.LayerNormalization
    return of(name=f"dense_1_{name}_normalization")


def _refuse_small_images(
    height: int, width: int, stages: Stages, *, lost: Sequence[int], strides: int, pooling: str
) -> None:
    """Refuse images whose smaller side is used up: a convolution takes its `lost` pixels, pooling halves the rest."""
    losses = iter(lost)
    images, side = f"{height} x {width} images", min(height, width)
    for number, stage in enumerate(stages, start=1):
        taken = [next(losses) for _ in stage]
        for convolution, pixels in enumerate(taken):
            side -= pixels
            if number == 1 and convolution == 0:
                side = -(-side // strides)
        if side < 1:
            raise ValueError(
                f"{images} are too small for the convolutions up to stage {number} of {len(stages)}, each taking "
                f"{max(taken)} pixels: take padding='same', a smaller kernel_size or fewer filters"
            )
        if pooling != "none":
            if side < 2:
                raise ValueError(
                    f"{images} are too small for {len(stages)} poolings, {number - 1} leave nothing to halve: "
                    "raise pool_every, take fewer filters or pooling='none'"
                )
            side //= 2


def _convolved(
    x: keras.KerasTensor,
    hidden: HiddenLayers,
    stages: Stages,
    *,
    kernels: tuple[int, ...],
    strides: int,
    padding: str,
    pooling: str,
) -> keras.KerasTensor:
    """Add all stages: `(B, H, W, C)` to `(B, H / 2**stages, W / 2**stages, last filters)` with pooling and padding."""
    number = 0
    for stage_number, stage in enumerate(stages, start=1):
        for filters in stage:
            kernel_size = kernels[number]
            number += 1
            x = hidden.convolution(
                x,
                filters,
                kernel_size=kernel_size,
                strides=strides if number == 1 else 1,
                padding=padding,
                number=number,
            )
        x = _pooled(x, pooling, name=f"stage_{stage_number}_pooling")
        x = hidden.dropped(x, after=f"stage_{stage_number}")
    return x


def _pooled(x: keras.KerasTensor, pooling: str, *, name: str) -> keras.KerasTensor:
    if pooling == "none":
        return x
    layer = keras.layers.MaxPooling2D if pooling == "max" else keras.layers.AveragePooling2D
    return layer(2, name=name)(x)

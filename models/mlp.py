"""Multilayer perceptrons: dense hidden layers under the head of a label encoding."""

from __future__ import annotations

from tune_jobs.models import arguments, pictures
from tune_jobs.models.hidden_layers import DEFAULT_FACTOR, HiddenLayers
from tune_jobs.models.label_encodings import Head
from tune_jobs.models.lazy_keras import keras


def build(
    *,
    input_shape: tuple[int, ...],
    head: Head,
    units: int | str = 128,
    layers: int = 1,
    initializer: str = "glorot_uniform",
    initializer_scale: float = 1.0,
    activation: str = "relu",
    regularizer: str = "none",
    factor: float = DEFAULT_FACTOR,
    dropout: str = "without",
    dropout_rate: float = 0.0,
    batch_norm: bool = False,
    augmentation: str = "none",
    pixels: str = "original",
) -> keras.Model:
    """Build dense layers on flattened images.

    The model maps images `(B, *input_shape)`, uint8, to the outputs of `head`, which gets `(B, last width)`. `units` is
    one width or a label of widths ("512-128-32"); the whole sequence is repeated `layers` times. The output layer is
    not counted. With dropout, a dropout layer follows each hidden layer. `augmentation` and `pixels` are those of
    `pictures.scaled`.

    Raises:
        ValueError: an argument is not allowed, or has no effect given the others.
    """
    hidden = HiddenLayers(
        initializer=initializer,
        initializer_scale=initializer_scale,
        activation=activation,
        regularizer=regularizer,
        factor=factor,
        dropout=dropout,
        dropout_rate=dropout_rate,
        batch_norm=batch_norm,
    )
    all_widths = arguments.widths("units", units) * arguments.whole("layers", layers, at_least=1)
    inputs = keras.Input(arguments.shape("input_shape", input_shape), dtype="uint8", name="images")  # (B, *input_shape)
    x = pictures.scaled(inputs, augmentation=augmentation, pixels=pixels)
    x = keras.layers.Flatten(name="flatten")(x)  # (B, F)
    for number, width in enumerate(all_widths, start=1):
        x = hidden.dense(x, width, number=number)  # (B, width)
        x = hidden.dropped(x, after=f"dense_{number}")
    return keras.Model(inputs, head(x), name="mlp")

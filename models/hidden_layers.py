"""Hidden layers that the model families share: how a kernel is initialized, and which layers follow it.

The order is kernel, batch normalization, activation; then pooling and dropout, which a family adds where it has them.
The output layer belongs to the label encoding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tune_jobs.models import arguments
from tune_jobs.models.lazy_keras import keras

ACTIVATIONS: Final = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "sigmoid", "tanh")
INITIALIZERS: Final = (
    "random_normal",
    "random_uniform",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
)
REGULARIZERS: Final = ("none", "l1", "l2")
DROPOUTS: Final = ("without", "with")
DEFAULT_FACTOR: Final = 0.01  # Keras' own default of l1 and l2


@dataclass(frozen=True)
class HiddenLayers:
    """The settings that every hidden layer of a network shares, checked together when they are made.

    A value without effect is refused, so that a network can be written in one way only: two trials never differ in a
    number that neither of them used.

    Raises:
        ValueError: a value is not allowed, `factor` is set without a regularizer, or dropout and its rate disagree.
    """

    initializer: str
    initializer_scale: float
    activation: str
    regularizer: str
    factor: float
    dropout: str
    dropout_rate: float
    batch_norm: bool
    dense_dropout_rate: float | None = None  # after dense layers; None: the same as elsewhere

    def __post_init__(self) -> None:
        arguments.one_of("initializer", self.initializer, INITIALIZERS)
        arguments.positive("initializer_scale", self.initializer_scale)
        arguments.one_of("activation", self.activation, ACTIVATIONS)
        arguments.one_of("regularizer", self.regularizer, REGULARIZERS)
        arguments.positive("factor", self.factor)
        if self.regularizer == "none" and self.factor != DEFAULT_FACTOR:
            raise ValueError(f"factor={self.factor!r} needs a regularizer, l1 or l2; got 'none'")
        arguments.one_of("dropout", self.dropout, DROPOUTS)
        rates = [arguments.fraction("dropout_rate", self.dropout_rate)]
        if self.dense_dropout_rate is not None:
            rates.append(arguments.fraction("dense_dropout_rate", self.dense_dropout_rate))
        if (self.dropout == "with") != any(rates):
            given = " and ".join(map(repr, rates))
            raise ValueError(
                f"dropout='with' needs a dropout_rate above 0, dropout='without' needs 0; "
                f"got dropout={self.dropout!r} with {given}"
            )
        arguments.flag("batch_norm", self.batch_norm)

    def dense(self, x: keras.KerasTensor, units: int, *, number: int) -> keras.KerasTensor:
        """Add a hidden layer of `units`, from `(B, F)` to `(B, units)`; `number` is part of its name."""
        kernel = keras.layers.Dense(units, name=f"dense_{number}", **self._kernel())
        return self._activated(kernel(x), after=f"dense_{number}")

    def convolution(
        self, x: keras.KerasTensor, filters: int, *, kernel_size: int, strides: int, padding: str, number: int
    ) -> keras.KerasTensor:
        """Add a convolution, `(B, H, W, C)` to `(B, H', W', filters)`; padding "same" keeps H and W at strides 1."""
        kernel = keras.layers.Conv2D(
            filters, kernel_size, strides=strides, padding=padding, name=f"convolution_{number}", **self._kernel()
        )
        return self._activated(kernel(x), after=f"convolution_{number}")

    def dropped(self, x: keras.KerasTensor, *, after: str) -> keras.KerasTensor:
        """Add a dropout layer; return `x` itself at a rate of 0."""
        is_elsewhere = after.startswith("dense") and self.dense_dropout_rate is not None
        rate = self.dense_dropout_rate if is_elsewhere else self.dropout_rate
        return keras.layers.Dropout(rate, name=f"{after}_dropout")(x) if rate else x

    def _kernel(self) -> dict[str, Any]:
        # The offset of a batch normalization makes a bias before it redundant (Ioffe and Szegedy 2015, section 3.2).
        return {
            "use_bias": not self.batch_norm,
            "kernel_initializer": initializer(self.initializer, self.initializer_scale),
            "kernel_regularizer": regularizer(self.regularizer, self.factor),
        }

    def _activated(self, x: keras.KerasTensor, *, after: str) -> keras.KerasTensor:
        if self.batch_norm:
            x = keras.layers.BatchNormalization(name=f"{after}_batch_norm")(x)
        return keras.layers.Activation(self.activation, name=f"{after}_{self.activation}")(x)


def initializer(name: str, scale: float = 1.0) -> keras.initializers.Initializer:
    """Return a new initializer whose values are `scale` times those of Keras' initializer of that name.

    An instance draws the same values at every call, so every layer needs its own. Its seed comes from the state that
    `keras.utils.set_random_seed` sets.

    Raises:
        ValueError: the name is unknown, or the scale is not above 0.
    """
    arguments.one_of("initializer", name, INITIALIZERS)
    arguments.positive("initializer_scale", scale)
    plain = keras.initializers.get(name)
    if name == "random_normal":
        return keras.initializers.RandomNormal(stddev=scale * plain.stddev)
    if name == "random_uniform":
        return keras.initializers.RandomUniform(minval=scale * plain.minval, maxval=scale * plain.maxval)
    if name == "orthogonal":
        return keras.initializers.Orthogonal(gain=scale * plain.gain)
    # The others are variance scalings: the variance grows with the square of the values.
    return keras.initializers.VarianceScaling(
        scale=scale**2 * plain.scale, mode=plain.mode, distribution=plain.distribution
    )


def regularizer(name: str, factor: float) -> keras.regularizers.Regularizer | None:
    """Return the penalty on one kernel: `factor` times the sum of its absolute values (l1) or of its squares (l2).

    Raises:
        ValueError: the name is unknown, or the factor is not above 0.
    """
    arguments.one_of("regularizer", name, REGULARIZERS)
    arguments.positive("factor", factor)
    if name == "none":
        return None
    return keras.regularizers.L1(factor) if name == "l1" else keras.regularizers.L2(factor)

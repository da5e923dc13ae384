"""The critic of an adversarial network: convolutions that say how real an image looks."""

from __future__ import annotations

import math
from typing import Any

import keras

LEAK = 0.2  # the slope of an activation below zero
Kernels = list[Any]


@keras.saving.register_keras_serializable(package="tune_jobs")
class Critic(keras.layers.Layer):  # type: ignore[misc]  # Keras comes without types
    """Images `(B, H, W, C)` from 0 to 1 to one number each, `(B, 1)`: the larger, the more real.

    `depth` convolutions of `filters` halve height and width each; a dense layer ends them. With `is_normalized` each
    kernel is divided by its largest singular value, as one step of power iteration a batch estimates it (Miyato et al.
    2018). Its slope has a closed form, because every layer is linear on both sides of zero.
    """

    def __init__(
        self,
        image_shape: tuple[int, ...],
        *,
        filters: int,
        depth: int,
        kernel_size: int,
        is_normalized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"name": "critic", "dtype": "float32", **kwargs})
        self.image_shape, self.is_normalized = tuple(image_shape), is_normalized
        self.filters, self.depth, self.kernel_size = filters, depth, kernel_size
        self.sides = [(-(-image_shape[0] // 2**n), -(-image_shape[1] // 2**n)) for n in range(depth + 1)]
        self.build((None, *image_shape))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create a kernel and a bias for each layer, the dense one last, and a singular vector for each kernel."""
        square = (self.kernel_size, self.kernel_size)
        channels = [self.image_shape[-1]] + [self.filters] * self.depth
        shapes: list[tuple[int, ...]] = [(*square, channels[n], channels[n + 1]) for n in range(self.depth)]
        shapes.append((math.prod(self.sides[-1]) * self.filters, 1))
        self.kernels = [self.add_weight(shape=shape, name=f"kernel_{n}") for n, shape in enumerate(shapes)]
        self.biases = [
            self.add_weight(shape=shape[-1:], initializer="zeros", name=f"bias_{n}") for n, shape in enumerate(shapes)
        ]
        self.singular_vectors = [
            self.add_weight(shape=shape[-1:], initializer="random_normal", trainable=False, name=f"vector_{n}")
            for n, shape in enumerate(shapes if self.is_normalized else [])
        ]
        self.built = True

    def call(self, images: Any) -> Any:
        """Return how real images look, `(B, 1)`."""
        return self.rate(images, self.kernels_now(training=False))

    def kernels_now(self, *, training: bool) -> Kernels:
        """Return the kernels that images are looked at with; while training, estimate their singular values first."""
        if not self.is_normalized:
            return [keras.ops.convert_to_tensor(kernel) for kernel in self.kernels]
        pairs = zip(self.kernels, self.singular_vectors, strict=True)
        return [_normalized(kernel, vector, training) for kernel, vector in pairs]

    def rate(self, images: Any, kernels: Kernels, *, is_frozen: bool = False) -> Any:
        """Return how real images look, `(B, 1)`; with `is_frozen` no gradient reaches the critic's own weights."""
        signals = self._signals(images, _frozen(kernels, is_frozen), _frozen(self.biases, is_frozen))
        return signals[-1]

    def slopes(self, images: Any, kernels: Kernels) -> Any:
        """Return the norm of the gradient of `rate` by each image, `(B,)`."""
        *signals, _ = self._signals(images, kernels, _frozen(self.biases, False))
        gradient = keras.ops.reshape(kernels[-1], (1, *self.sides[-1], self.filters))
        for number in reversed(range(self.depth)):
            gradient = gradient * keras.ops.where(signals[number] > 0, 1.0, LEAK)
            gradient = keras.ops.conv_transpose(
                gradient, kernels[number], strides=2, padding="same", output_padding=self._paddings(number)
            )
        return keras.ops.sqrt(keras.ops.sum(keras.ops.square(2 * gradient), axis=(1, 2, 3)) + 1e-12)

    def _signals(self, images: Any, kernels: Kernels, biases: Kernels) -> list[Any]:
        """Return what each layer computes, before its activation."""
        x, signals = 2 * images - 1, []
        for number in range(self.depth):
            x = keras.ops.conv(x, kernels[number], strides=2, padding="same") + biases[number]
            signals.append(x)
            x = keras.ops.leaky_relu(x, LEAK)
        flat = keras.ops.reshape(x, (-1, kernels[-1].shape[0]))
        return [*signals, keras.ops.matmul(flat, kernels[-1]) + biases[-1]]

    def _paddings(self, number: int) -> tuple[int, ...]:
        """Return what makes the transpose of a convolution as large as the images that it was given."""
        least = self.kernel_size - 2 * (self.kernel_size // 2) - 2
        before, after = self.sides[number], self.sides[number + 1]
        return tuple(old - 2 * new - least for old, new in zip(before, after, strict=True))

    def get_config(self) -> dict[str, Any]:
        names = ("image_shape", "filters", "depth", "kernel_size", "is_normalized")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _normalized(kernel: Any, vector: Any, training: bool) -> Any:
    """Return a kernel divided by its largest singular value, which the vector helps to estimate."""
    ops = keras.ops
    matrix = ops.reshape(kernel, (-1, kernel.shape[-1]))  # (fan in, fan out)
    still = ops.stop_gradient(matrix)
    left = _unit(ops.matmul(still, ops.expand_dims(vector, -1)))
    right = _unit(ops.matmul(ops.transpose(still), left))
    if training:
        vector.assign(ops.squeeze(right, -1))
    largest = ops.sum(left * ops.matmul(matrix, right))
    return ops.convert_to_tensor(kernel) / largest


def _unit(vector: Any) -> Any:
    return vector / (keras.ops.norm(vector) + 1e-12)


def _frozen(weights: Kernels, is_frozen: bool) -> Kernels:
    tensors = [keras.ops.convert_to_tensor(weight) for weight in weights]
    return [keras.ops.stop_gradient(tensor) for tensor in tensors] if is_frozen else tensors

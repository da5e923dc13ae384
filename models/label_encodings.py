"""Label encodings: how a label becomes a training target, and how a model's output becomes a label again.

An encoding is one object that nothing else looks into. Its laws hold for every encoding: decoding a perfect output
gives the label back, and a perfect output loses less than a wrong one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from tune_jobs.models import arguments
from tune_jobs.models.lazy_keras import keras

Head = Callable[["keras.KerasTensor"], "keras.KerasTensor"]  # features (B, F) to outputs (B, ...)
Array = npt.NDArray[Any]


class LabelEncoding(Protocol):
    """What training, scoring and evaluation ask of an encoding; N is the number of images, B that of a batch."""

    @property
    def name(self) -> str:
        """What studies and leaderboards call it; two encodings that train differently differ in it."""

    def head(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """The output layers, from features `(B, F)` to outputs `(B, ...)`."""

    def targets(self, labels: Array) -> Array:
        """What `loss` and `metrics` compare outputs with: N targets for N labels. Raises ValueError on a bad label."""

    def loss(self) -> keras.losses.Loss | Callable[[Any, Any], Any]:
        """A fresh loss between targets and outputs."""

    def metrics(self) -> list[keras.metrics.Metric]:
        """Fresh metrics between targets and outputs, under the names that objectives use."""

    def decode(self, outputs: Array) -> Array:
        """The label each output stands for, in the form in which labels come."""

    def errors(self, predicted: Array, labels: Array) -> Array:
        """How wrong each of N predicted labels is, `(N,)` floats in the unit people judge by; 0 is right."""


@dataclass(frozen=True)
class Classes:
    """`n` exclusive classes, the labels `(N,)` whole numbers from 0 to n - 1; an error counts 1.

    Raises:
        ValueError: `n` is below 2.
    """

    n: int

    def __post_init__(self) -> None:
        arguments.whole("n", self.n, at_least=2)

    @property
    def name(self) -> str:
        return f"classes-{self.n}"

    def head(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Logits `(B, n)`: the softmax is left to the loss, where it is stable."""
        return keras.layers.Dense(self.n, name="logits")(features)

    def targets(self, labels: Array) -> Array:
        """The labels as int32 `(N,)`. Raises ValueError: not one whole number an image, or one out of range."""
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise ValueError(f"labels must be whole numbers of shape (N,); {labels.dtype} of {labels.shape} came")
        wrong = labels[(labels < 0) | (labels >= self.n)]
        if wrong.size:
            raise ValueError(f"labels must be from 0 to {self.n - 1}; {wrong[0]} came ({wrong.size} out of range)")
        return labels.astype(np.int32)

    def loss(self) -> keras.losses.Loss:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def metrics(self) -> list[keras.metrics.Metric]:
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def decode(self, outputs: Array) -> Array:
        """The class of the largest logit; `(N, n)` to int64 `(N,)`."""
        return np.asarray(np.argmax(outputs, axis=-1))

    def errors(self, predicted: Array, labels: Array) -> Array:
        """1.0 where the class is wrong, 0.0 where it is right."""
        return np.asarray(predicted != labels, dtype=np.float64)

    def probability(self, outputs: Array) -> float:
        """Return the mean softmax, over `(V, n)` logits, of the class that the first of them stand for."""
        logits = outputs.astype(np.float64)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        softmax = weights / weights.sum(axis=1, keepdims=True)
        return float(softmax[:, logits[0].argmax()].mean())

    def mean_of(self, metric: str) -> Literal["right"] | None:
        """Return "right" for the accuracy: it is the share of images without an error."""
        return "right" if metric == "accuracy" else None

"""Label encodings: how a label becomes a training target, and how a model's output becomes a label again.

An encoding is one object, and nothing else knows what is in it. Two laws hold for every encoding: decoding a perfect
output returns the label, and a perfect output has a lower loss than a wrong one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from tune_jobs.models import arguments
from tune_jobs.models.lazy_keras import keras

Head = Callable[["keras.KerasTensor"], "keras.KerasTensor"]  # features (B, F) to outputs (B, ...)
Array = npt.NDArray[Any]


class LabelEncoding(Protocol):
    """What every encoding needs; N is the number of images, B that of a batch.

    What people and programs are shown of labels is optional: `presentation.py` lists these parts with their defaults.
    """

    @property
    def name(self) -> str:
        """The name in studies and messages; encodings that train differently have different names."""

    def head(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Add the output layers, from features `(B, F)` to outputs `(B, ...)`."""

    def targets(self, labels: Array) -> Array:
        """Return N targets for N labels, for `loss` and `metrics`. Raises ValueError: a bad label.

        Labels have the shape that their data set gives them, `(N,)`, `(N, 1)` or `(N, k)`.
        """

    def loss(self) -> keras.losses.Loss | Callable[[Any, Any], Any]:
        """Return a new loss between targets and outputs."""

    def metrics(self) -> list[keras.metrics.Metric]:
        """Return new metrics between targets and outputs; an objective is `val_` and the name of one."""

    def decode(self, outputs: Array) -> Array:
        """Return the label that each output stands for, in the form that the data set's labels have."""

    def errors(self, predicted: Array, labels: Array) -> Array:
        """Return how wrong each of N predicted labels is, `(N,)` floats; 0 is right."""


@dataclass(frozen=True)
class PlainLabels:
    """Labels that are targets as they are, for a task without an encoding: `losses` and `measures` are what `compile`
    takes, or None for a model that its builder compiles.
    """

    losses: Any = None
    measures: Any = None
    name = "none"

    def head(self, features: keras.KerasTensor) -> keras.KerasTensor:
        raise NotImplementedError("the network has outputs of its own")

    def targets(self, labels: Any) -> Any:
        return labels

    def loss(self) -> Any:
        return self.losses

    def metrics(self) -> Any:
        """Return new metrics, for one that was used keeps what it counted."""
        return _renewed(self.measures)

    def decode(self, outputs: Any) -> Any:
        return outputs

    def errors(self, predicted: Array, labels: Array) -> Array:
        """Return the largest difference in each row."""
        apart = np.abs(np.asarray(predicted, np.float64) - labels)
        return np.asarray(apart.reshape(len(labels), -1).max(axis=1))


def _renewed(measures: Any) -> Any:
    if isinstance(measures, Mapping):
        return {name: _renewed(part) for name, part in measures.items()}
    if isinstance(measures, list | tuple):
        return [_renewed(part) for part in measures]
    return type(measures).from_config(measures.get_config()) if hasattr(measures, "get_config") else measures


@dataclass(frozen=True)
class Classes:
    """`n` exclusive classes. Labels `(N,)` or `(N, 1)` are whole numbers from 0 to n - 1; an error counts 1.

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
        """Add logits `(B, n)`; the softmax is part of the loss, where it is numerically stable."""
        return keras.layers.Dense(self.n, name="logits")(features)

    def targets(self, labels: Array) -> Array:
        """Return the labels as int32 `(N,)`. Raises ValueError: not one whole number an image, or one out of range."""
        if labels.shape not in ((len(labels),), (len(labels), 1)) or labels.dtype.kind not in "iu":
            raise ValueError(f"labels must be whole numbers of shape (N,); got {labels.dtype} of {labels.shape}")
        labels = labels.reshape(len(labels))
        wrong = labels[(labels < 0) | (labels >= self.n)]
        if wrong.size:
            raise ValueError(f"labels must be from 0 to {self.n - 1}; got {wrong[0]} ({wrong.size} out of range)")
        return labels.astype(np.int32)

    def loss(self) -> keras.losses.Loss:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def metrics(self) -> list[keras.metrics.Metric]:
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def decode(self, outputs: Array) -> Array:
        """Return the class of the largest logit: `(N, n)` to int64 `(N,)`."""
        return np.asarray(np.argmax(outputs, axis=-1))

    def errors(self, predicted: Array, labels: Array) -> Array:
        """Return 1.0 for a wrong class, 0.0 for the right one."""
        return np.asarray(predicted.reshape(len(labels)) != labels.reshape(len(labels)), dtype=np.float64)

    def probability(self, outputs: Array) -> float:
        """Return the mean softmax, over `(V, n)` logits, of the class that the first of them stand for."""
        logits = outputs.astype(np.float64)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        softmax = weights / weights.sum(axis=1, keepdims=True)
        return float(softmax[:, logits[0].argmax()].mean())

    def mean_of(self, metric: str) -> Literal["right"] | None:
        """Return "right" for the accuracy: it is the share of images without an error."""
        return "right" if metric == "accuracy" else None

"""Label encodings: how a label becomes a training target, and how a model's output becomes a label again.

An encoding is one object, and nothing else knows what is in it. Two laws hold for every encoding: decoding a perfect
output returns the label, and a perfect output has a lower loss than a wrong one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from tune_jobs.models import arguments
from tune_jobs.models.lazy_keras import keras
from tune_jobs.models.means import MeanOf
from tune_jobs.models.plain_values import make_plain

Head = Callable[["keras.KerasTensor"], "keras.KerasTensor"]  # features (B, F) to outputs (B, ...)
Array = npt.NDArray[Any]


class LabelEncoding(Protocol):
    """What every encoding needs; N is the number of images, B that of a batch.

    What people and programs are shown of labels is optional: `presentation.py` lists these parts with their defaults.
    So is `metric_names`, the names of `metrics`, by which an objective is checked without Keras.
    So is `fitted(labels)`, which returns the encoding as the labels of the training part make it, for `head` and
    `loss`. Nothing else may depend on them: a saved model is read without its data.
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


def fitted(encoding: LabelEncoding, labels: Any) -> LabelEncoding:
    """Return an encoding as the labels of the training part make it."""
    fit = getattr(encoding, "fitted", None)
    made: LabelEncoding = encoding if fit is None else fit(labels)
    return made


def metric_names(encoding: Any) -> tuple[str, ...] | None:
    """Return the names of an encoding's metrics, as it says; None where it does not, or its subclass has others."""
    own = next((kind for kind in type(encoding).__mro__ if "metrics" in vars(kind)), type(encoding))
    return tuple(encoding.metric_names) if "metric_names" in vars(own) else None


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
    """`n` exclusive classes: whole numbers from `start`, or `names`. An error counts 1.

    Labels `(N,)` or `(N, 1)` are whole numbers from `start` to `start + n - 1`, booleans for two classes from 0, or one
    of the names: `Classes(10)`, `Classes(12, start=1)`, `Classes(names=("cat", "dog"))`.

    Raises:
        ValueError: there are fewer than two classes, or names that are no different texts.
    """

    n: int = 0
    start: int = 0
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        make_plain(self)
        object.__setattr__(self, "names", arguments.names("names", self.names))
        object.__setattr__(self, "n", self.n or len(self.names))
        arguments.whole("n", self.n, at_least=2)
        if isinstance(self.start, bool) or not isinstance(self.start, int):
            raise ValueError(f"start must be a whole number; got {self.start!r}")  # noqa: TRY004 (one kind of refusal)
        if self.names and (self.n != len(self.names) or self.start):
            raise ValueError(f"names go without n and start; got {len(self.names)} names, n={self.n}, {self.start}")

    @property
    def name(self) -> str:
        start = f"-from-{self.start}" if self.start else ""
        return f"classes-{self.n}{start}{_digest(self.names)}"

    def head(self, features: keras.KerasTensor, name: str = "") -> keras.KerasTensor:
        """Add logits `(B, n)`; the softmax is part of the loss, where it is numerically stable."""
        return keras.layers.Dense(self.n, name=_named(name, "logits"))(features)

    def targets(self, labels: Array) -> Array:
        """Return the classes as int32 `(N,)`, from 0. Raises ValueError: not one class an image, or none of these."""
        if self.names:
            return _places(_flat(labels), self.names).astype(np.int32)
        if labels.dtype.kind == "O":
            names = ", ".join(map(repr, sorted(set(labels.ravel()))[:3]))
            raise ValueError(f"labels must be whole numbers, and are texts: Classes(names=({names}, …)) has names")
        if labels.shape not in ((len(labels),), (len(labels), 1)) or labels.dtype.kind not in "iub":
            raise ValueError(f"labels must be whole numbers of shape (N,); got {labels.dtype} of {labels.shape}")
        labels = labels.reshape(len(labels))
        last = self.start + self.n - 1
        wrong = labels[(labels < self.start) | (labels > last)]
        if wrong.size:
            raise ValueError(f"labels must be from {self.start} to {last}; got {wrong[0]} ({wrong.size} out of range)")
        return labels.astype(np.int32) - np.int32(self.start)

    def loss(self) -> keras.losses.Loss:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    metric_names: ClassVar = ("accuracy",)

    def metrics(self) -> list[keras.metrics.Metric]:
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def decode(self, outputs: Array) -> Array:
        """Return the class of the largest logit: `(N, n)` to `(N,)`, int64 or names."""
        places = np.asarray(np.argmax(outputs, axis=-1))
        return np.array(self.names, dtype=object)[places] if self.names else places + self.start

    def errors(self, predicted: Array, labels: Array) -> Array:
        """Return 1.0 for a wrong class, 0.0 for the right one."""
        return np.asarray(predicted.reshape(len(labels)) != labels.reshape(len(labels)), dtype=np.float64)

    def probability(self, outputs: Array) -> float:
        """Return the mean softmax, over `(V, n)` logits, of the class that the first of them stand for."""
        logits = outputs.astype(np.float64)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        softmax = weights / weights.sum(axis=1, keepdims=True)
        return float(softmax[:, logits[0].argmax()].mean())

    def mean_of(self, metric: str) -> MeanOf | None:
        """Return "right" for the accuracy: it is the share of images without an error."""
        return "right" if metric == "accuracy" else None


@dataclass(frozen=True)
class Binary:
    """Yes or no: labels `(N,)` or `(N, 1)` are booleans, 0 and 1, or two names, `Binary("ham", "spam")`.

    Raises:
        ValueError: one name without the other, or equal names.
    """

    negative: str = ""
    positive: str = ""

    def __post_init__(self) -> None:
        if self.negative or self.positive:
            arguments.names("names", (self.negative, self.positive))

    @property
    def names(self) -> tuple[str, ...]:
        return (self.negative, self.positive) if self.negative else ()

    @property
    def name(self) -> str:
        return f"binary{_digest(self.names)}"

    def head(self, features: keras.KerasTensor, name: str = "") -> keras.KerasTensor:
        """Add a logit `(B, 1)`; the sigmoid is part of the loss."""
        return keras.layers.Dense(1, name=_named(name, "logit"))(features)

    def targets(self, labels: Array) -> Array:
        """Return 0.0 or 1.0 for each label, `(N, 1)`. Raises ValueError: another label."""
        flat = _flat(labels)
        return (_places(flat, self.names) if self.names else _zeros_and_ones(flat)).astype(np.float32)[:, np.newaxis]

    def loss(self) -> keras.losses.Loss:
        return keras.losses.BinaryCrossentropy(from_logits=True)

    metric_names: ClassVar = ("accuracy", "auc")

    def metrics(self) -> list[keras.metrics.Metric]:
        return [_share_right(), keras.metrics.AUC(from_logits=True, name="auc")]

    def decode(self, outputs: Array) -> Array:
        """Return the label that each logit stands for: `(N, 1)` to `(N,)`, 0 and 1 or names."""
        places = (np.reshape(outputs, len(outputs)) > 0).astype(np.int64)
        return np.array(self.names, dtype=object)[places] if self.names else places

    def errors(self, predicted: Array, labels: Array) -> Array:
        """Return 1.0 for a wrong label, 0.0 for the right one."""
        return np.asarray(predicted.reshape(len(labels)) != labels.reshape(len(labels)), dtype=np.float64)

    def probability(self, outputs: Array) -> float:
        """Return the mean probability, over logits `(V, 1)`, of the label that the first of them stands for."""
        positive = 1 / (1 + np.exp(-np.asarray(outputs, np.float64)))
        return float((positive if outputs.ravel()[0] > 0 else 1 - positive).mean())

    def mean_of(self, metric: str) -> MeanOf | None:
        return "right" if metric == "accuracy" else None


@dataclass(frozen=True)
class MultiLabel:
    """Any of `n` labels at once: `(N, n)` of 0 and 1 or booleans, perhaps with `names` to show them by.

    The accuracy is the share of labels that are right, so an error is the share that is wrong.

    Raises:
        ValueError: there is no label, or names that are no different texts.
    """

    n: int = 0
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        make_plain(self)
        object.__setattr__(self, "names", arguments.names("names", self.names))
        object.__setattr__(self, "n", self.n or len(self.names))
        arguments.whole("n", self.n, at_least=1)
        if self.names and self.n != len(self.names):
            raise ValueError(f"names must be one for each of {self.n} labels; got {len(self.names)}")

    @property
    def name(self) -> str:
        return f"multi-label-{self.n}"

    def head(self, features: keras.KerasTensor, name: str = "") -> keras.KerasTensor:
        """Add a logit for each label, `(B, n)`."""
        return keras.layers.Dense(self.n, name=_named(name, "logits"))(features)

    def targets(self, labels: Array) -> Array:
        """Return 0.0 or 1.0 for each label, `(N, n)`. Raises ValueError: another shape or value."""
        if labels.ndim != 2 or labels.shape[1] != self.n:
            raise ValueError(f"labels must be of shape (N, {self.n}); got {labels.shape}")
        return _zeros_and_ones(labels).astype(np.float32)

    def loss(self) -> keras.losses.Loss:
        return keras.losses.BinaryCrossentropy(from_logits=True)

    metric_names: ClassVar = ("accuracy", "auc")

    def metrics(self) -> list[keras.metrics.Metric]:
        auc = keras.metrics.AUC(from_logits=True, multi_label=True, num_labels=self.n, name="auc")
        return [_share_right(), auc]

    def decode(self, outputs: Array) -> Array:
        return np.asarray(outputs > 0, dtype=np.int64)

    def errors(self, predicted: Array, labels: Array) -> Array:
        """Return the share of labels that is wrong."""
        return np.asarray((predicted != labels).mean(axis=1), dtype=np.float64)

    def label_text(self, label: Array) -> str:
        """Return the labels that are there: "cat dog", or their numbers."""
        names = self.names or tuple(map(str, range(self.n)))
        return " ".join(name for name, is_there in zip(names, label, strict=True) if is_there) or "none"

    def mean_of(self, metric: str) -> MeanOf | None:
        return "right" if metric == "accuracy" else None


def _named(output: str, layer: str) -> str:
    """Return the name of a layer of a head; with several outputs each has its own."""
    return f"{output}_{layer}" if output else layer


def _digest(names: tuple[str, ...]) -> str:
    """Return what tells one list of names from another in the name of an encoding."""
    return f"-{hashlib.sha256(json.dumps(names).encode()).hexdigest()[:6]}" if names else ""


def _flat(labels: Array) -> Array:
    if labels.shape not in ((len(labels),), (len(labels), 1)):
        raise ValueError(f"labels must be one an image, of shape (N,) or (N, 1); got {labels.shape}")
    return labels.reshape(len(labels))


def _places(labels: Array, names: tuple[str, ...]) -> Array:
    """Return the places of labels among names. Raises ValueError: one is none of them."""
    known = {name: place for place, name in enumerate(names)}
    wrong = [label for label in labels.tolist() if label not in known]
    if wrong:
        shown = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
        raise ValueError(f"labels must be one of {shown}; got {wrong[0]!r} ({len(wrong)} unknown)")
    return np.array([known[label] for label in labels.tolist()])


def _zeros_and_ones(labels: Array) -> Array:
    if labels.dtype.kind not in "biuf":
        raise ValueError("labels must be booleans, or 0 and 1; got texts")
    wrong = labels[(labels != 0) & (labels != 1)]
    if wrong.size:
        raise ValueError(f"labels must be booleans, or 0 and 1; got {wrong[0]} ({wrong.size} others)")
    return labels


def _share_right() -> keras.metrics.Metric:
    def is_right(targets: Any, logits: Any) -> Any:
        return keras.ops.cast((logits > 0) == (targets > 0.5), "float32")

    return keras.metrics.MeanMetricWrapper(is_right, name="accuracy")

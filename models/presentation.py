"""How people and programs are shown what a label encoding reads: its own answers, or a default for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tune_jobs.models.label_encodings import Array, LabelEncoding
from tune_jobs.models.means import MeanOf
from tune_jobs.models.scales import Scale


@dataclass(frozen=True)
class Presentation:
    """The optional parts of a label encoding.

    An encoding may have any of these under the same name and with the same arguments. Where it does not, the default
    that stands beside each part is the answer.
    """

    encoding: LabelEncoding

    @property
    def error_unit(self) -> str:
        """The unit of `errors`, in the plural: "minutes". Default: none."""
        return str(getattr(self.encoding, "error_unit", ""))

    @property
    def close(self) -> float:
        """The largest error at which two readings agree. Default: 0, they agree if they are the same label."""
        return float(getattr(self.encoding, "close", 0.0))

    @property
    def scale(self) -> Scale | None:
        """The scale on which labels can be plotted. Default: none."""
        scale: Scale | None = getattr(self.encoding, "scale", None)
        return scale

    def positions(self, labels: Array) -> Array:
        """Return where labels are on the scale: `(N, ...)` to `(N,)`. Default: the labels themselves.

        Raises:
            ValueError: a position is not one number.
        """
        own = getattr(self.encoding, "positions", None)
        return _one_each("positions", labels if own is None else own(labels), len(labels))

    def errors(self, predicted: Array, labels: Array) -> Array:
        """Return the encoding's errors, `(N,)` floats. Where predictions and labels differ by an axis of 1, as `(N,)`
        and `(N, 1)` do, the labels take the shape of the predictions.

        Raises:
            ValueError: an error is not one number.
        """
        predicted, labels = np.asarray(predicted), np.asarray(labels)
        if predicted.shape != labels.shape and predicted.size == labels.size:
            labels = labels.reshape(predicted.shape)
        return _one_each("errors", self.encoding.errors(predicted, labels), len(labels))

    def errors_of(self, metric: str, predicted: Any, labels: Any) -> Array:
        """Return the errors that a metric is the mean of, `(N,)`. Default: `errors`, whichever the metric is.

        Raises:
            ValueError: as `errors`.
        """
        own = getattr(self.encoding, "errors_of", None)
        return self.errors(predicted, labels) if own is None else np.asarray(own(metric, predicted, labels))

    def label_text(self, label: Array) -> str:
        """Return one label as people write it: "10:07". Default: its numbers."""
        own = getattr(self.encoding, "label_text", None)
        return " ".join(map(_text, np.ravel(label).tolist())) if own is None else str(own(label))

    def facts(self, label: Array) -> Mapping[str, Any]:
        """Return what programs are told of one label, JSON values by name. Default: the numbers, as `label`."""
        own = getattr(self.encoding, "facts", None)
        facts = {"label": label} if own is None else own(label)
        return {name: _plain(value) for name, value in facts.items()}

    def probability(self, outputs: Array) -> float | None:
        """Return the mean softmax, over `(V, ...)` outputs, of the label that the first of them stands for.

        Default: None, for outputs that are no logits of classes.
        """
        own = getattr(self.encoding, "probability", None)
        return None if own is None else float(own(outputs))

    def unit_of(self, metric: str) -> str:
        """Return the unit of a metric. Default: that of errors if it is their mean, else none."""
        own = getattr(self.encoding, "unit_of", None)
        if own is not None:
            return str(own(metric))
        return self.error_unit if self.mean_of(metric) == "error" else ""

    def mean_of(self, metric: str) -> MeanOf | None:
        """Return what `metric`, a name of `metrics`, is the mean of over the images.

        It is "error" where each image adds its error, and "right" where it adds 1 less its error. Default: None, for a
        metric that is no such mean, or of which that is not known.
        """
        own = getattr(self.encoding, "mean_of", None)
        mean: MeanOf | None = None if own is None else own(metric)
        return mean


def _one_each(what: str, values: Any, n: int) -> Array:
    """Return `(N,)` or `(N, 1)` numbers as floats `(N,)`. Raises ValueError for others."""
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.shape not in ((n,), (n, 1)):
        raise ValueError(f"{what} must be one number for each of {n} labels; got {numbers.shape}")
    return numbers.reshape(n)


def _text(part: object) -> str:
    return f"{part:g}" if isinstance(part, float) else str(part)


def _plain(value: Any) -> Any:
    """Return a value of NumPy as Python's own, which JSON knows."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value

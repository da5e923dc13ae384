"""A label encoding for each output of a network that has several, by their names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tune_jobs.models.label_encodings import LabelEncoding, fitted, metric_names
from tune_jobs.models.means import MeanOf
from tune_jobs.models.presentation import Presentation


@dataclass(frozen=True)
class Heads:
    """The heads of several outputs: `head(features)` adds them all, `head["size"](features)` adds one."""

    by_output: Mapping[str, Callable[[Any], Any]]

    def __call__(self, features: Any) -> dict[str, Any]:
        return {name: head(features) for name, head in self.by_output.items()}

    def __getitem__(self, name: str) -> Callable[[Any], Any]:
        return self.by_output[name]

    def wrapped(self, wrap: Callable[[Callable[[Any], Any]], Callable[[Any], Any]]) -> Heads:
        return Heads({name: wrap(head) for name, head in self.by_output.items()})


@dataclass(frozen=True)
class PerOutput:
    """Encodings by the names of outputs; labels, targets and outputs are mappings with the same names.

    The metrics of an output begin with its name: `size_mae`, and `val_size_mae` on the validation part.
    """

    encodings: tuple[tuple[str, LabelEncoding], ...]

    @property
    def name(self) -> str:
        return ",".join(f"{output}={encoding.name}" for output, encoding in self.encodings)

    def fitted(self, labels: Any) -> PerOutput:
        return PerOutput(tuple((output, fitted(encoding, labels[output])) for output, encoding in self.encodings))

    @property
    def head(self) -> Heads:
        return Heads({output: _head(encoding, output) for output, encoding in self.encodings})

    def targets(self, labels: Any) -> dict[str, Any]:
        """Return the targets of each output. Raises ValueError: an output has no labels, or labels that do not fit."""
        names = [output for output, _ in self.encodings]
        if not isinstance(labels, Mapping) or set(labels) != set(names):
            given = ", ".join(labels) if isinstance(labels, Mapping) else "no mapping"
            raise ValueError(f"labels must be a mapping with {', '.join(names)}; got {given}")
        return {output: _targets(output, encoding, labels[output]) for output, encoding in self.encodings}

    def loss(self) -> dict[str, Any]:
        return {output: encoding.loss() for output, encoding in self.encodings}

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The known ones, each with its output before it, as Keras names them; and the losses."""
        of_each = [(output, ("loss", *(metric_names(encoding) or ()))) for output, encoding in self.encodings]
        return tuple(f"{output}_{name}" for output, names in of_each for name in names)

    def metrics(self) -> dict[str, Any]:
        return {output: encoding.metrics() for output, encoding in self.encodings}

    def decode(self, outputs: Any) -> dict[str, Any]:
        return {output: encoding.decode(outputs[output]) for output, encoding in self.encodings}

    def errors(self, predicted: Any, labels: Any) -> Any:
        """Return the sum of the errors of all outputs: 0 where all are right."""
        pairs = ((encoding, predicted[output], labels[output]) for output, encoding in self.encodings)
        return sum(Presentation(encoding).errors(read, true) for encoding, read, true in pairs)

    def errors_of(self, metric: str, predicted: Any, labels: Any) -> Any:
        """Return the errors of the output that a metric is of; of no output's metric, those of all together."""
        output, encoding, _ = self._of(metric)
        if encoding is None:
            return self.errors(predicted, labels)
        return Presentation(encoding).errors(predicted[output], labels[output])

    def mean_of(self, metric: str) -> MeanOf | None:
        _, encoding, name = self._of(metric)
        return None if encoding is None else Presentation(encoding).mean_of(name)

    def unit_of(self, metric: str) -> str:
        _, encoding, name = self._of(metric)
        return "" if encoding is None else Presentation(encoding).unit_of(name)

    def _of(self, metric: str) -> tuple[str, LabelEncoding | None, str]:
        """Return the output that a metric is of, its encoding, and what the metric is called there."""
        by_length = sorted(self.encodings, key=lambda pair: -len(pair[0]))  # "a_b" before "a"
        known = ((output, own, metric.removeprefix(f"{output}_")) for output, own in by_length)
        return next((each for each in known if each[2] != metric), ("", None, metric))


def _head(encoding: LabelEncoding, output: str) -> Callable[[Any], Any]:
    """Return the head of an output, whose layers have its name if the encoding gives them one."""
    takes_name = "name" in inspect.signature(encoding.head).parameters
    if takes_name:
        return lambda features: encoding.head(features, name=output)  # type: ignore[call-arg]
    return encoding.head


def _targets(output: str, encoding: LabelEncoding, labels: Any) -> Any:
    try:
        return encoding.targets(labels)
    except ValueError as error:
        raise ValueError(f"{output}: {error}") from error

"""Labels that a loss takes for places in the output: on a CPU one that is out of range ends a trial with an error of
TensorFlow, and on a GPU its loss is NaN."""

from __future__ import annotations

from typing import Any

from tune_jobs.datasets import nests
from tune_jobs.datasets.nests import Nest
from tune_jobs.models.lazy_keras import keras

_LOSS = "sparse_categorical_crossentropy"


class LabelsError(ValueError):
    """A label for which the output has no unit."""


def check(model: keras.Model, labels: Nest) -> None:
    """Check that the labels of a model with one output fit it, if its loss is the sparse cross-entropy.

    Raises:
        LabelsError: some do not.
    """
    outputs: Any = getattr(model, "outputs", None) or ()
    if len(outputs) != 1 or nests.is_nested(labels) or not _is_sparse(model.loss) or labels.dtype.kind not in "iu":
        return
    ignored = getattr(model.loss, "ignore_class", None)
    counted = labels if ignored is None else labels[labels != ignored]
    least, most, n = int(counted.min(initial=0)), int(counted.max(initial=0)), outputs[0].shape[-1]
    if n is not None and (least < 0 or most >= n):
        wrong = least if least < 0 else most
        raise LabelsError(f"the output has {n} units, for labels from 0 to {n - 1}, and a label is {wrong}")


def _is_sparse(loss: Any) -> bool:
    if isinstance(loss, keras.losses.Loss):
        return isinstance(loss, keras.losses.SparseCategoricalCrossentropy)
    return bool(getattr(loss, "__name__", loss) == _LOSS)

"""What each class counts in the loss of training, as a weight for each row: what `fit` makes of `class_weight`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tune_jobs.datasets.dataset import Array


def of_rows(targets: Any, class_weight: Mapping[str, float]) -> Array:
    """Return a weight for each row, `(N,)`, from targets that are numbers of classes or one-hot. Others count 1."""
    targets = np.asarray(targets)
    is_one_hot = targets.ndim > 1 and targets.shape[-1] != 1
    numbers = np.argmax(targets, axis=-1) if is_one_hot else np.round(targets.reshape(len(targets))).astype(np.int64)
    weights = np.ones(len(targets), np.float32)
    for number, weight in class_weight.items():
        weights[numbers == int(number)] = weight
    return weights

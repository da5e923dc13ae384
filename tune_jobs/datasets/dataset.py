"""The values that a loaded data set consists of.

A source returns an `Original`. `datasets.load` makes a `Dataset` of it, and trials see its `TrainingData` alone. Each
of the three consists of `Split`s.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tune_jobs.errors import DataError

Array = NDArray[Any]
Pairs = tuple[tuple[Array, Array], tuple[Array, Array]]  # (x, labels), (x_test, labels_test)


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set: images with their labels.

    `x`: images `(N, H, W, C)`, uint8. A task's own data set may have any other shape and type of number, if its first
    axis is N. `labels`: numbers `(N,)`, or `(N, k)` where a label has k numbers; `(N, 1)` stays so.

    Raises:
        DataError: one of them is empty or has values that are not numbers, or their lengths differ.
    """

    x: Array
    labels: Array

    def __post_init__(self) -> None:
        for name, array in (("x", self.x), ("labels", self.labels)):
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "buif":
                kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
                raise DataError(f"{name} must be a NumPy array of numbers, not {kind}")
            if array.ndim == 0 or len(array) == 0:
                raise DataError(f"{name} must hold one entry an image; its shape is {array.shape}")
        if len(self.x) != len(self.labels):
            raise DataError(f"there must be one label an image: {len(self.x)} images came with {len(self.labels)}")

    def __len__(self) -> int:
        return len(self.x)

    def take(self, indices: NDArray[np.intp]) -> Split:
        """Return a copy of the images at these places, with their labels."""
        return Split(self.x[indices], self.labels[indices])


@dataclass(frozen=True, eq=False)
class Original:
    """A data set as its makers divided it, before anything is held out for validation.

    `classes`: the names of the labels 0, 1, 2, …; empty where they have none.
    """

    train: Split
    test: Split
    classes: tuple[str, ...] = ()

    @property
    def pairs(self) -> Pairs:
        """The arrays as `keras.datasets.*.load_data` return them."""
        return (self.train.x, self.train.labels), (self.test.x, self.test.labels)


@dataclass(frozen=True, eq=False)
class TrainingData:
    """All that a search may see of a data set. It has no test part, so that no trial can read it by mistake."""

    name: str
    train: Split
    validation: Split
    digest: str  # of the whole data set, test part included
    classes: tuple[str, ...] = ()
    test_digest: str = ""  # of the test part, which says whose test split it is


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set ready for a study. Its arrays are contiguous, so that Ray maps them into workers without a copy.

    `digest`: 16 hex digits that change with any value, shape, type or place of an image in the three parts.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    digest: str
    classes: tuple[str, ...] = ()

    @property
    def training(self) -> TrainingData:
        """The data without its test part, for trials."""
        return TrainingData(
            self.name, self.train, self.validation, self.digest, self.classes, test_digest=digest(self.test)
        )


def digest(*splits: Split) -> str:
    """Return 16 hex digits of the SHA-256 of the splits' types, shapes and bytes, in this order.

    Whole numbers `(N, 1)` count like `(N,)`: earlier versions made such labels flat, and studies of classes go on.
    """
    sha = hashlib.sha256()
    for split in splits:
        for array in (split.x, _flat_if_whole(split.labels)):
            sha.update(f"{array.dtype.str} {array.shape};".encode())
            sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()[:16]


def _flat_if_whole(labels: Array) -> Array:
    is_column = labels.ndim == 2 and labels.shape[1] == 1 and labels.dtype.kind in "iu"
    return labels.reshape(len(labels)) if is_column else labels

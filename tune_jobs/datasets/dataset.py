"""What a data set is once it is loaded: images with their labels in three parts, and a digest that names them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tune_jobs.errors import DataError

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set.

    `x`: images `(N, H, W, C)`, uint8, or whatever a task's own data set gives, the first axis being N.
    `labels`: `(N,)` integers, or `(N, k)` where a label has k numbers.

    Raises:
        DataError: if there is nothing in it, the two differ in length, or their values are not numbers.
    """

    x: Array
    labels: Array

    def __post_init__(self) -> None:
        for name, array in (("x", self.x), ("labels", self.labels)):
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "buif":
                came = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
                raise DataError(f"{name} must be a NumPy array of numbers, not {came}")
            if array.ndim == 0 or len(array) == 0:
                raise DataError(f"{name} must hold one entry an image; its shape is {array.shape}")
        if len(self.x) != len(self.labels):
            raise DataError(f"there must be one label an image: {len(self.x)} images came with {len(self.labels)}")

    def __len__(self) -> int:
        return len(self.x)

    def take(self, indices: NDArray[np.intp]) -> Split:
        """The images at these places, copied."""
        return Split(self.x[indices], self.labels[indices])


@dataclass(frozen=True, eq=False)
class Original:
    """A data set as its makers divided it, before anything is held out for validation."""

    train: Split
    test: Split


@dataclass(frozen=True, eq=False)
class TrainingData:
    """All that a search may see of a data set: there is no test part in it to be read by mistake."""

    name: str
    train: Split
    validation: Split
    digest: str  # of the whole data set


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set ready for a study: plain contiguous arrays, so that Ray maps it into workers without a copy.

    `digest`: 16 hex digits that change with any value, shape, type or place of an image in the three parts.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    digest: str

    @property
    def training(self) -> TrainingData:
        """What is handed to trials."""
        return TrainingData(self.name, self.train, self.validation, self.digest)


def digest(*splits: Split) -> str:
    """16 hex digits of the SHA-256 of the splits' types, shapes and bytes, in this order."""
    sha = hashlib.sha256()
    for split in splits:
        for array in (split.x, split.labels):
            sha.update(f"{array.dtype.str} {array.shape};".encode())
            sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()[:16]

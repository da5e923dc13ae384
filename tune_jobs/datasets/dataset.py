"""The values that a loaded data set consists of.

A source returns an `Original`. `datasets.load` makes a `Dataset` of it, and trials see its `TrainingData` alone. Each
of the three consists of `Split`s.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tune_jobs.datasets import nests
from tune_jobs.datasets.folds import Folds
from tune_jobs.datasets.nests import Array, Nest
from tune_jobs.errors import DataError

__all__ = [
    "AnyTrainingData",
    "Array",
    "Dataset",
    "Nest",
    "Original",
    "Pairs",
    "Split",
    "StreamedData",
    "TrainingData",
    "digest",
]

Pairs = tuple[tuple[Array, Array], tuple[Array, Array]]  # (x, labels), (x_test, labels_test)


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set: inputs with their labels, perhaps weighted.

    `x`: images `(N, H, W, C)`, uint8. A task's own data set may have any other shape, and any type of number or text,
    if its first axis is N. `labels`: `(N,)`, or `(N, k)` where a label has k numbers; `(N, 1)` stays so. `weights`:
    numbers `(N, ...)`, what each row counts in the loss. Each may be a mapping or tuple of such arrays.

    Raises:
        DataError: one of them is empty or has values that are neither numbers nor texts, or their lengths differ.
    """

    x: Nest
    labels: Nest
    weights: Nest | None = None

    def __post_init__(self) -> None:
        for name in ("x", "labels", "weights"):
            _check_arrays(name, getattr(self, name))
        for name, array in nests.leaves(self.labels, "labels"):
            if len(array) != len(self):
                what = "" if name == "labels" else f" in {name}"
                raise DataError(f"there must be one label an image: {len(self)} images came with {len(array)}{what}")
        for name, array in (*nests.leaves(self.x, "x"), *nests.leaves(() if self.weights is None else self.weights)):
            if len(array) != len(self):
                raise DataError(f"there must be one row for each of {len(self)}; {name or 'weights'} has {len(array)}")

    def __len__(self) -> int:
        return nests.size(self.x)

    def take(self, indices: NDArray[np.intp]) -> Split:
        """Return a copy of the rows at these places."""
        weights = None if self.weights is None else nests.rows(self.weights, indices)
        return Split(nests.rows(self.x, indices), nests.rows(self.labels, indices), weights)


def _check_arrays(name: str, nest: Nest | None) -> None:
    if nest is None and name == "weights":
        return
    if nests.is_nested(nest) and not nests.arrays(nest):
        raise DataError(f"{name} must hold at least one array; got {nest!r}")
    for place, array in nests.leaves(nest, name):
        kinds = "buif" if name == "weights" else "buifO"
        if not isinstance(array, np.ndarray) or array.dtype.kind not in kinds:
            kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise DataError(f"{place} must be a NumPy array of numbers, not {kind}")
        if array.ndim == 0 or len(array) == 0:
            raise DataError(f"{place} must hold one entry an image; its shape is {array.shape}")


@dataclass(frozen=True)
class TableColumn:
    """A column of a table in the input: numbers, or texts, of which each of `values` is a column of 0 and 1."""

    name: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Original:
    """A data set as its makers divided it, before anything is held out for validation.

    `classes`: the names of the labels 0, 1, 2, …; empty where they have none. `groups` has a whole number for each row
    of `train`, equal for rows that may not be divided. With `in_order` the last rows are held out.
    """

    train: Split
    test: Split
    classes: tuple[str, ...] = ()
    validation: Split | None = None
    groups: NDArray[np.intp] | None = None
    in_order: bool = False
    columns: tuple[TableColumn, ...] = ()  # of a table, from which the input is a matrix

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
    folds: Folds | None = None  # of `train`, which has all rows then; `validation` is what the first one holds out
    columns: tuple[TableColumn, ...] = ()  # that the input is made of, where it is a table

    def fold(self, number: int) -> TrainingData:
        """Return what one fold, counted from 0, trains on and is scored on."""
        assert self.folds is not None
        train, held_out = self.folds.trained_on(number), self.folds.held_out(number)
        return replace(self, train=self.train.take(train), validation=self.train.take(held_out), folds=None)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set ready for a study. Its arrays are contiguous, so that Ray maps them into workers without a copy.

    `digest`: 16 hex digits that change with any value, shape, type or place of an image in the three parts;
    `test_digest`: those of the test part alone.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    digest: str
    classes: tuple[str, ...] = ()
    test_digest: str = ""
    folds: Folds | None = None  # as those of `TrainingData`, and so are the columns
    columns: tuple[TableColumn, ...] = ()

    @property
    def training(self) -> TrainingData:
        """The data without its test part, for trials."""
        return TrainingData(
            self.name,
            self.train,
            self.validation,
            self.digest,
            self.classes,
            self.test_digest,
            self.folds,
            self.columns,
        )


@dataclass(frozen=True, eq=False)
class StreamedData:
    """A data set of batches that the task's own function opens, part by part. Nothing of it is in memory."""

    name: str
    digest: str  # of what it says of itself

    @property
    def test_digest(self) -> str:
        """What says whose test part it is: that of the same name and version."""
        return self.digest

    @property
    def training(self) -> StreamedData:
        """The same: a trial opens the parts for training and validation."""
        return self

    @property
    def test(self) -> None:
        """None: an evaluation opens the part for tests."""
        return None


AnyTrainingData = TrainingData | StreamedData


def digest(*splits: Split) -> str:
    """Return 16 hex digits of the SHA-256 of the splits' types, shapes and bytes, in this order.

    Whole numbers `(N, 1)` count like `(N,)`: earlier versions made such labels flat, and studies of classes go on.
    """
    sha = hashlib.sha256()
    for split in splits:
        for name, array in _leaves(split):
            sha.update(f"{name}{array.dtype.str} {array.shape};".encode())
            if array.dtype.kind == "O":
                sha.update(json.dumps(array.tolist()).encode())
            else:
                sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()[:16]


def digest_of_folds(train: Split, folds: Folds, test: Split) -> str:
    """Return 16 hex digits as `digest` does, which change with any row's fold, too."""
    sha = hashlib.sha256(f"{digest(train, test)} {folds.n} {folds.in_order} ".encode())
    sha.update(folds.blocks.astype("<i8").tobytes())
    return sha.hexdigest()[:16]


def _leaves(split: Split) -> Iterator[tuple[str, Array]]:
    """Yield the arrays that a digest counts, with their names in a nest."""
    yield from nests.leaves(split.x)
    yield from nests.leaves(nests.mapped(_flat_if_whole, split.labels))
    if split.weights is not None:
        yield from nests.leaves(split.weights, "weights")


def _flat_if_whole(labels: Array) -> Array:
    is_column = labels.ndim == 2 and labels.shape[1] == 1 and labels.dtype.kind in "iu"
    return labels.reshape(len(labels)) if is_column else labels

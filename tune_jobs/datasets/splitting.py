"""Holds part of a data set out, the same part each time and with each class in its share.

The order comes from `np.random.Generator(PCG64(seed)).permutation`. NumPy does not promise that stream for all
its versions (NEP 19); should it ever change, the digest of the data changes with it and a study says so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tune_jobs.datasets.dataset import Array, Split
from tune_jobs.errors import DataError

Indices = NDArray[np.intp]

_SEED = 0  # one for all: another would only be another arbitrary split, and scores could not be compared


def hold_out(split: Split, part: int | float) -> tuple[Split, Split]:
    """What stays and what is held out, each in the order the images had.

    `part` is a number of images, or a fraction of them. Each class gives its share, to within one image.

    Raises:
        DataError: if `part` leaves either side without an image.
    """
    held = _stratified(split.labels, _count(part, len(split)))
    stays = np.setdiff1d(np.arange(len(split)), held, assume_unique=True)
    return split.take(stays), split.take(held)


def _count(part: int | float, n: int) -> int:
    is_fraction = isinstance(part, float) and 0 < part < 1
    count = round(part * n) if is_fraction else part
    if not isinstance(count, int) or isinstance(count, bool) or not 0 < count < n:
        raise DataError(
            f"the images held out must be a number from 1 to {n - 1} or a fraction of the {n} there are, not {part}"
        )
    return count


def _stratified(labels: Array, n_held: int) -> Indices:
    """`n_held` places, ascending, drawn from each class in proportion to its size."""
    classes, sizes = _classes(labels)
    order = np.random.Generator(np.random.PCG64(_SEED)).permutation(len(labels))
    by_class = order[np.argsort(classes[order], kind="stable")]  # class after class, shuffled inside each
    place_in_class = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(by_class[place_in_class < np.repeat(_quotas(sizes, n_held), sizes)])


def _classes(labels: Array) -> tuple[Indices, Indices]:
    """The class of each label `(N,)`, counted from zero, and the size of each class; measurements have no classes."""
    if labels.dtype.kind == "f":
        return np.zeros(len(labels), dtype=np.intp), np.array([len(labels)])
    _, classes, sizes = np.unique(labels, axis=0, return_inverse=True, return_counts=True)
    return classes.reshape(-1), sizes


def _quotas(sizes: Indices, n_held: int) -> Indices:
    """How many each class gives: its share rounded down, then one more to those that lost most (largest remainder).

    Among those that lost as much it is drawn: in their own order it would be the first hours of a clock.
    """
    quotas, lost = np.divmod(sizes * n_held, sizes.sum())
    drawn = np.random.Generator(np.random.PCG64(_SEED)).permutation(len(sizes))
    most_lost = np.lexsort((drawn, -lost))
    quotas[most_lost[: n_held - quotas.sum()]] += 1
    return quotas

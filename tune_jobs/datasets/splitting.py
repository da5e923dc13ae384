"""Hold out part of a data set: the same images each time, and each class in its share.

The order comes from `np.random.Generator(PCG64(seed)).permutation`. NumPy does not promise that stream for all its
versions (NEP 19). Should it ever change, the digest of the data changes with it, and a study begun before says so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tune_jobs.datasets import nests
from tune_jobs.datasets.dataset import Original, Split
from tune_jobs.datasets.nests import Array, Nest
from tune_jobs.errors import DataError
from tune_jobs.models.plain_values import plain

Indices = NDArray[np.intp]

TEST_SHARE = 0.2  # of a data set that its makers did not divide

_SEED = 0  # one for all: another seed would only be another arbitrary split, and scores could not be compared


def hold_out(
    split: Split, part: int | float, *, groups: Indices | None = None, in_order: bool = False
) -> tuple[Split, Split]:
    """Divide a split in two: the images that stay, and those held out. Both keep the order of the images.

    `part` is the number of images to hold out, or a fraction of them. Each class gives its share, to within one image.
    With `groups`, one number a row, whole groups are held out, as near to `part` as they come. With `in_order` the last
    rows are held out, or the groups that end last.

    Raises:
        DataError: `part` leaves either side without an image.
    """
    stays, held_out = places(split, part, groups=groups, in_order=in_order)
    return split.take(stays), split.take(held_out)


def divided(split: Split, name: str, classes: tuple[str, ...] = ()) -> Original:
    """Return a data set that its makers did not divide, with `TEST_SHARE` of each class as its test part.

    Raises:
        DataError: it is too small; the message begins with its name.
    """
    try:
        train, test = hold_out(split, TEST_SHARE)
    except DataError as error:
        raise DataError(f"cannot take a test part from {name}: {error}") from error
    return Original(train, test, classes)


def places(
    split: Split, part: int | float, *, groups: Indices | None = None, in_order: bool = False
) -> tuple[Indices, Indices]:
    """Return the places of the images that stay and of those held out, as `hold_out` divides them."""
    count = _count(part, len(split))
    if groups is not None:
        held_out = _whole_groups(groups, count, in_order=in_order)
    elif in_order:
        held_out = np.arange(len(split) - count, len(split))
    else:
        held_out = _stratified(_strata(split.labels), count)
    return np.setdiff1d(np.arange(len(split)), held_out, assume_unique=True), held_out


def _whole_groups(groups: Indices, count: int, *, in_order: bool) -> Indices:
    """Return the places of groups that have about `count` rows together: drawn, or those that end last."""
    numbers, group_of, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(numbers) < 2:
        raise DataError(f"rows of one group are not divided, and all {len(groups)} rows are of one group")
    if in_order:
        last_row = np.zeros(len(numbers), np.intp)
        np.maximum.at(last_row, group_of, np.arange(len(groups)))
        order = np.argsort(-last_row)
    else:
        order = drawn_order(len(numbers))
    totals = np.cumsum(sizes[order])[:-1]  # at least one group stays
    n_held_out = int(np.abs(totals - count).argmin()) + 1
    return np.flatnonzero(np.isin(group_of, order[:n_held_out]))


def drawn_order(n: int) -> Indices:
    """Return the numbers from 0 to `n - 1` in the one order that all divisions draw from."""
    return np.random.Generator(np.random.PCG64(_SEED)).permutation(n)


def classes_of(labels: Nest) -> Indices:
    """Return the number of each row's class, `(N,)`: what rows are stratified by. Measurements are of one class."""
    return _classes(_strata(labels))[0]


def _strata(labels: Nest) -> Array:
    """Return what the images are stratified by: their labels; of several outputs, those that are no measurements."""
    if not nests.is_nested(labels):
        return np.asarray(labels)
    parts = [_classes(array)[0] for array in nests.arrays(labels) if array.dtype.kind != "f"]
    return np.stack(parts, axis=1) if parts else np.zeros(nests.size(labels))


def _count(part: int | float, n_images: int) -> int:
    part = plain(part)
    is_fraction = isinstance(part, float) and 0 < part < 1
    count = round(part * n_images) if is_fraction else part
    if not isinstance(count, int) or isinstance(count, bool) or not 0 < count < n_images:
        raise DataError(
            f"the images held out must be a number from 1 to {n_images - 1} or a fraction of the {n_images} there are, "
            f"not {part}{f', which is {count}' if is_fraction else ''}"
        )
    return count


def _stratified(labels: Array, n_held_out: int) -> Indices:
    """Draw `n_held_out` places from each class in proportion to its size, and return them in ascending order."""
    classes, sizes = _classes(labels)
    order = drawn_order(len(labels))
    by_class = order[np.argsort(classes[order], kind="stable")]  # class after class, shuffled inside each
    place_in_class = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(by_class[place_in_class < np.repeat(_quotas(sizes, n_held_out), sizes)])


def _classes(labels: Array) -> tuple[Indices, Indices]:
    """Return the class of each label `(N,)`, counted from zero, and the size of each class.

    Labels that are measurements (floats) count as one class.
    """
    if labels.dtype.kind == "f":
        return np.zeros(len(labels), dtype=np.intp), np.array([len(labels)])
    labels = labels.astype(str) if labels.dtype.kind == "O" else labels
    _, classes, sizes = np.unique(labels, axis=0, return_inverse=True, return_counts=True)
    return classes.reshape(-1), sizes


def _quotas(sizes: Indices, n_held_out: int) -> Indices:
    """Return how many images each class gives, by the method of the largest remainder.

    Each class gives its share rounded down, and one more if it lost most by that. Ties are drawn: the order of the
    classes would favour the first hours of a clock.
    """
    quotas, remainders = np.divmod(sizes * n_held_out, sizes.sum())
    drawn = drawn_order(len(sizes))
    largest_first = np.lexsort((drawn, -remainders))
    quotas[largest_first[: n_held_out - quotas.sum()]] += 1
    return quotas

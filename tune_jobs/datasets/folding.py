"""The folds of a cross-validation: which rows are held out in which fold, the same ones each time.

Each class is in each fold in its share, as where one part is held out (`splitting.py`), and rows of a group are in one
fold. Rows in the order of time are chained forward: each fold is trained on what came before it, and nothing later.
"""

from __future__ import annotations

import numpy as np

from tune_jobs.datasets import nests
from tune_jobs.datasets.folds import Folds
from tune_jobs.datasets.nests import Nest
from tune_jobs.datasets.splitting import Indices, classes_of, drawn_order
from tune_jobs.errors import DataError


def folds_of(labels: Nest, n: int, *, groups: Indices | None = None, in_order: bool = False) -> Folds:
    """Divide the rows of these labels into `n` folds.

    With `groups`, one number a row, no group is in two folds. With `in_order` there are `n + 1` blocks of time, or of
    groups in the order in which they end.

    Raises:
        DataError: there are too few rows or groups for so many folds.
    """
    size = nests.size(labels)
    _check(n, n + in_order, size, "rows" if groups is None else "groups", groups)
    if groups is None:
        return Folds(n, _in_time(size, n) if in_order else _dealt(labels, n), in_order)
    return Folds(n, _groups_in_time(groups, n) if in_order else _balanced(groups, n), in_order)


def _check(n: int, least: int, size: int, what: str, groups: Indices | None) -> None:
    count = size if groups is None else len(np.unique(groups))
    if count < least:
        raise DataError(f"{n} folds need at least {least} {what}, and there are {count}")


def _dealt(labels: Nest, n: int) -> Indices:
    """Deal the rows out class after class, shuffled inside each: classes and folds differ by a row at most."""
    blocks = np.empty(nests.size(labels), np.intp)
    order = drawn_order(len(blocks))
    blocks[order[np.argsort(classes_of(labels)[order], kind="stable")]] = np.arange(len(blocks)) % n
    return blocks


def _balanced(groups: Indices, n: int) -> Indices:
    """Give each group, the largest first, to the fold that has the fewest rows."""
    _, group_of, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    drawn, rows = drawn_order(len(sizes)), np.zeros(n, np.intp)
    block_of = np.empty(len(sizes), np.intp)
    for group in drawn[np.argsort(-sizes[drawn], kind="stable")]:
        block_of[group] = rows.argmin()
        rows[block_of[group]] += sizes[group]
    return block_of[group_of]


def _in_time(size: int, n: int) -> Indices:
    """Return blocks of equal length, the first one with what is left over."""
    length = size // (n + 1)
    return np.maximum(0, n - (size - 1 - np.arange(size)) // length)


def _groups_in_time(groups: Indices, n: int) -> Indices:
    """Return blocks of equally many groups, which are in the order of their last rows."""
    numbers, group_of = np.unique(groups, return_inverse=True)
    last_row = np.zeros(len(numbers), np.intp)
    np.maximum.at(last_row, group_of, np.arange(len(groups)))
    block_of = np.empty(len(numbers), np.intp)
    block_of[np.argsort(last_row)] = _in_time(len(numbers), n)
    return block_of[group_of]

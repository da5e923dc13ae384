"""Loads a data set by its name, or from a task's own function, and holds a validation part out.

One source a file. Nothing here trains, and nothing else reads the test part but what is asked to evaluate.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from tune_jobs.datasets import cifar10, digits, mnist, own
from tune_jobs.datasets.clocks import faces, files
from tune_jobs.datasets.dataset import Dataset, Original, Split, TrainingData, digest
from tune_jobs.datasets.own import LoadData
from tune_jobs.datasets.splitting import hold_out
from tune_jobs.errors import DataError
from tune_jobs.search_spaces.task import Task

__all__ = ["Dataset", "LoadData", "Split", "TrainingData", "load", "names", "of_task", "whereabouts"]

_SOURCES: Mapping[str, Callable[[Path], Original]] = {
    "digits": lambda _data_dir: digits.load(),
    "mnist": lambda data_dir: mnist.load(mnist.MNIST, data_dir),
    "fashion-mnist": lambda data_dir: mnist.load(mnist.FASHION_MNIST, data_dir),
    "cifar10": lambda data_dir: cifar10.load(cifar10.CIFAR10, data_dir),
    **{name: partial(faces.load, drawn) for name, drawn in faces.SETS.items()},
    files.NAME: files.load,
}


def names() -> tuple[str, ...]:
    """The data sets that are known by a name."""
    return tuple(_SOURCES)


def whereabouts(name: str, data_dir: Path) -> str:
    """Where a data set of a name is, without reading it.

    Raises:
        DataError: if it would have to be downloaded or drawn first, or cannot be had.
    """
    if name in faces.SETS:
        return str(faces.locate(faces.SETS[name], data_dir))
    if name == files.NAME:
        return str(files.locate(data_dir))
    if name == cifar10.CIFAR10.name:
        return str(cifar10.locate(cifar10.CIFAR10, data_dir))
    collection = next((known for known in (mnist.MNIST, mnist.FASHION_MNIST) if known.name == name), None)
    return "comes with scikit-learn" if collection is None else str(mnist.locate(collection, data_dir))


def load(source: str | LoadData, *, data_dir: Path, validation: int | float, images: int | None = None) -> Dataset:
    """The data set of this name, or that this function loads, with its training part divided in two.

    `validation` images (or that fraction of them) are taken from the training part, each class in its share, and
    always the same ones. `images` of the rest are kept to train on, each class in its share, where not all are.

    Raises:
        DataError: in one line, if there is no such data set, it cannot be had, is damaged, or is too small.
    """
    name = source if isinstance(source, str) else own.name_of(source)
    original = _from_name(source, data_dir) if isinstance(source, str) else own.load(source)
    try:
        train, held_out = hold_out(original.train, validation)
        if images is not None and images < len(train):
            _, train = hold_out(train, images)
    except DataError as error:
        raise DataError(f"cannot take a validation part from {name}: {error}") from error
    train, held_out, test = _contiguous(train), _contiguous(held_out), _contiguous(original.test)
    return Dataset(name, train, held_out, test, digest(train, held_out, test))


def of_task(task: Task, data_dir: Path) -> Dataset:
    """The data of a task, divided as its protocol says.

    Raises:
        DataError: as `load`.
    """
    protocol = task.protocol
    return load(task.dataset, data_dir=data_dir, validation=protocol.validation, images=protocol.images)


def _from_name(name: str, data_dir: Path) -> Original:
    if name not in _SOURCES:
        near = difflib.get_close_matches(name, names(), n=3)
        hint = f"near it: {', '.join(near)}" if near else f"there are {', '.join(names())}"
        raise DataError(f"no data set named {name!r}; {hint}")
    return _SOURCES[name](data_dir)


def _contiguous(split: Split) -> Split:
    return Split(np.ascontiguousarray(split.x), np.ascontiguousarray(split.labels))

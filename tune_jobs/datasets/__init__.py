"""Load a data set by its name, or by a task's own function, and hold out a validation part.

Each data set that everybody can have is a `Source` in a file of its own. To add one, write such a file and add its
source to `SOURCES`. The user's own are functions, folders of images and tables. Nothing here trains. Only an evaluation
reads the test part.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from tune_jobs.datasets import checking, cifar10, digits, in_folder, mnist, nests, own
from tune_jobs.datasets.clocks import faces, files
from tune_jobs.datasets.dataset import (
    AnyTrainingData,
    Dataset,
    Original,
    Split,
    StreamedData,
    TrainingData,
    digest,
    digest_of_folds,
)
from tune_jobs.datasets.folding import folds_of
from tune_jobs.datasets.image_folders.loading import ImageFolder, image_folder
from tune_jobs.datasets.image_folders.reading import form_of
from tune_jobs.datasets.own import LoadData
from tune_jobs.datasets.progress import silent
from tune_jobs.datasets.source import Source
from tune_jobs.datasets.splitting import hold_out, places
from tune_jobs.datasets.tables import Table, table
from tune_jobs.errors import DataError
from tune_jobs.search_spaces import function_names
from tune_jobs.search_spaces.protocol import DEFAULT_VALIDATION, Protocol
from tune_jobs.search_spaces.spelling import near
from tune_jobs.search_spaces.streamed import Streamed
from tune_jobs.search_spaces.task import Task
from tune_jobs.words import Say

__all__ = [
    "SOURCES",
    "AnyTrainingData",
    "Dataset",
    "LoadData",
    "Original",
    "Source",
    "Split",
    "StreamedData",
    "TrainingData",
    "check_fits",
    "check_steady",
    "image_folder",
    "load",
    "load_for_task",
    "locate",
    "names",
    "on_data",
    "some_of",
    "table",
    "training_data",
]

SOURCES: tuple[Source, ...] = (digits.SOURCE, *mnist.SOURCES, cifar10.SOURCE, *faces.SOURCES, files.SOURCE)


def names() -> tuple[str, ...]:
    """Return the names of all data sets that a task can name."""
    return tuple(source.name for source in SOURCES)


def locate(name: str, data_dir: Path) -> str:
    """Return where a named data set is, without reading it.

    Raises:
        DataError: no data set has this name, or its files are missing (they may have to be downloaded or drawn first).
    """
    return str(_source(name, data_dir).locate(data_dir))


def load(
    data: str | LoadData,
    *,
    data_dir: Path,
    validation: int | float,
    images: int | None = None,
    folds: int | None = None,
    check: Callable[[Original], None] | None = None,
    say: Say = silent,
) -> Dataset:
    """Load a data set, by its name or by a function, and divide its training part in two.

    `validation` is the number of images to hold out from the training part, or a fraction of them. `images` limits how
    many of the others are kept to train on. Both draw each class in its share, and the same images every time, unless
    the data set says how it is divided. With `folds` nothing is held out: the training part, or `images` of it, is
    divided into so many folds. `check` may refuse the data before they are divided. `say` shows messages on what takes
    long.

    Raises:
        DataError: in one line, if there is no such data set, or it is missing, damaged or too small.
    """
    name = data if isinstance(data, str) else function_names.name(data)
    original = _original(data, data_dir, say)
    try:
        if check is not None:
            check(original)
    except DataError as error:
        raise DataError(f"the data set {name} cannot be used: {error}") from error
    if folds is not None:
        return _in_folds(name, original, folds, images)
    try:
        train, held_out = _divided(original, validation)
        if images is not None and images < len(train):
            _, train = hold_out(train, images, in_order=original.in_order)
    except DataError as error:
        raise DataError(f"cannot take a validation part from {name}: {error}") from error
    train, held_out, test = _contiguous(train), _contiguous(held_out), _contiguous(original.test)
    of_all = digest(train, held_out, test)
    return Dataset(name, train, held_out, test, of_all, original.classes, digest(test), None, original.columns)


def _in_folds(name: str, original: Original, n: int, images: int | None) -> Dataset:
    if original.validation is not None:
        raise DataError(
            f"the data set {name} has a part for validation of its own, and the protocol asks for {n} folds: leave one "
            "of them out"
        )
    train, groups = original.train, original.groups
    try:
        if images is not None and images < len(train):
            _, kept = places(train, images, in_order=original.in_order)
            train, groups = train.take(kept), None if groups is None else groups[kept]
        folds = folds_of(train.labels, n, groups=groups, in_order=original.in_order)
    except DataError as error:
        raise DataError(f"cannot take {n} folds from {name}: {error}") from error
    train, test = _contiguous(train), _contiguous(original.test)
    first = train.take(folds.held_out(0))
    of_all, of_test = digest_of_folds(train, folds, test), digest(test)
    return Dataset(name, train, first, test, of_all, original.classes, of_test, folds, original.columns)


def training_data(task: Task, data_dir: Path, say: Say = silent) -> AnyTrainingData | None:
    """Load what the trials of a task see of its data; None for a task that runs a function.

    Raises:
        DataError: as `load_for_task`.
    """
    return None if task.dataset is None else load_for_task(task, data_dir, say).training


def _divided(original: Original, validation: int | float) -> tuple[Split, Split]:
    """Return what is trained on and what trials are scored on."""
    if original.validation is None:
        return hold_out(original.train, validation, groups=original.groups, in_order=original.in_order)
    if validation != DEFAULT_VALIDATION:
        raise DataError(f"it has one of its own, and the protocol asks for validation={validation}: leave that out")
    return original.train, original.validation


def load_for_task(task: Task, data_dir: Path, say: Say = silent) -> Dataset | StreamedData:
    """Load the data of a task that has some, divided as its protocol says. Batches that are streamed are not read.

    Raises:
        DataError: as `load`, or a network of the task cannot be trained on the data.
    """
    if isinstance(task.dataset, Streamed):
        return _streamed(task.dataset, task.protocol)
    return _whole(task, data_dir, say)


def _whole(task: Task, data_dir: Path, say: Say) -> Dataset:
    """Load the data of a task that are not streamed."""
    protocol = task.protocol
    assert task.dataset is not None
    assert not isinstance(task.dataset, Streamed)
    return load(
        task.dataset,
        data_dir=data_dir,
        validation=protocol.validation,
        images=protocol.images,
        folds=protocol.folds,
        check=functools.partial(checking.check_for_task, task),
        say=say,
    )


def some_of(data: TrainingData, n: int) -> TrainingData:
    """Return the data with `n` images to train on, each class in its share, and the same ones every time.

    Raises:
        DataError: there are not more than `n`.
    """
    return replace(data, train=_contiguous(hold_out(data.train, n)[1]))


def on_data(task: Task, name: str | None) -> Task:
    """Return the task on the data set of this name; None is its own."""
    return task if name is None else replace(task, dataset=name)


def check_fits(data: AnyTrainingData, task: Task, data_dir: Path, say: Say = silent) -> None:
    """Check that data in place of a task's own have input of the same form: as many axes, and the same kind of number.

    Loading them has checked that the task's encoding takes their labels. Data of the task's own that cannot be had are
    not compared, with a message.

    Raises:
        DataError: they have another form.
    """
    form = checking.IMAGES
    if isinstance(data, StreamedData) or isinstance(task.dataset, Streamed):
        return  # nothing of it is read here
    if task.dataset not in names():
        try:
            form = checking.form(_whole(task, data_dir, say).train.x)
        except DataError as error:
            say(f"the data set {data.name} is not compared with that of task {task.name}: {error}")
            return
    if (given := checking.form(data.train.x)) != form:
        raise DataError(
            f"the data set {data.name} does not fit task {task.name!r}: its input has {given}, and the task's own has "
            f"{form}"
        )


def _streamed(dataset: Streamed, protocol: Protocol) -> StreamedData:
    if unused := [name for name in protocol.about_data if name != "batch_size"]:
        raise DataError(
            f"the data set {dataset.data_name} is streamed, and divides itself: leave {' and '.join(unused)} out"
        )
    return StreamedData(dataset.data_name, dataset.digest)


def check_steady(task: Task, digest: str, data_dir: Path) -> None:
    """Check that a task's own function returns the same data again; `digest` is that of what it returned before.

    Raises:
        DataError: it does not.
    """
    is_function = not isinstance(task.dataset, str | ImageFolder | Table | Streamed)
    if is_function and load_for_task(task, data_dir).digest != digest:
        raise DataError(
            f"the data set {task.dataset_name} has other data each time it is called, so that no study on it can go "
            "on: give its random generator a seed, as in default_rng(0)"
        )


def _original(data: str | LoadData, data_dir: Path, say: Say) -> Original:
    if isinstance(data, str):
        return _source(data, data_dir).load(data_dir, say)
    return data.load(data_dir, say) if isinstance(data, ImageFolder | Table) else own.load(data)


def _source(name: str, data_dir: Path) -> Source:
    known = next((source for source in SOURCES if source.name == name), None)
    base, _, size = name.partition("@")
    if size and base == files.NAME:
        return files.source(form_of(size))
    source = known or in_folder.find(name, data_dir)
    if source is None:
        raise DataError(
            f"no data set named {name!r}{near(base, (*names(), *in_folder.names(data_dir)))}; there are "
            f"{', '.join(names())}, and what lies in "
            f"{data_dir}: {in_folder.KINDS}"
        )
    return source


def _contiguous(split: Split) -> Split:
    weights = None if split.weights is None else nests.mapped(np.ascontiguousarray, split.weights)
    return Split(nests.mapped(np.ascontiguousarray, split.x), nests.mapped(np.ascontiguousarray, split.labels), weights)

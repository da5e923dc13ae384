"""The classes of an image folder and the files of each: what a tree of files has to be to become a data set."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from tune_jobs.datasets import checking
from tune_jobs.datasets.dataset import Array
from tune_jobs.datasets.image_folders import tree
from tune_jobs.datasets.image_folders.tree import Entry, Tree
from tune_jobs.errors import DataError
from tune_jobs.words import one_line

TOP = PurePosixPath()
_VALIDATION = ("valid", "validation", "val")  # names of the folder with the part that trials are scored on


LabelOf = Callable[[PurePosixPath], Any]  # the place of a file below the top to its label: a number or several


@dataclass(frozen=True, eq=False)
class Listing:
    """The images of a folder or zip, part by part: all in one, or those to train on, perhaps those to score trials on,
    and those to test on. `labels` has the label of each image. `classes` are the names of the labels 0, 1, 2, … where
    the labels are class folders."""

    tree: Tree
    parts: tuple[tuple[Entry, ...], ...]
    labels: Array
    classes: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Entry, ...]:
        return tuple(itertools.chain(*self.parts))


def read(root: Path, label: LabelOf | None = None) -> Listing:
    """List the images of a folder or zip, which may have its folders `train`, `valid` and `test`, and all in one folder
    inside.

    Their labels are the class folders that they lie in, or what `label` returns for the place of each.

    Raises:
        DataError: in one line: there are fewer than two class folders, one of them is empty or has folders in it, or an
            image lies outside of them; or `label` fails or returns neither numbers nor texts.
    """
    listed = tree.read(root)
    folders = _parts(listed)
    if label is None:
        return _by_class(listed, [_classes(listed, folder) for folder in folders])
    parts = tuple(_images(listed, folder) for folder in folders)
    return Listing(listed, parts, _labels(listed, list(itertools.chain(*parts)), label))


def _parts(listed: Tree) -> list[PurePosixPath]:
    """Return the folder with all images, or those of the parts."""
    top = _top(listed)
    folders = {folder.name.lower(): folder for folder in listed.inside(top)}
    if "train" not in folders or not folders.keys() <= {"train", *_VALIDATION, "test"}:
        return [top]
    validation = [folders[name] for name in _VALIDATION if name in folders]
    if "test" not in folders or len(validation) > 1:
        has = _words([folder.name for folder in folders.values()])
        raise DataError(f"{listed.shown(top)} needs the folders train and test, and perhaps valid; it has {has}")
    return [folders["train"], *validation, folders["test"]]


def _top(listed: Tree) -> PurePosixPath:
    """Return the folder that holds the others: archives often have one folder round all that is in them."""
    top = TOP
    while len(folders := listed.inside(top)) == 1 and listed.inside(folders[0]) and not listed.below(top):
        top = folders[0]
    return top


def _classes(listed: Tree, top: PurePosixPath) -> dict[str, list[Entry]]:
    """Return the files of each class folder, by its name."""
    beside = [entry for entry in listed.below(top) if _is_image(entry)]
    folders = listed.inside(top)
    if beside:
        raise DataError(
            f"{listed.shown(beside[0].place)} lies in no class folder: an image folder has a folder for each class, "
            "with the images of the class in it"
        )
    if len(folders) < 2:
        has = f"only {folders[0].name!r}" if folders else "none"
        raise DataError(f"{listed.shown(top)} needs a folder for each of two classes or more; it has {has}")
    for folder in folders:
        if inner := listed.inside(folder):
            raise DataError(f"{listed.shown(inner[0])} is a folder in a class folder, which has to hold images alone")
        if not listed.below(folder):
            raise DataError(f"{listed.shown(folder)} has no images in it: remove the folder, or put its images there")
    return {folder.name: listed.below(folder) for folder in folders}


def _by_class(listed: Tree, parts: Sequence[dict[str, list[Entry]]]) -> Listing:
    classes = tuple(parts[0])
    number = {name: number for number, name in enumerate(classes)}
    for part in parts[1:]:
        if only := sorted(part.keys() - number.keys()):
            place = listed.shown(part[only[0]][0].place.parent)
            raise DataError(f"{place} is a class that the folder train does not have")
    files = tuple(tuple(itertools.chain(*part.values())) for part in parts)
    labels = [number[name] for part in parts for name, entries in part.items() for _ in entries]
    return Listing(listed, files, np.array(labels, dtype=np.int64), classes)


def _images(listed: Tree, folder: PurePosixPath) -> tuple[Entry, ...]:
    """Return the image files below a folder, whatever else lies there."""
    images = tuple(entry for entry in listed.files if _is_image(entry) and entry.place.is_relative_to(folder))
    if not images:
        raise DataError(f"{listed.shown(folder)} has no images in it")
    return images


def _is_image(entry: Entry) -> bool:
    return entry.place.suffix.lower() in Image.registered_extensions()


def _labels(listed: Tree, files: Sequence[Entry], label: LabelOf) -> Array:
    labels = []
    for entry in files:
        try:
            labels.append(label(entry.place))
        except Exception as error:  # from the user's own function
            why = str(error) if isinstance(error, ValueError) else one_line(error)
            raise DataError(f"{listed.shown(entry.place)} has no label: {why}") from error
    return checking.array(labels, "labels")


def _words(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last

"""The classes of an image folder and the files of each: what a tree of files has to be to become a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

from tune_jobs.datasets.image_folders import tree
from tune_jobs.datasets.image_folders.tree import Entry, Tree
from tune_jobs.errors import DataError

TOP = PurePosixPath()
PARTS = ("train", "test")  # folders above the class folders, where the makers divided the images
_VALIDATION = ("valid", "validation", "val")


@dataclass(frozen=True)
class Listing:
    """The images of a folder or zip: those to train on, those to test on (none: the makers did not divide them), and
    the names of the classes in the order of their numbers."""

    tree: Tree
    train: tuple[Entry, ...]
    test: tuple[Entry, ...]
    classes: tuple[str, ...]

    @property
    def files(self) -> tuple[Entry, ...]:
        return (*self.train, *self.test)


def read(root: Path) -> Listing:
    """List the class folders, which lie in the folder or zip itself, in one folder inside it, or in its folders `train`
    and `test`.

    Raises:
        DataError: in one line: there are fewer than two class folders, one of them is empty or has folders in it, or an
            image lies outside of them.
    """
    listed = tree.read(root)
    top = _top(listed)
    folders = listed.inside(top)
    parts = {folder.name.lower(): folder for folder in folders}
    if "train" not in parts or not parts.keys() <= {*PARTS, *_VALIDATION}:
        return _listing(listed, [_classes(listed, top)])
    if parts.keys() != set(PARTS):
        has = _words([folder.name for folder in folders])
        raise DataError(f"{listed.shown(top)} needs the folders train and test; it has {has}")
    return _listing(listed, [_classes(listed, parts[name]) for name in PARTS])


def _top(listed: Tree) -> PurePosixPath:
    """Return the folder that holds the others: archives often have one folder round all that is in them."""
    top = TOP
    while len(folders := listed.inside(top)) == 1 and listed.inside(folders[0]) and not listed.below(top):
        top = folders[0]
    return top


def _classes(listed: Tree, top: PurePosixPath) -> dict[str, list[Entry]]:
    """Return the files of each class folder, by its name."""
    beside = [entry for entry in listed.below(top) if entry.place.suffix.lower() in Image.registered_extensions()]
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


def _listing(listed: Tree, parts: Sequence[dict[str, list[Entry]]]) -> Listing:
    train, test = parts[0], parts[1] if len(parts) > 1 else {}
    only = sorted(test.keys() - train.keys())
    if only:
        raise DataError(f"{listed.root} has the class {only[0]!r} in its folder test and not in train")
    train_files, test_files = (tuple(entry for files in part.values() for entry in files) for part in (train, test))
    return Listing(listed, train_files, test_files, tuple(train))


def _words(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last

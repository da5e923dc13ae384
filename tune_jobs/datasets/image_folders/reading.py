"""Read the image files of a folder once: all resized to one shape, and kept in the data folder."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from tune_jobs.datasets import image_files, kept_arrays, memory
from tune_jobs.datasets.dataset import Array
from tune_jobs.datasets.image_files import PictureError
from tune_jobs.datasets.image_folders.tree import Entry, Opener, Tree
from tune_jobs.datasets.progress import Progress
from tune_jobs.errors import DataError
from tune_jobs.models.plain_values import make_plain, plain
from tune_jobs.words import Say

KEPT = "resized"  # the folder in the data folder
Result = TypeVar("Result")

_LARGEST_SIDE = 4096  # pixels
_VERSION = 1  # of the way from a file to its pixels


@dataclass(frozen=True)
class Form:
    """How images are read: `size`, height and width; None where all have one. `channels`: 1 for grey, 3 for colours;
    None: grey if all are grey.

    Raises:
        DataError: a size or number of channels that cannot be.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None

    def __post_init__(self) -> None:
        make_plain(self)
        if isinstance(self.size, tuple):
            object.__setattr__(self, "size", tuple(map(plain, self.size)))
        sides = (1, 1) if self.size is None else self.size
        if (
            not isinstance(sides, tuple)
            or len(sides) != 2
            or not all(type(side) is int and 1 <= side <= _LARGEST_SIDE for side in sides)
        ):
            raise DataError(f"images need a height and width from 1 to {_LARGEST_SIDE} pixels; got {self.size}")
        if self.channels not in (None, 1, 3):
            raise DataError(f"images have 1 channel, grey, or 3, colours; got {self.channels}")

    @property
    def text(self) -> str:
        """`48`, `48x64`, `48x64x3`, or nothing where nothing is said."""
        if self.size is None:
            return ""
        height, width = self.size
        if self.channels is not None:
            return f"{height}x{width}x{self.channels}"
        return f"{height}" if height == width else f"{height}x{width}"


def form_of(text: str) -> Form:
    """Return the form that a text such as `48`, `48x64` or `48x64x1` stands for.

    Raises:
        DataError: it stands for none.
    """
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5})(?:x([13]))?)?", text)
    if match is None:
        raise DataError(f"the size of images is written like 64, 48x64 or 48x64x1; got {text!r}")
    height, width, channels = match.groups()
    return Form((int(height), int(width or height)), int(channels) if channels else None)


def read(tree: Tree, files: Sequence[Entry], form: Form, name: str, data_dir: Path, say: Say) -> Array:
    """Return the images of some files, `(N, H, W, C)`, uint8, from the data folder or else from the files.

    An image is cut to its middle if its sides have another ratio, and resized with antialiasing, as for `predict`.

    Raises:
        DataError: in one line: some files are no images or are damaged, with the first; or their sizes differ and
            `form` has none.
    """
    path = data_dir / KEPT / f"{_file_name(name)}-{_key(files, form)}.npy"
    images = kept_arrays.read(path, say)
    if images is None:
        images = _read_files(tree, files, form, name, say)
        kept_arrays.save(images, path, say)
    return images


def _read_files(tree: Tree, files: Sequence[Entry], form: Form, name: str, say: Say) -> Array:
    with tree.opened() as opener, image_files.strict():
        height, width, channels = _shape(tree, files, form, opener)
        images = _empty((len(files), height, width, channels), name)
        progress = Progress(say, f"reading {name}", len(files), "images")

        def read_one(index: int) -> None:
            with opener(files[index]) as file:
                images[index] = image_files.read(file, tree.shown(files[index].place), (height, width, channels))
            progress.add(1)

        _each(tree, files, read_one, range(len(files)))
    return images


def _shape(tree: Tree, files: Sequence[Entry], form: Form, opener: Opener) -> tuple[int, int, int]:
    if form.size is not None and form.channels is not None:
        return (*form.size, form.channels)

    def form_of_one(index: int) -> tuple[int, int, int]:
        with opener(files[index]) as file:
            return image_files.form(file, tree.shown(files[index].place))

    forms = _each(tree, files, form_of_one, range(len(files)))
    size = form.size or _one_size(tree, files, [(height, width) for height, width, _ in forms])
    return (*size, form.channels or max(channels for _, _, channels in forms))


def _one_size(tree: Tree, files: Sequence[Entry], sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    other = next((index for index, size in enumerate(sizes) if size != sizes[0]), None)
    if other is None:
        return sizes[0]
    first, second = (f"{tree.shown(files[index].place)} {sizes[index][0]}x{sizes[index][1]}" for index in (0, other))
    raise DataError(
        f"the images have several sizes, such as {first} and {second}: say to which height and width they are resized, "
        "as in NAME@64 or NAME@48x64, or size=64"
    )


def _each(tree: Tree, files: Sequence[Entry], use: Callable[[int], Result], indices: Sequence[int]) -> list[Result]:
    """Return what `use` returns for each file; Pillow decodes in several threads at once.

    Raises:
        DataError: it fails for some files.
    """

    def tried(index: int) -> Result | PictureError:
        try:
            return use(index)
        except PictureError as error:
            return error
        except Exception as error:  # a damaged zip, or a file that is gone
            why = " ".join(str(error).split())[:200] or type(error).__name__
            return PictureError(f"{tree.shown(files[index].place)} cannot be read or is damaged: {why}")

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        results = list(pool.map(tried, indices))
    failures = [result for result in results if isinstance(result, PictureError)]
    if failures:
        count = f" ({len(failures):,} of {len(files):,} files)" if len(failures) > 1 else ""
        raise DataError(f"{failures[0]}{count}: remove or replace it")
    return [result for result in results if not isinstance(result, PictureError)]


def _empty(shape: tuple[int, int, int, int], name: str) -> Array:
    needed, there = math.prod(shape), memory.total()
    if needed > there:
        raise DataError(
            f"the images of {name} need {needed / 2**30:,.1f} GiB, and this machine has {there / 2**30:,.1f} GiB: "
            "resize them to fewer pixels"
        )
    return np.empty(shape, dtype=np.uint8)


def _key(files: Sequence[Entry], form: Form) -> str:
    """Return 16 hex digits that change with the files and the form."""
    listed = [(str(entry.place), *entry.stamp) for entry in files]
    text = json.dumps([_VERSION, form.size, form.channels, listed])
    return hashlib.sha256(text.encode("utf-8", errors="surrogateescape")).hexdigest()[:16]


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)[:80]

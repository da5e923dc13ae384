"""A user's images of clocks in two files: `images.npy`, and `labels.npy` with the times.

They cannot be downloaded from anywhere. If they are the reports' own files, a message says so.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from tune_jobs.datasets.dataset import Array, Original, Split
from tune_jobs.datasets.progress import silent
from tune_jobs.datasets.source import Source
from tune_jobs.datasets.splitting import hold_out
from tune_jobs.errors import DataError
from tune_jobs.words import Say, one_line

NAME = "clock-files"
IMAGES, LABELS = "images.npy", "labels.npy"
SIZES = (75, 150)
PUBLISHED = {  # the reports' own files, by their published SHA-256
    "15b55db56f1170614d7ce8de4c1a81b5b6ac1a7c2181fd10f420f8c01b0c46df": "images of 75x75",
    "8a1dc371ea4809b51ac53490448a34320dcbffb6841570498e62e16538c25e4c": "images of 150x150",
    "a54beb9e9f4f69ae524ced55506768703914ae4f3a2272b05262c16d41923b2c": "labels",
}

_TEST_SHARE = 0.2  # of the images of each time, as in the reports


def load(data_dir: Path, say: Say = silent) -> Original:
    """Return images `(N, 75, 75, 1)` or `(N, 150, 150, 1)`, uint8, and labels `(N, 2)`, int64, hour and minute.

    Read them from the folder `clock-files`, or from `data_dir` itself; 20 % of each time are the test part.

    Raises:
        DataError: a file is missing, cannot be read, or holds arrays of another form.
    """
    folder = locate(data_dir)
    images, labels = _read_images(folder / IMAGES, say), _read_labels(folder / LABELS, say)
    if len(images) != len(labels):
        raise DataError(f"{folder / IMAGES} has {len(images)} images, and {LABELS} beside it {len(labels)} labels")
    try:
        train, test = hold_out(Split(images[..., np.newaxis], labels), _TEST_SHARE)
    except DataError as error:
        raise DataError(f"cannot take a test part from the images in {folder}: {error}") from error
    return Original(train, test)


def locate(data_dir: Path) -> Path:
    """Return the folder that has the two files, without opening them.

    Raises:
        DataError: one is missing.
    """
    own = data_dir / NAME
    for folder in (own, data_dir):
        if (folder / IMAGES).is_file() and (folder / LABELS).is_file():
            return folder
    raise DataError(
        f"{NAME} needs {IMAGES} and {LABELS} in {own}, and they cannot be downloaded: "
        "put them there, or use clock-faces, which are drawn"
    )


SOURCE = Source(NAME, load=load, locate=locate)


def _read_images(path: Path, say: Say) -> Array:
    images = _read_array(path, say)
    if images.ndim != 3 or images.shape[1:] not in {(size, size) for size in SIZES} or images.dtype != np.uint8:
        sizes = " or ".join(f"(n, {size}, {size})" for size in SIZES)
        raise DataError(f"{path} must hold uint8 images {sizes}; it holds {images.dtype} {images.shape}")
    return images


def _read_labels(path: Path, say: Say) -> Array:
    labels = _read_array(path, say)
    if labels.ndim != 2 or labels.shape[1] != 2 or labels.dtype.kind not in "ui":
        raise DataError(
            f"{path} must hold whole numbers (n, 2), hour and minute; it holds {labels.dtype} {labels.shape}"
        )
    is_invalid = ((labels < 0) | (labels >= (12, 60))).any(axis=1)
    if is_invalid.any():
        row = int(is_invalid.argmax())
        hour, minute = labels[row].tolist()
        raise DataError(
            f"{path} must hold hours 0 to 11 and minutes 0 to 59; row {row} is hour {hour}, minute {minute}"
        )
    return labels.astype(np.int64)


def _read_array(path: Path, say: Say) -> Array:
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        array = np.load(path, allow_pickle=False)  # loading a pickle would run it
    except Exception as error:  # NumPy parses a file's header as Python, which may raise anything
        raise DataError(f"{path} cannot be read as an array: {one_line(error)}") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise DataError(f"{path} must be one array; it is an archive of several")
    if sha256 in PUBLISHED:
        say(f"{path}: the published {PUBLISHED[sha256]}")
    return array

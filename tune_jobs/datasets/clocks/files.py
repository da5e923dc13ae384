"""A user's images of clocks: `images.npy`, and `labels.npy` with the times; or image files in folders named by times.

They cannot be downloaded from anywhere. If they are the reports' own files, a message says so.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PurePosixPath

import numpy as np

from tune_jobs.datasets.dataset import Array, Original, Split
from tune_jobs.datasets.image_folders import listing, loading
from tune_jobs.datasets.image_folders.reading import Form
from tune_jobs.datasets.progress import silent
from tune_jobs.datasets.source import Source
from tune_jobs.datasets.splitting import divided
from tune_jobs.errors import DataError
from tune_jobs.words import Say, one_line

NAME = "clock-files"
IMAGES, LABELS = "images.npy", "labels.npy"
ARCHIVE = f"{NAME}.zip"
PUBLISHED = {  # the reports' own files, by their published SHA-256
    "15b55db56f1170614d7ce8de4c1a81b5b6ac1a7c2181fd10f420f8c01b0c46df": "images of 75x75",
    "8a1dc371ea4809b51ac53490448a34320dcbffb6841570498e62e16538c25e4c": "images of 150x150",
    "a54beb9e9f4f69ae524ced55506768703914ae4f3a2272b05262c16d41923b2c": "labels",
}

_TIME = re.compile(r"(?P<hour>\d{1,2}(?=\D)|\d{2})[-_:.h ]?(?P<minute>\d{2})")  # 130 would be 1:30 or a number


def load(data_dir: Path, say: Say = silent, form: Form | None = None) -> Original:
    """Return images `(N, H, W, C)`, uint8, and labels `(N, 2)`, int64, hour and minute.

    They are two arrays, or image files in folders named by times such as `10-08`, read in this form. 20 % of each time
    are the test part, unless the folders lie in folders `train` and `test`.

    Raises:
        DataError: the files are missing, cannot be read, or are of another form; or a folder has no time as its name.
    """
    place = locate(data_dir)
    if not _has_arrays(place):
        return loading.load(listing.read(place, time_of), form or Form(), NAME, data_dir, say)
    if form is not None:
        raise DataError(f"{place / IMAGES} has its own size: name the data set {NAME}, without @{form.text}")
    images, labels = _read_images(place / IMAGES, say), _read_labels(place / LABELS, say)
    if len(images) != len(labels):
        raise DataError(f"{place / IMAGES} has {len(images)} images, and {LABELS} beside it {len(labels)} labels")
    return divided(Split(images, labels), f"the images in {place}")


def locate(data_dir: Path) -> Path:
    """Return the folder with the two arrays or with folders of images, or the zip of these, without reading them.

    Raises:
        DataError: there is none.
    """
    own = data_dir / NAME
    if (folder := next(filter(_has_arrays, (own, data_dir)), None)) is not None:
        return folder
    for place in (own, data_dir / ARCHIVE):
        if place.is_file() or (place.is_dir() and any(path.is_dir() for path in place.iterdir())):
            return place
    raise DataError(
        f"{NAME} needs {IMAGES} and {LABELS} in {own}, or image files there in folders named by times such as 10-08, "
        "and they cannot be downloaded: put them there, or use clock-faces, which are drawn"
    )


def source(form: Form | None) -> Source:
    """Return the source of the images, read in this form if they are image files."""
    name = NAME if form is None else f"{NAME}@{form.text}"
    return Source(name, load=lambda data_dir, say: load(data_dir, say, form), locate=locate)


SOURCE = source(None)


def time_of(place: PurePosixPath) -> tuple[int, int]:
    """Return the hour, 0 to 11, and the minute that the folder of a file is named by: `10-08`, `10_08`, `10:08`,
    `10h08` or `1008`; 12 and 24 are 0 o'clock.

    Raises:
        ValueError: it is named by no time.
    """
    match = _TIME.fullmatch(place.parent.name)
    hour, minute = map(int, match.group("hour", "minute")) if match else (-1, -1)
    if not (0 <= hour <= 24 and 0 <= minute <= 59):
        raise ValueError(f"its folder needs a time as its name, such as 10-08; it is {place.parent.name!r}")
    return hour % 12, minute


def _has_arrays(folder: Path) -> bool:
    return (folder / IMAGES).is_file() and (folder / LABELS).is_file()


def _read_images(path: Path, say: Say) -> Array:
    images = _read_array(path, say)
    has_channels = images.ndim == 4 and images.shape[-1] in (1, 3)
    if not (images.ndim == 3 or has_channels) or images.dtype != np.uint8 or images.size == 0:
        raise DataError(
            f"{path} must hold uint8 images (n, height, width), or (n, height, width, 3) in colour; "
            f"it holds {images.dtype} {images.shape}"
        )
    return images if has_channels else images[..., np.newaxis]


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

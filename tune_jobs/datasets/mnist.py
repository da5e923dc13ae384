"""MNIST and its drop-in replacements: four gzipped idx files in the data folder, downloaded where they are missing.

A file counts only if its MD5 is the published one, so that a study's data is what its name says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tune_jobs.datasets import download, idx
from tune_jobs.datasets.dataset import Array, Original, Split
from tune_jobs.errors import DataError

TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"
TEST_IMAGES = "t10k-images-idx3-ubyte.gz"
TEST_LABELS = "t10k-labels-idx1-ubyte.gz"


@dataclass(frozen=True)
class Collection:
    """A published data set of four files: where to download them from, and the MD5 of each by its name."""

    name: str
    url: str
    md5: Mapping[str, str]


MNIST = Collection(  # Y. LeCun, C. Cortes, C. Burges: 60,000 + 10,000 images, 28x28
    "mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
    {
        TRAIN_IMAGES: "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        TRAIN_LABELS: "d53e105ee54ea40749a09fcbcd1e9432",
        TEST_IMAGES: "9fb629c4189551a2d022fa330f9573f3",
        TEST_LABELS: "ec29112dd5afa0611ce80d1b7f02629c",
    },
)
FASHION_MNIST = Collection(  # H. Xiao, K. Rasul, R. Vollgraf, arXiv:1708.07747: 60,000 + 10,000 images, 28x28
    "fashion-mnist",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
    {
        TRAIN_IMAGES: "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        TRAIN_LABELS: "25c81989df183df01b3e8a0aad5dffbe",
        TEST_IMAGES: "bef4ecab320f06d8554ea6380940ec79",
        TEST_LABELS: "bb300cfdad3c16e7a12a480ee83cd310",
    },
)


def load(collection: Collection, data_dir: Path) -> Original:
    """Images `(N, 28, 28, 1)`, uint8, and labels `(N,)`, int64, 0 to 9, from the folder of the collection's name.

    Where that has none of the files and `data_dir` itself has them all, they are read from there. Missing files
    are downloaded.

    Raises:
        DataError: if a file cannot be had or read, is not the published one, or does not fit its partner.
    """
    try:
        folder = _folder(collection, data_dir)
        _complete(collection, folder)
        files = {name: verified(folder / name, collection) for name in collection.md5}
    except OSError as error:
        raise DataError(f"cannot read {collection.name} in {data_dir}: {error}") from error
    return Original(
        _split(folder, TRAIN_IMAGES, TRAIN_LABELS, files),
        _split(folder, TEST_IMAGES, TEST_LABELS, files),
    )


def locate(collection: Collection, data_dir: Path) -> Path:
    """The folder that has the four files; they are neither opened nor downloaded.

    Raises:
        DataError: if some are missing.
    """
    folder = _folder(collection, data_dir)
    missing = _missing(collection, folder)
    if missing:
        raise DataError(f"{_listed(missing)} not in {folder}; downloaded when first needed")
    return folder


def verified(path: Path, collection: Collection) -> bytes:
    """The bytes of this file, once they are known to be the published ones.

    Raises:
        DataError: if they are not.
    """
    packed = path.read_bytes()
    came, needed = hashlib.md5(packed, usedforsecurity=False).hexdigest(), collection.md5[path.name]
    if came != needed:
        raise DataError(
            f"{path} is not the published file of {collection.name}: its MD5 is {came}, not {needed}; "
            "replace it, or remove it to have it downloaded"
        )
    return packed


def _folder(collection: Collection, data_dir: Path) -> Path:
    own = data_dir / collection.name
    if not _missing(collection, data_dir) and len(_missing(collection, own)) == len(collection.md5):
        return data_dir
    return own


def _missing(collection: Collection, folder: Path) -> list[str]:
    return [name for name in collection.md5 if not (folder / name).is_file()]


def _complete(collection: Collection, folder: Path) -> None:
    missing = _missing(collection, folder)
    try:
        for name in missing:
            download.fetch(f"{collection.url}/{name}", folder / name, md5=collection.md5[name])
    except download.DownloadError as error:
        raise DataError(
            f"{collection.name} needs {_listed(_missing(collection, folder))} in {folder}, and {error}: "
            "put what is missing there, or name another data folder"
        ) from error


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _split(folder: Path, images_name: str, labels_name: str, files: Mapping[str, bytes]) -> Split:
    images = _parsed(folder, images_name, files, n_axes=3)  # (N, 28, 28)
    labels = _parsed(folder, labels_name, files, n_axes=1)
    if len(images) != len(labels):
        raise DataError(
            f"{folder / images_name} has {len(images)} images, and {labels_name} beside it {len(labels)} labels"
        )
    return Split(images[..., np.newaxis], labels.astype(np.int64))


def _parsed(folder: Path, name: str, files: Mapping[str, bytes], *, n_axes: int) -> Array:
    try:
        return idx.parse(files[name], n_axes=n_axes)
    except ValueError as error:
        raise DataError(f"{folder / name} cannot be read: {error}") from error

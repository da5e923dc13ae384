"""MNIST and its drop-in replacements: four gzipped idx files in the data folder, downloaded where they are missing.

A file counts only if its MD5 is the published one, so that a study's data are what their name says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tune_jobs.datasets import download, idx
from tune_jobs.datasets.dataset import Array, Original, Split
from tune_jobs.datasets.progress import silent
from tune_jobs.datasets.source import Source
from tune_jobs.errors import DataError
from tune_jobs.words import Say

TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"
TEST_IMAGES = "t10k-images-idx3-ubyte.gz"
TEST_LABELS = "t10k-labels-idx1-ubyte.gz"


@dataclass(frozen=True)
class IdxFiles:
    """A published data set of four idx files: the address of their folder, and the MD5 of each by its name."""

    name: str
    url: str
    md5: Mapping[str, str]


MNIST = IdxFiles(  # Y. LeCun, C. Cortes, C. Burges: 60,000 + 10,000 images, 28x28
    "mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
    {
        TRAIN_IMAGES: "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        TRAIN_LABELS: "d53e105ee54ea40749a09fcbcd1e9432",
        TEST_IMAGES: "9fb629c4189551a2d022fa330f9573f3",
        TEST_LABELS: "ec29112dd5afa0611ce80d1b7f02629c",
    },
)
FASHION_MNIST = IdxFiles(  # H. Xiao, K. Rasul, R. Vollgraf, arXiv:1708.07747: 60,000 + 10,000 images, 28x28
    "fashion-mnist",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
    {
        TRAIN_IMAGES: "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        TRAIN_LABELS: "25c81989df183df01b3e8a0aad5dffbe",
        TEST_IMAGES: "bef4ecab320f06d8554ea6380940ec79",
        TEST_LABELS: "bb300cfdad3c16e7a12a480ee83cd310",
    },
)


def source(published: IdxFiles) -> Source:
    """Return the source of a data set in this form."""
    return Source(
        published.name,
        load=lambda data_dir, say: load(published, data_dir, say),
        locate=lambda data_dir: locate(published, data_dir),
    )


SOURCES = (source(MNIST), source(FASHION_MNIST))


def load(published: IdxFiles, data_dir: Path, say: Say = silent) -> Original:
    """Return images `(N, 28, 28, 1)`, uint8, and labels `(N,)`, int64, 0 to 9, from the data set's own folder.

    If that has none of the files and `data_dir` itself has them all, read them from there. Download missing files.

    Raises:
        DataError: a file cannot be had or read, is not the published one, or its images and labels differ in number.
    """
    try:
        folder = _folder(published, data_dir)
        _download_missing(published, folder, say)
        files = {name: _read_verified(folder / name, published) for name in published.md5}
    except OSError as error:
        raise DataError(f"cannot read {published.name} in {data_dir}: {error}") from error
    return Original(
        _split(folder, TRAIN_IMAGES, TRAIN_LABELS, files),
        _split(folder, TEST_IMAGES, TEST_LABELS, files),
    )


def locate(published: IdxFiles, data_dir: Path) -> Path:
    """Return the folder that has the four files, without opening or downloading them.

    Raises:
        DataError: some files are missing.
    """
    folder = _folder(published, data_dir)
    missing = _missing(published, folder)
    if missing:
        raise DataError(f"{_listed(missing)} not in {folder}; downloaded when first needed")
    return folder


def _folder(published: IdxFiles, data_dir: Path) -> Path:
    own = data_dir / published.name
    if not _missing(published, data_dir) and len(_missing(published, own)) == len(published.md5):
        return data_dir
    return own


def _missing(published: IdxFiles, folder: Path) -> list[str]:
    return [name for name in published.md5 if not (folder / name).is_file()]


def _download_missing(published: IdxFiles, folder: Path, say: Say) -> None:
    try:
        for name in _missing(published, folder):
            download.fetch(f"{published.url}/{name}", folder / name, md5=published.md5[name], say=say)
    except download.DownloadError as error:
        raise DataError(
            f"{published.name} needs {_listed(_missing(published, folder))} in {folder}, and {error}: "
            "put what is missing there, or name another data folder"
        ) from error


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _read_verified(path: Path, published: IdxFiles) -> bytes:
    """Return the bytes of a file.

    Raises:
        DataError: they are not the published ones.
    """
    content = path.read_bytes()
    actual, expected = hashlib.md5(content, usedforsecurity=False).hexdigest(), published.md5[path.name]
    if actual != expected:
        raise DataError(
            f"{path} is not the published file of {published.name}: its MD5 is {actual}, not {expected}; "
            "replace it, or remove it to have it downloaded"
        )
    return content


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

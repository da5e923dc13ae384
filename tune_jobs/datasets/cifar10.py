"""CIFAR-10: six pickled batches in a folder, or the archive that they are published as, downloaded if both are missing.

A batch counts only if its pixels and labels are the published ones; its pickle may be another.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tune_jobs.datasets import download, pickled_batch
from tune_jobs.datasets.dataset import Original, Split
from tune_jobs.datasets.progress import silent
from tune_jobs.datasets.source import Source
from tune_jobs.errors import DataError
from tune_jobs.words import Say

FOLDER = "cifar-10-batches-py"  # also inside the archive
ARCHIVE = "cifar-10-python.tar.gz"
TRAIN = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5")
TEST = "test_batch"

_NEEDED = f"{FOLDER} ({', '.join(TRAIN)} and {TEST}) or {ARCHIVE}"
_REMEDY = "replace it, or remove it to have it downloaded"


@dataclass(frozen=True)
class Batches:
    """A published data set of six batches: its archive's address and MD5, and the `content_sha256` of each batch."""

    name: str
    url: str
    md5: str
    sha256: Mapping[str, str]


CIFAR10 = Batches(  # A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009: 50,000 + 10,000
    "cifar10",
    f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}",
    "c58f30108f718f92721af3b95e74349a",
    {
        # The MD5 of each pickle is published, but changes with the program that wrote it. These are `content_sha256` of
        # images read by Keras' `load_batch` from a copy compared pixel by pixel with the original. The first is that of
        # `x[:10000].tobytes() + y[:10000].tobytes()` after `(x, y), _ = keras.datasets.cifar10.load_data()`.
        "data_batch_1": "8350d89ba6404c270d263d84bf037e74b0158eecac79f27405efcf23445a6997",
        "data_batch_2": "28d2d506ff2e052a3c902ac74931514d4c22d54b3f23622088bee441ab096cf0",
        "data_batch_3": "e56532de152c7a77fc2a722499682f2699ce5177bbfac2ed2e415096184fa1d9",
        "data_batch_4": "bb996a8ffff861dd5cca88c397fdfb884f0c482c5588bd32cea3dc7b648709bb",
        "data_batch_5": "efb6334c7c1f88ac69032959408d9eeccb983002e83119b66de7309d3d2c7915",
        "test_batch": "8193b3fbce55bec361cd1b8fd4880cb1649832dc4d6de6da1e7a21847a4843aa",
    },
)


def source(published: Batches) -> Source:
    """Return the source of a data set in this form."""
    return Source(
        published.name,
        load=lambda data_dir, say: load(published, data_dir, say),
        locate=lambda data_dir: locate(published, data_dir),
    )


SOURCE = source(CIFAR10)


def load(published: Batches, data_dir: Path, say: Say = silent) -> Original:
    """Return images `(N, 32, 32, 3)`, uint8, RGB, and labels `(N,)`, int64, 0 to 9; training batches in their order.

    Look in the folder named after the data set before `data_dir` itself, and for unpacked batches before the archive.

    Raises:
        DataError: the batches cannot be had or read, or one is not the published one.
    """
    try:
        place = _existing(published, data_dir) or _download(published, data_dir, say)
        pickles = _from_folder(place) if place.is_dir() else _from_archive(place)
        batches = {name: _verified(name, pickled, place, published) for name, pickled in pickles}
    except OSError as error:
        raise DataError(f"cannot read {published.name} in {data_dir}: {error}") from error
    missing = [name for name in (*TRAIN, TEST) if name not in batches]
    if missing:
        raise DataError(f"{place} has no {', '.join(missing)} in it; {_REMEDY}")
    train = [batches[name] for name in TRAIN]
    x, labels = (np.concatenate(parts) for parts in ([b.x for b in train], [b.labels for b in train]))
    return Original(Split(x, labels), batches[TEST])


def locate(published: Batches, data_dir: Path) -> Path:
    """Return the folder with the six batches, or the archive, without opening or downloading it.

    Raises:
        DataError: there is neither.
    """
    place = _existing(published, data_dir)
    if place is None:
        raise DataError(f"{_NEEDED} not in {data_dir / published.name}; downloaded when first needed")
    return place


def content_sha256(batch: Split) -> str:
    """Return the SHA-256 of a batch's images, `(N, 32, 32, 3)` in C order, followed by its labels, one byte each."""
    sha = hashlib.sha256(np.ascontiguousarray(batch.x).data)
    sha.update(batch.labels.astype(np.uint8).data)
    return sha.hexdigest()


def _existing(published: Batches, data_dir: Path) -> Path | None:
    for parent in (data_dir / published.name, data_dir):
        if all((parent / FOLDER / name).is_file() for name in (*TRAIN, TEST)):
            return parent / FOLDER
        if (parent / ARCHIVE).is_file():
            return parent / ARCHIVE
    return None


def _download(published: Batches, data_dir: Path, say: Say) -> Path:
    archive = data_dir / published.name / ARCHIVE
    try:
        download.fetch(published.url, archive, md5=published.md5, say=say)
    except download.DownloadError as error:
        raise DataError(
            f"{published.name} needs {_NEEDED} in {archive.parent}, and {error}: "
            "put one of them there, or name another data folder"
        ) from error
    return archive


def _from_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    for name in (*TRAIN, TEST):
        yield name, (folder / name).read_bytes()


def _from_archive(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the batches in the archive's own order. Reading them by name would unpack it from its start for each."""
    names = {f"{FOLDER}/{name}": name for name in (*TRAIN, TEST)}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.name in names and member.isfile() else None
                if content is not None:
                    yield names[member.name], content.read()
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(f"{archive} is damaged ({error}); {_REMEDY}") from error


def _verified(name: str, pickled: bytes, place: Path, published: Batches) -> Split:
    try:
        batch = pickled_batch.parse(pickled)
    except ValueError as error:
        raise DataError(f"{name} in {place} cannot be read: {error}; {_REMEDY}") from error
    actual, expected = content_sha256(batch), published.sha256[name]
    if actual != expected:
        raise DataError(
            f"{name} in {place} is not the published batch of {published.name}: "
            f"the SHA-256 of its pixels and labels is {actual}, not {expected}; {_REMEDY}"
        )
    return batch

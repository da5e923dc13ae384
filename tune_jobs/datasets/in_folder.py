"""Data sets of the user's own in the data folder: what lies there under a name, `NAME` or `NAME@DETAIL`.

The detail is the size of the images of an image folder, as in `butterflies@64`, or the target of a table, as in
`diabetes@progression`.
"""

from __future__ import annotations

from pathlib import Path

from tune_jobs.datasets import tables
from tune_jobs.datasets.image_folders import reading
from tune_jobs.datasets.image_folders.loading import ImageFolder
from tune_jobs.datasets.image_folders.reading import Form
from tune_jobs.datasets.source import Loader, Source

KINDS = f"a folder NAME or a NAME.zip of class folders of images, or a table NAME{', NAME'.join(tables.SUFFIXES)}"


def find(name: str, data_dir: Path) -> Source | None:
    """Return the source of the image folder or table that lies in the data folder under a name; None if nothing does.

    Raises:
        DataError: the detail is no size of images.
    """
    base, _, detail = name.partition("@")
    if not base or base.startswith(".") or "/" in base:
        return None
    path = _path(data_dir / base)
    if path is None:
        return None
    loader = _loader(path, detail)
    return Source(name, load=loader.load, locate=lambda data_dir: path)


def names(data_dir: Path) -> list[str]:
    """Return what in the data folder may be a data set, by its name alone; nothing is opened."""
    paths = sorted(data_dir.iterdir()) if data_dir.is_dir() else []
    files = [path.stem for path in paths if path.suffix in (".zip", *tables.SUFFIXES)]
    return files + [path.name for path in paths if path.is_dir() and path.name != reading.KEPT]


def _path(path: Path) -> Path | None:
    """Return the folder or file that is meant by its name, with or without its ending."""
    if path.is_dir() or (path.suffix in (".zip", *tables.SUFFIXES) and path.is_file()):
        return path
    endings = (path.with_name(path.name + suffix) for suffix in (".zip", *tables.SUFFIXES))
    return next((file for file in endings if file.is_file()), None)


def _loader(path: Path, detail: str) -> Loader:
    if path.suffix in tables.SUFFIXES and path.is_file():
        return tables.Table(path, detail or None)
    return ImageFolder(path, reading.form_of(detail) if detail else Form())

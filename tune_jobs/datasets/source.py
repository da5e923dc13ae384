"""A data set that a task can name: the one value that a file of this room offers for each of its data sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tune_jobs.datasets.dataset import Original


@dataclass(frozen=True)
class Source:
    """The name of a data set, and the two functions that know its files.

    `load` takes the data folder and returns the data set. It may download or draw missing files into the folder.
    `locate` takes the data folder and returns where the data set is: a path, or words where it has no file. It neither
    reads nor fetches anything. Both raise DataError.
    """

    name: str
    load: Callable[[Path], Original]
    locate: Callable[[Path], Path | str]

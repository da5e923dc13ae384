"""What a data set is loaded from: a source for each name, and loaders, which know their files themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tune_jobs.datasets.dataset import Original
from tune_jobs.words import Say


@dataclass(frozen=True)
class Source:
    """The name of a data set, and the two functions that know its files.

    `load` takes the data folder, and a function that shows the user a message, and returns the data set. It may
    download or draw missing files into the folder. `locate` takes the data folder and returns where the data set is: a
    path, or words where it has no file. It neither reads nor fetches anything. Both raise DataError.
    """

    name: str
    load: Callable[[Path, Say], Original]
    locate: Callable[[Path], Path | str]


class Loader(Protocol):
    """A data set that a task has as a value, such as `image_folder(path)`."""

    @property
    def data_name(self) -> str:
        """The name in studies and messages."""

    def load(self, data_dir: Path, say: Say) -> Original:
        """Return the data set; what is made of its files may be kept in the data folder. Raises DataError."""

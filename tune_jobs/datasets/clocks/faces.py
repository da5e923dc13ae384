"""Pictures of wall clocks with the time they show, drawn from a seed: equally many of every minute of twelve hours.

They stand in for the reports' images of clocks, which cannot be downloaded. Drawing 18,000 takes a core half a minute,
so a drawn set is kept in the data folder. It counts only if its SHA-256 is the one in the file beside it.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tune_jobs.datasets import kept_arrays
from tune_jobs.datasets.clocks import drawing
from tune_jobs.datasets.clocks.drawing import FULL, UPRIGHT, Difficulty
from tune_jobs.datasets.dataset import Original, Split
from tune_jobs.datasets.progress import Progress, silent
from tune_jobs.datasets.source import Source
from tune_jobs.datasets.splitting import hold_out
from tune_jobs.environment import safe_path
from tune_jobs.errors import DataError
from tune_jobs.models.plain_values import make_plain
from tune_jobs.words import Say

Images = NDArray[np.uint8]

FOLDER = "clock-faces"
TIMES = 720

_TEST_SHARE = 0.2  # of the pictures of each time, as in the reports
_CHUNK = 240  # images that a process sends back at once
_IMAGES_PER_PROCESS = 2000  # fewer are drawn before a further process has started


@dataclass(frozen=True)
class ClockFaces:
    """The settings of a set of pictures: `size` pixels a side, `per_time` pictures of each of the 720 times.

    The defaults are those of the reports' data: 18,000 pictures, 75x75.

    Raises:
        DataError: a value cannot be drawn.
    """

    size: int = 75
    per_time: int = 25
    difficulty: Difficulty = FULL
    seed: int = 0

    def __post_init__(self) -> None:
        make_plain(self)
        for name, least, most in (("size", 16, 512), ("per_time", 1, 1000), ("seed", 0, 2**63)):
            value = getattr(self, name)
            if not isinstance(value, int) or not least <= value <= most:
                raise DataError(f"the {name} of clock faces must be a whole number from {least} to {most}, not {value}")

    @property
    def n_images(self) -> int:
        return TIMES * self.per_time

    @property
    def is_upright(self) -> bool:
        """True if the clocks are upright and clean, which those of the reports are not."""
        return self.difficulty == UPRIGHT

    @property
    def words(self) -> str:
        """How the pictures are, in words."""
        return f"{self.size}x{self.size}, {'upright and clean' if self.is_upright else 'turned'}"

    @property
    def digest(self) -> str:
        """16 hex digits that change with any setting, and with the version of the drawing."""
        settings = json.dumps({"version": drawing.VERSION, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(settings.encode()).hexdigest()[:16]


SETS = {
    "clock-faces": ClockFaces(),
    "clock-faces-150": ClockFaces(size=150),
    "clock-faces-upright": ClockFaces(size=32, difficulty=UPRIGHT),
    "clock-faces-small": ClockFaces(size=32, per_time=4, difficulty=UPRIGHT),
}


def source(name: str, faces: ClockFaces) -> Source:
    """Return the source of a set of drawn pictures."""
    return Source(
        name,
        load=lambda data_dir, say: load(faces, data_dir, say),
        locate=lambda data_dir: locate(faces, data_dir),
    )


SOURCES = tuple(source(name, faces) for name, faces in SETS.items())


def load(faces: ClockFaces, data_dir: Path, say: Say = silent) -> Original:
    """Read the pictures from `data_dir`, or draw them and save them there; 20 % of each time are the test part.

    If the folder cannot be written, they are drawn again the next time.

    Raises:
        DataError: as `draw`.
    """
    path = _path(faces, data_dir)
    images = kept_arrays.read(path, say)
    if images is None:
        images = draw(faces, say=say).x
        kept_arrays.save(images, path, say)
    train, test = hold_out(Split(images, _labels(faces)), _TEST_SHARE)
    return Original(train, test)


def locate(faces: ClockFaces, data_dir: Path) -> Path:
    """Return the file of the drawn pictures, without opening it.

    Raises:
        DataError: they have not been drawn yet.
    """
    path = _path(faces, data_dir)
    if not path.is_file():
        raise DataError(f"{path.name} not in {path.parent}; drawn when first needed")
    return path


def draw(faces: ClockFaces, *, processes: int | None = None, say: Say = silent) -> Split:
    """Return images `(N, size, size, 1)`, uint8, and labels `(N, 2)`, int64: hour 0 to 11, minute 0 to 59, ascending.

    Each picture has a random generator of its own, so that neither the number of processes nor the machine changes it.
    The default is one process for each CPU that this process may use, and one alone for a small set.

    Raises:
        DataError: `processes` is not a positive number, or one of them is killed.
    """
    if processes is None:
        processes = max(1, min(len(os.sched_getaffinity(0)), faces.n_images // _IMAGES_PER_PROCESS))
    if processes < 1:
        raise DataError(f"clock faces are drawn by 1 process or more, not {processes}")
    progress = Progress(say, f"drawing clock faces, {faces.size}x{faces.size}", faces.n_images, "images")
    starts = range(0, faces.n_images, _CHUNK)
    drawn = (_chunk(faces, start) for start in starts) if processes == 1 else _in_parallel(faces, starts, processes)
    chunks = []
    for chunk in drawn:
        chunks.append(chunk)
        progress.add(len(chunk))
    return Split(np.concatenate(chunks)[..., np.newaxis], _labels(faces))


def _in_parallel(faces: ClockFaces, starts: range, processes: int) -> Iterator[Images]:
    # Spawned, not forked: a fork would wait for the locks of threads that TensorFlow or Ray may be running here.
    context = multiprocessing.get_context("spawn")
    try:
        with safe_path(), ProcessPoolExecutor(processes, mp_context=context) as pool:
            yield from pool.map(_chunk, repeat(faces), starts)
    except BrokenProcessPool as error:
        raise DataError(
            f"one of {processes} processes that drew clock faces was killed: check whether memory was short; "
            "a script of your own must load data under `if __name__ == '__main__':`"
        ) from error


def _chunk(faces: ClockFaces, start: int) -> Images:
    images = range(start, min(start + _CHUNK, faces.n_images))
    return np.stack([_image(faces, index) for index in images])


def _image(faces: ClockFaces, index: int) -> Images:
    words = np.random.PCG64(np.random.SeedSequence(faces.seed, spawn_key=(index,)))
    hour, minute = divmod(index // faces.per_time, 60)
    return drawing.draw(hour, minute, size=faces.size, difficulty=faces.difficulty, words=words)


def _labels(faces: ClockFaces) -> NDArray[np.int64]:
    times = np.repeat(np.arange(TIMES, dtype=np.int64), faces.per_time)
    return np.stack([times // 60, times % 60], axis=1)


def _path(faces: ClockFaces, data_dir: Path) -> Path:
    return data_dir / FOLDER / f"{faces.size}px-{faces.n_images}-{faces.digest}.npy"

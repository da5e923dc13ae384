"""Pictures of wall clocks with the time they show, drawn from a seed: as many of every minute of twelve hours.

They stand in for the reports' images of clocks, which cannot be downloaded. Drawing 18,000 takes a core half a minute,
so a drawn set is kept in the data folder, and counts only if its SHA-256 is the one noted beside it.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tune_jobs.datasets.clocks import drawing
from tune_jobs.datasets.clocks.drawing import FULL, UPRIGHT, Difficulty
from tune_jobs.datasets.dataset import Original, Split
from tune_jobs.datasets.splitting import hold_out
from tune_jobs.errors import DataError

Images = NDArray[np.uint8]

FOLDER = "clock-faces"
TIMES = 720

_TEST = 0.2  # the reports' share, of each time
_CHUNK = 240  # images sent back at once by a process
_IMAGES_A_PROCESS = 2000  # fewer are drawn sooner than a further process has started

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClockFaces:
    """Which pictures: `size` pixels a side, `per_time` of each of the 720 times.

    The defaults are those of the reports' data: 18,000 pictures, 75x75.

    Raises:
        DataError: if a value cannot be drawn.
    """

    size: int = 75
    per_time: int = 25
    difficulty: Difficulty = FULL
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least, most in (("size", 16, 512), ("per_time", 1, 1000), ("seed", 0, 2**63)):
            value = getattr(self, name)
            if not isinstance(value, int) or not least <= value <= most:
                raise DataError(f"the {name} of clock faces must be a whole number from {least} to {most}, not {value}")

    @property
    def n_images(self) -> int:
        return TIMES * self.per_time

    @property
    def digest(self) -> str:
        """16 hex digits that change with any setting, and with the way pictures are drawn."""
        settings = json.dumps({"version": drawing.VERSION, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(settings.encode()).hexdigest()[:16]


SETS = {
    "clock-faces": ClockFaces(),
    "clock-faces-150": ClockFaces(size=150),
    "clock-faces-upright": ClockFaces(size=32, difficulty=UPRIGHT),
    "clock-faces-small": ClockFaces(size=32, per_time=4, difficulty=UPRIGHT),
}


def load(faces: ClockFaces, data_dir: Path, *, processes: int | None = None) -> Original:
    """The pictures, kept in `data_dir` or drawn, divided into 80 % to train on and 20 % to test on, of each time.

    A data folder that cannot be written costs another drawing the next time, and no more.

    Raises:
        DataError: as `draw`.
    """
    path = _path(faces, data_dir)
    images = _kept(faces, path)
    if images is None:
        images = draw(faces, processes=processes).x
        try:
            _keep(images, path)
        except OSError as error:
            log.warning("%s could not be written (%s): the pictures will be drawn again", path, error.strerror)
    train, test = hold_out(Split(images, _labels(faces)), _TEST)
    return Original(train, test)


def locate(faces: ClockFaces, data_dir: Path) -> Path:
    """The file of the drawn pictures, which is not opened.

    Raises:
        DataError: if they have not been drawn yet.
    """
    path = _path(faces, data_dir)
    if not path.is_file():
        raise DataError(f"{path.name} not in {path.parent}; drawn when first needed")
    return path


def draw(faces: ClockFaces, *, processes: int | None = None) -> Split:
    """Images `(N, size, size, 1)`, uint8, and labels `(N, 2)`, int64, hour 0 to 11 and minute 0 to 59, ascending.

    Each picture has a generator of its own, so that neither the number of processes nor the machine changes one.
    Without `processes` there are as many as this process may use CPUs, but none for a small set.

    Raises:
        DataError: if `processes` is not a positive number, or one of them is killed.
    """
    if processes is None:
        processes = max(1, min(len(os.sched_getaffinity(0)), faces.n_images // _IMAGES_A_PROCESS))
    if processes < 1:
        raise DataError(f"clock faces are drawn by 1 process or more, not {processes}")
    log.info("drawing %d clock faces, %dx%d", faces.n_images, faces.size, faces.size)
    starts = range(0, faces.n_images, _CHUNK)
    chunks = [_chunk(faces, start) for start in starts] if processes == 1 else _in_parallel(faces, starts, processes)
    return Split(np.concatenate(chunks)[..., np.newaxis], _labels(faces))


def _in_parallel(faces: ClockFaces, starts: range, processes: int) -> list[Images]:
    # Not forked: TensorFlow or Ray may be running threads here, whose locks a copy would wait for.
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(processes, mp_context=context) as pool:
            return list(pool.map(_chunk, repeat(faces), starts))
    except BrokenProcessPool as error:
        raise DataError(
            f"one of {processes} processes that drew clock faces ended early: see whether memory was short, "
            "and in a script of your own load data under `if __name__ == '__main__':`"
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


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _kept(faces: ClockFaces, path: Path) -> Images | None:
    """The pictures in this file; None if there is none, or another one than was written."""
    try:
        content, note = path.read_bytes(), _note(path).read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    if note != _noted(content, path):
        log.warning("%s is damaged: drawing its pictures again", path)
        return None
    images: Images = np.load(io.BytesIO(content), allow_pickle=False)
    return images


def _noted(content: bytes, path: Path) -> str:
    """The line that sha256sum writes, and checks."""
    return f"{hashlib.sha256(content).hexdigest()}  {path.name}\n"


def _keep(images: Images, path: Path) -> None:
    file = io.BytesIO()
    np.save(file, images, allow_pickle=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    _place(file.getvalue(), path)
    _place(_noted(file.getvalue(), path).encode(), _note(path))


def _place(content: bytes, path: Path) -> None:
    """Writes a file whole or not at all; two who do so at once write the same."""
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(part).chmod(0o644)  # mkstemp's 0600 would shut out the others who share the folder
        Path(part).replace(path)
    finally:
        with suppress(OSError):
            Path(part).unlink()

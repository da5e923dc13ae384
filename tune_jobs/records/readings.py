"""What a network that tells the time read on each test image, and the images it read worst, small enough to be kept.

With these in the study, plots and pages need no further look at the test split.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tune_jobs.models.clock_encodings import DIAL

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

WORST = 12  # pictures that are kept
_A_MINUTE = 64  # steps in which times are kept: under a second each, and the whole dial in two bytes
_LARGEST = 96  # pixels a side of a picture that is kept
_GREY = 17  # between two of the 16 levels of brightness that are kept: the woven grounds hardly compress


@runtime_checkable
class TellsTime(Protocol):
    """A label encoding of hours and minutes `(N, 2)` whose outputs stand for minutes since twelve."""

    @property
    def minutes_of(self) -> Callable[[Any], Any]: ...


@dataclass(frozen=True, eq=False)
class Readings:
    """The `true` and the `read` time of each image, minutes since twelve o'clock, `(N,)` each."""

    true: Floats
    read: Floats

    @property
    def errors(self) -> Floats:
        """Minutes, the shorter way round the dial, `(N,)`."""
        return np.asarray(np.abs((self.read - self.true + DIAL / 2) % DIAL - DIAL / 2), dtype=np.float64)

    @property
    def is_hour_slip(self) -> NDArray[np.bool_]:
        """Where the error is an hour or several, to within ten minutes: `clock_encodings.is_hour_slip` in NumPy."""
        hours = np.round(self.errors / 60)
        return np.asarray((hours >= 1) & (np.abs(self.errors - 60 * hours) <= 10))


@dataclass(frozen=True, eq=False)
class Picture:
    """An image `(H, W, C)`, uint8, and its place in the test split."""

    index: int
    pixels: Pixels


def kept(
    encoding: object, predicted: NDArray[Any], labels: NDArray[Any], images: NDArray[Any]
) -> tuple[str | None, str | None]:
    """What is kept of an evaluation: the readings and the worst pictures, packed; None of what is not to be had.

    `predicted` and `labels` are hours and minutes, `(N, 2)`; other encodings than those of the time leave nothing.
    """
    if not isinstance(encoding, TellsTime) or not np.isfinite(predicted).all():
        return None, None
    readings = Readings(_minutes(labels), _minutes(predicted))
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        return pack(readings), None
    worst = np.argsort(-readings.errors, kind="stable")[:WORST]
    pictures = [Picture(int(at), pixels) for at, pixels in zip(worst, _thinned(images[worst]), strict=True)]
    return pack(readings), pack_pictures(pictures)


def pack(readings: Readings) -> str:
    """Readings as text; times are rounded to a 64th of a minute."""
    times = np.concatenate([readings.true, readings.read])
    return (
        f"t{len(readings.true)}:{_packed((np.round(times * _A_MINUTE) % (DIAL * _A_MINUTE)).astype('<u2').tobytes())}"
    )


def unpack(text: str) -> Readings:
    """The readings that `pack` wrote.

    Raises:
        ValueError: it is no such text.
    """
    (n,) = _head("t([0-9]{1,7})", text)
    times = np.frombuffer(_unpacked(text, 4 * n), "<u2").astype(np.float64) / _A_MINUTE
    if times.size and times.max() >= DIAL:
        raise ValueError(f"no packed readings: a time of {times.max():g} minutes")
    return Readings(times[:n], times[n:])


def pack_pictures(pictures: list[Picture]) -> str:
    """Pictures of one shape as text, in 16 levels of brightness."""
    indices = np.array([picture.index for picture in pictures], dtype="<u4")
    pixels = np.stack([picture.pixels for picture in pictures])  # (N, H, W, C)
    levels = np.round(pixels / _GREY).astype(np.uint8)
    return f"p{'x'.join(map(str, pixels.shape))}:{_packed(indices.tobytes() + levels.tobytes())}"


def unpack_pictures(text: str) -> tuple[Picture, ...]:
    """The pictures that `pack_pictures` wrote, in their order.

    Raises:
        ValueError: it is no such text.
    """
    n, height, width, channels = _head("p([0-9]{1,3})x([0-9]{1,3})x([0-9]{1,3})x([13])", text)
    raw = _unpacked(text, 4 * n + n * height * width * channels)
    indices, levels = np.frombuffer(raw[: 4 * n], "<u4"), np.frombuffer(raw[4 * n :], np.uint8)
    if levels.size and levels.max() > 255 // _GREY:
        raise ValueError(f"no packed pictures: a level of {levels.max()}")
    pixels = (levels * np.uint8(_GREY)).reshape(n, height, width, channels)
    return tuple(Picture(int(index), one) for index, one in zip(indices, pixels, strict=True))


def time_text(minutes: float) -> str:
    """`5:58`, to the nearest minute; twelve o'clock is `0:00`."""
    hour, minute = divmod(round(minutes) % DIAL, 60)
    return f"{hour}:{minute:02}"


def _minutes(times: NDArray[Any]) -> Floats:
    return np.asarray(60.0 * times[:, 0] + times[:, 1], dtype=np.float64)


def _thinned(images: Pixels) -> Pixels:
    """Means over squares of pixels, where a picture is larger than what is kept."""
    n, height, width, channels = images.shape
    side = -(-max(height, width) // _LARGEST)
    if side == 1:
        return images
    cut = images[:, : height // side * side, : width // side * side]
    squares = cut.reshape(n, height // side, side, width // side, side, channels)
    return np.asarray(np.round(squares.mean(axis=(2, 4))), dtype=np.uint8)


def _packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content, 9)).decode()


def _head(pattern: str, text: str) -> tuple[int, ...]:
    head = re.match(f"{pattern}:", text)
    if head is None:
        raise ValueError(f"no packed readings or pictures: they begin with {text[:20]!r}")
    return tuple(map(int, head.groups()))


def _unpacked(text: str, size: int) -> bytes:
    """So many bytes, and no more are unpacked."""
    unpacking = zlib.decompressobj()
    try:
        raw = unpacking.decompress(base64.b64decode(text.partition(":")[2], validate=True), size + 1)
    except (zlib.error, binascii.Error) as error:
        raise ValueError(f"no packed readings or pictures: {error}") from error
    if len(raw) != size or not unpacking.eof:
        raise ValueError(f"no packed readings or pictures: {len(raw)} bytes in place of {size}")
    return raw

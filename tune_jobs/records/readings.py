"""What a network read on each test image, and the images with the largest errors, packed as short texts.

A study keeps these texts, so that plots and pages need not read the test split again. Label encodings without a scale
have none.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tune_jobs.decoding import ContentError, decode_json
from tune_jobs.models import known_scales
from tune_jobs.models.label_encodings import Array, LabelEncoding
from tune_jobs.models.presentation import Presentation
from tune_jobs.models.scales import Scale

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

WORST = 12  # pictures
_STEPS = 64  # in a unit of a known scale, to which values are rounded: a second of a minute, in two bytes
_LARGEST = 96  # pixels a side of a picture; larger ones are reduced
_GREY = 17  # from one of the 16 levels of brightness to the next; with more levels, noisy pictures hardly compress
_HEAD = re.compile(r"(?:([a-z])([0-9]{1,7})|v([0-9]{1,7})x([0-9]{1,5})):")
_HEAD_OF_PICTURES = re.compile(r"p([0-9]{1,3})x([0-9]{1,3})x([0-9]{1,3})x([13]):")


@dataclass(frozen=True, eq=False)
class Readings:
    """The `true` and the `read` value of each image on a scale, `(N,)` each."""

    true: Floats
    read: Floats
    scale: Scale

    @property
    def errors(self) -> Floats:
        """How far each value that was read is from the true one, in the scale's unit, `(N,)`."""
        return self.scale.errors(self.read, self.true)

    @property
    def is_slip(self) -> NDArray[np.bool_]:
        """Which images were misread by whole steps of the scale, `(N,)`."""
        return self.scale.is_slip(self.errors)


@dataclass(frozen=True, eq=False)
class Picture:
    """An image `(H, W, C)`, uint8, and its place in the test split."""

    index: int
    pixels: Pixels


def pack_evaluation(
    encoding: LabelEncoding, predicted: Array, labels: Array, images: Any
) -> tuple[str | None, str | None]:
    """Return what a study keeps of an evaluation: the readings and the pictures with the largest errors, packed.

    Both are None for an encoding without a scale, or if a prediction is not finite; the second is None for images that
    are no pictures.
    """
    shown = Presentation(encoding)
    if shown.scale is None or not np.isfinite(predicted).all():
        return None, None
    readings = Readings(shown.positions(labels), shown.positions(predicted), shown.scale)
    if (
        not isinstance(images, np.ndarray)
        or images.dtype != np.uint8
        or images.ndim != 4
        or images.shape[3] not in (1, 3)
    ):
        return pack(readings), None
    worst = np.argsort(-readings.errors, kind="stable")[:WORST]
    thinned = _thinned(images[worst])
    pictures = [Picture(int(index), pixels) for index, pixels in zip(worst, thinned, strict=True)]
    return pack(readings), pack_pictures(pictures)


def pack(readings: Readings) -> str:
    """Return readings as text, with their scale: its letter, or all of it.

    Values of a scale with a letter are rounded to a 64th of its unit, others to 32 bits.
    """
    values = np.concatenate([readings.true, readings.read])
    n, scale = len(readings.true), readings.scale
    for letter, known in known_scales.LETTERS.items():
        if scale == known and known.period is not None:
            steps = np.round(values * _STEPS) % (known.period * _STEPS)
            return f"{letter}{n}:{_packed(steps.astype('<u2').tobytes())}"
    form = json.dumps(asdict(scale)).encode()
    return f"v{n}x{len(form)}:{_packed(form + values.astype('<f4').tobytes())}"


def unpack(text: str) -> Readings:
    """Return the readings that `pack` wrote.

    Raises:
        ValueError: it is no such text.
    """
    head = _match(_HEAD, text)
    if head[1] is not None:
        return _with_known_scale(text, head[1], int(head[2]))
    n, length = int(head[3]), int(head[4])
    raw = _unpacked(text, length + 8 * n)
    values = np.frombuffer(raw[length:], "<f4").astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("no packed readings: a value is not finite")
    return Readings(values[:n], values[n:], _scale(raw[:length]))


def pack_pictures(pictures: Sequence[Picture]) -> str:
    """Return pictures of one shape as text, in 16 levels of brightness."""
    indices = np.array([picture.index for picture in pictures], dtype="<u4")
    pixels = np.stack([picture.pixels for picture in pictures])  # (N, H, W, C)
    levels = np.round(pixels / _GREY).astype(np.uint8)
    return f"p{'x'.join(map(str, pixels.shape))}:{_packed(indices.tobytes() + levels.tobytes())}"


def unpack_pictures(text: str) -> tuple[Picture, ...]:
    """Return the pictures that `pack_pictures` wrote, in their order.

    Raises:
        ValueError: it is no such text.
    """
    n, height, width, channels = map(int, _match(_HEAD_OF_PICTURES, text).groups())
    raw = _unpacked(text, 4 * n + n * height * width * channels)
    indices, levels = np.frombuffer(raw[: 4 * n], "<u4"), np.frombuffer(raw[4 * n :], np.uint8)
    if levels.size and levels.max() > 255 // _GREY:
        raise ValueError(f"no packed pictures: a level of {levels.max()}")
    pixels = (levels * np.uint8(_GREY)).reshape(n, height, width, channels)
    return tuple(Picture(int(index), picture) for index, picture in zip(indices, pixels, strict=True))


def _with_known_scale(text: str, letter: str, n: int) -> Readings:
    scale = known_scales.LETTERS.get(letter)
    if scale is None or scale.period is None:
        raise ValueError(f"no packed readings: no scale has the letter {letter!r}")
    values = np.frombuffer(_unpacked(text, 4 * n), "<u2").astype(np.float64) / _STEPS
    if values.size and values.max() >= scale.period:
        raise ValueError(f"no packed readings: a {scale.axis} of {values.max():g} {scale.unit}")
    return Readings(values[:n], values[n:], scale)


def _scale(form: bytes) -> Scale:
    try:
        return decode_json(Scale, form, "their scale")
    except ContentError as error:
        raise ValueError(f"no packed readings: {error}") from error


def _thinned(images: Pixels) -> Pixels:
    """Reduce large pictures to means over squares of pixels."""
    n, height, width, channels = images.shape
    side = -(-max(height, width) // _LARGEST)
    if side == 1:
        return images
    cut = images[:, : height // side * side, : width // side * side]
    squares = cut.reshape(n, height // side, side, width // side, side, channels)
    return np.asarray(np.round(squares.mean(axis=(2, 4))), dtype=np.uint8)


def _packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content, 9)).decode()


def _match(head: re.Pattern[str], text: str) -> re.Match[str]:
    match = head.match(text)
    if match is None:
        raise ValueError(f"no packed readings or pictures: they begin with {text[:20]!r}")
    return match


def _unpacked(text: str, size: int) -> bytes:
    """Return exactly `size` bytes; no more are ever unpacked."""
    unpacking = zlib.decompressobj()
    try:
        raw = unpacking.decompress(base64.b64decode(text.partition(":")[2], validate=True), size + 1)
    except (zlib.error, binascii.Error) as error:
        raise ValueError(f"no packed readings or pictures: {error}") from error
    if len(raw) != size or not unpacking.eof:
        raise ValueError(f"no packed readings or pictures: {len(raw)} bytes in place of {size}")
    return raw

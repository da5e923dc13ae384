"""Images side by side in one PNG, and points in a plane coloured by their class."""

from __future__ import annotations

import colorsys
import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Array = NDArray[Any]
LARGEST_SIDE = 4096  # pixels of a picture
_GAP = 1  # pixel between two images
_SMALLEST_TILE = 56  # pixels to which small images are enlarged, by a whole factor
_MAP_SIDE, _MAP_MARGIN, _DOT = 800, 24, 2  # pixels
_KEY_HEIGHT = 16  # of a line of the legend


def grid(images: Array, columns: int) -> bytes:
    """Return a PNG of images `(N, H, W, C)` from 0 to 1, row after row, C 1 or 3; small ones are enlarged.

    Raises:
        ValueError: the picture would be larger than `LARGEST_SIDE`.
    """
    n, height, width, channels = images.shape
    factor = max(1, _SMALLEST_TILE // max(height, width))
    high, wide = height * factor + _GAP, width * factor + _GAP
    columns = min(columns, n)
    sides = (columns * wide + _GAP, math.ceil(n / columns) * high + _GAP)
    if max(sides) > LARGEST_SIDE:
        raise ValueError(f"a picture has at most {LARGEST_SIDE} pixels a side, and this needs {max(sides)}")
    pixels = np.clip(np.rint(images * 255), 0, 255).astype(np.uint8).repeat(factor, axis=1).repeat(factor, axis=2)
    canvas = Image.new("L" if channels == 1 else "RGB", sides, 128 if channels == 1 else (128, 128, 128))
    for place, image in enumerate(pixels):
        row, column = divmod(place, columns)
        tile = Image.fromarray(image[..., 0] if channels == 1 else image)
        canvas.paste(tile, (_GAP + column * wide, _GAP + row * high))
    return png(canvas)


def scatter(points: Array, labels: Array, names: tuple[str, ...]) -> bytes:
    """Return a PNG of points `(N, 2)` in the colours of their classes `(N,)`, with a legend."""
    low, high = points.min(axis=0), points.max(axis=0)
    inside = _MAP_SIDE - 2 * _MAP_MARGIN
    places = _MAP_MARGIN + (points - low) / np.maximum(high - low, 1e-12) * inside
    canvas = Image.new("RGB", (_MAP_SIDE, _MAP_SIDE), (255, 255, 255))
    draw = ImageDraw.Draw(canvas)
    classes = np.unique(labels)
    colours = {label: _colour(number, len(classes)) for number, label in enumerate(classes.tolist())}
    for (x, y), label in zip(places.tolist(), labels.tolist(), strict=True):
        down = _MAP_SIDE - y
        draw.ellipse((x - _DOT, down - _DOT, x + _DOT, down + _DOT), fill=colours[label])
    for line, label in enumerate(classes.tolist()[: _MAP_SIDE // _KEY_HEIGHT - 1]):
        name = names[label] if isinstance(label, int) and 0 <= label < len(names) else str(label)
        draw.text((4, 4 + line * _KEY_HEIGHT), name[:40], fill=colours[label])
    return png(canvas)


def png(image: Image.Image) -> bytes:
    """Return an image as the content of a PNG file."""
    content = io.BytesIO()
    image.save(content, "PNG", optimize=True)
    return content.getvalue()


def _colour(number: int, n: int) -> tuple[int, int, int]:
    """Return one of n colours that are as different as can be."""
    red, green, blue = colorsys.hsv_to_rgb(number / n, 0.9, 0.6 if number % 2 else 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)

"""The tables that a picture of a clock looks values up in: sines, the printed dial, and the table's surface.

All arithmetic is +, -, *, / and comparisons, element by element. IEEE 754 fixes their last bit, so that every machine
and every version of NumPy draws the same pixels. The numerals are strokes defined here, because installed fonts differ.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Texture = NDArray[np.float32]
Point = tuple[float, float]

TURN = 7200  # steps of a whole turn; the hour hand moves ten of them a minute
TILE = 4.5  # the side of a background's tile, in radii of the face
BACKGROUNDS = ("plain", "woven", "wooden")

# rounded to 24 bits: below them, libraries of mathematics differ
_SINES = tuple(round(math.sin(2 * math.pi * k / TURN) * 2**24) / 2**24 for k in range(TURN))
_SUBTEXELS = 4  # along a side of a texel of the dial, which is their mean
_HOURS = 12
_NUMERAL_RADIUS = 0.745
_NUMERAL_HEIGHT = 0.155
_NUMERAL_STROKE = 0.021
_DIGIT_SPACING = 0.11
_PLANKS = 4  # in a tile
_GAP = 0.03  # of a plank's width, on either side
_ROWS = 12  # of stitches or of grain, in a plank
_STITCHES = 64  # in a tile


def direction(steps: int) -> Point:
    """Return the unit vector `(x, y)` of an angle in steps, clockwise from the y axis, which points up."""
    return _SINES[steps % TURN], _SINES[(steps + TURN // 4) % TURN]


@cache
def dial(density: int) -> Texture:
    """Return the ink of a dial, from 0 to 1, `(2 * density, 2 * density)`: the square round the face, 12 on top."""
    side = 2 * density * _SUBTEXELS
    canvas = np.zeros((side, side), dtype=bool)
    for line, width in _printed_lines():
        for start, end in pairwise(line):
            _draw_segment(canvas, start, end, width)
    total = np.zeros((2 * density, 2 * density), dtype=np.float32)
    for row in range(_SUBTEXELS):
        for column in range(_SUBTEXELS):
            total += canvas[row::_SUBTEXELS, column::_SUBTEXELS]
    return total / np.float32(_SUBTEXELS**2)


@cache
def background(kind: str, side: int) -> Texture:
    """Return a tile `(side, side)` of grey levels around 100 that continues into itself on all four sides."""
    along = ((np.arange(side) + 0.5) / side)[np.newaxis, :]
    across = ((np.arange(side) + 0.5) / side)[:, np.newaxis]
    words = np.random.PCG64(BACKGROUNDS.index(kind))
    cloud = _value_noise(words, 9, 9, side)
    grain = _value_noise(words, side // 2, side // 2, side)
    if kind == "plain":
        return (112 + 26 * cloud + 10 * grain).astype(np.float32)
    plank = np.floor(across * _PLANKS)
    in_plank = across * _PLANKS - plank
    if kind == "wooden":
        fibres = _value_noise(words, 2 * _ROWS * _PLANKS, 7, side)
        grey = 112 + 60 * fibres + 30 * cloud + 36 * grain + 10 * (plank % 2)
    else:
        row = in_plank * _ROWS
        slant = _triangle(row / 2) * (plank % 2 - 0.5)  # the stitches of neighbouring rows lean towards each other
        stitch = _triangle(along * _STITCHES + slant)
        grey = 58 + 96 * stitch * (0.3 + 0.7 * _triangle(row)) + 36 * cloud + 60 * grain + 18 * (plank % 2)
    gap = (in_plank < _GAP) | (in_plank > 1 - _GAP)
    return np.where(gap, 30 + 12 * grain, grey).astype(np.float32)


def _printed_lines() -> list[tuple[list[Point], float]]:
    """Return every line on the dial with its width, both in radii of the face."""
    lines: list[tuple[list[Point], float]] = []
    for minute in range(60):
        x, y = direction(minute * TURN // 60)
        inner, outer, width = (0.86, 0.94, 0.03) if minute % 5 == 0 else (0.895, 0.915, 0.02)
        lines.append(([(inner * x, inner * y), (outer * x, outer * y)], width))
    for hour in range(1, _HOURS + 1):
        x, y = direction(hour * TURN // _HOURS)
        digits = str(hour)
        for place, digit in enumerate(digits):
            left = _NUMERAL_RADIUS * x + (place - (len(digits) - 1) / 2) * _DIGIT_SPACING
            for stroke in _digit_strokes(digit):
                line = [(left + _NUMERAL_HEIGHT * dx, _NUMERAL_RADIUS * y + _NUMERAL_HEIGHT * dy) for dx, dy in stroke]
                lines.append((line, _NUMERAL_STROKE))
    return lines


def _digit_strokes(digit: str) -> list[list[Point]]:
    """Return the strokes of a digit in a box of height 1 and width 0.6 round the origin."""
    six = [_arc(0, -0.2, 0.28, 0.3, 0, 360), [(-0.28, -0.2), (-0.23, 0.1), (-0.1, 0.33), (0.14, 0.5)]]
    return {
        "0": [_arc(0, 0, 0.28, 0.5, 0, 360)],
        "1": [[(-0.16, 0.3), (0.05, 0.5), (0.05, -0.5)]],
        "2": [[*_arc(0, 0.22, 0.26, 0.28, -80, 125), (-0.28, -0.5), (0.28, -0.5)]],
        "3": [_arc(-0.02, 0.25, 0.24, 0.25, -65, 180), _arc(-0.02, -0.23, 0.28, 0.27, 0, 245)],
        "4": [[(0.12, -0.5), (0.12, 0.5), (-0.3, -0.2), (0.3, -0.2)]],
        "5": [[(0.24, 0.5), (-0.18, 0.5), (-0.23, 0.05), *_arc(-0.02, -0.18, 0.28, 0.32, -40, 235)]],
        "6": six,
        "7": [[(-0.28, 0.5), (0.28, 0.5), (-0.1, -0.5)]],
        "8": [_arc(0, 0.25, 0.22, 0.25, 0, 360), _arc(0, -0.23, 0.28, 0.27, 0, 360)],
        "9": [[(-x, -y) for x, y in line] for line in six],
    }[digit]


def _arc(x: float, y: float, x_radius: float, y_radius: float, start: int, end: int) -> list[Point]:
    """Return points of an ellipse, at most ten degrees apart, from one angle in degrees to another."""
    n = -(-abs(end - start) // 10)
    turns = [direction((start * (n - k) + end * k) * TURN // (360 * n)) for k in range(n + 1)]
    return [(x + x_radius * dx, y + y_radius * dy) for dx, dy in turns]


def _draw_segment(canvas: NDArray[np.bool_], start: Point, end: Point, width: float) -> None:
    """Blacken what lies within half the width of a segment. Only the rows and columns near it are computed."""
    side = len(canvas)
    (x0, y0), (x1, y1) = start, end
    low_column, high_column = (int((x + 1) / 2 * side) for x in (min(x0, x1) - width, max(x0, x1) + width))
    low_row, high_row = (int((1 - y) / 2 * side) for y in (max(y0, y1) + width, min(y0, y1) - width))
    x = ((np.arange(low_column, high_column + 1) + 0.5) / side * 2 - 1 - x0)[np.newaxis, :]
    y = (1 - (np.arange(low_row, high_row + 1) + 0.5) / side * 2 - y0)[:, np.newaxis]
    dx, dy = x1 - x0, y1 - y0
    part = np.clip((x * dx + y * dy) / (dx * dx + dy * dy), 0, 1)
    near = (x - part * dx) * (x - part * dx) + (y - part * dy) * (y - part * dy) <= width * width / 4
    canvas[low_row : high_row + 1, low_column : high_column + 1] |= near


def _value_noise(words: np.random.PCG64, rows: int, columns: int, side: int) -> NDArray[np.float64]:
    """Return random levels from -0.5 to 0.5 on a grid, interpolated linearly to `(side, side)`."""
    grid = (words.random_raw(rows * columns) >> np.uint64(40)).astype(np.float64) / 2**24 - 0.5
    grid = grid.reshape(rows, columns)
    for axis, cells in ((0, rows), (1, columns)):
        position = (np.arange(side) + 0.5) / side * cells
        before = np.floor(position).astype(np.intp)
        part = (position - before).reshape((-1, 1) if axis == 0 else (1, -1))
        grid = np.take(grid, before, axis) * (1 - part) + np.take(grid, (before + 1) % cells, axis) * part
    return grid


def _triangle(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a wave of period 1 that goes from 0 up to 1 and back."""
    return 1 - abs(2 * (x - np.floor(x)) - 1)

"""Draw one picture of a clock: a wall clock lying on a table, seen by a camera that may stand to its side.

Rays go through 2x2 points of each pixel. Where a ray meets the planes of the dial, the hands and the rim, its grey
level is looked up in a texture or computed from distances. The clock's face has the radius 1, the picture the side 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tune_jobs.datasets.clocks.textures import BACKGROUNDS, TILE, TURN, Point, background, dial, direction
from tune_jobs.errors import DataError

VERSION = 1  # change it whenever any pixel changes

Field = NDArray[Any]  # float32, one value for each point of the picture: (2 * size, 2 * size)

_POINTS = 2  # along a side of a pixel
_RIM_INNER, _RIM_OUTER = 1.015, 1.16
_RIM_HEIGHT, _HANDS_HEIGHT = 0.12, 0.04
_PAPER, _RIM_TOP, _RIM_WALL, _HANDS = 212.0, 72.0, 30.0, 50.0  # grey levels
_INK = 0.7  # the share of the paper's light that the print takes
_HAND_TAIL = 0.09
_BLUR = 0.7  # of the lens: the steepness of an edge, relative to one between two points
_BYTES_SD = 104.5  # of the sum of two random bytes


@dataclass(frozen=True)
class Difficulty:
    """How far pictures may differ from an upright clock seen from the front.

    Raises:
        DataError: a value cannot be drawn; tilted further, a small clock would show the horizon.
    """

    turn_degrees: float  # the most that the clock, with its numerals, is turned to either side
    tilt_degrees: tuple[float, float]  # how far the camera stands to the side, from and to
    roll_degrees: float  # the most that the camera itself is turned
    radius: tuple[float, float]  # of the face, in sides of the picture, from and to; from 0.43 the rim may be cut
    shift: float  # the most that the clock is off the centre, in sides of the picture
    backgrounds: tuple[str, ...]
    light: float  # how uneven the light is, 0 to 1
    glare: float  # the share of pictures in which a lamp is mirrored
    noise: float  # standard deviation, in grey levels of 255

    def __post_init__(self) -> None:
        for name, low, high in (
            ("turn_degrees", 0, 180),
            ("tilt_degrees", 0, 40),
            ("roll_degrees", 0, 180),
            ("radius", 0.3, 0.6),
            ("shift", 0, 0.1),
            ("light", 0, 1),
            ("glare", 0, 1),
            ("noise", 0, 50),
        ):
            value = getattr(self, name)
            ends = value if isinstance(value, tuple) else (value, value)
            if len(ends) != 2 or not low <= ends[0] <= ends[1] <= high:
                raise DataError(f"a clock's {name} must lie from {low} to {high}, ascending; it is {value}")
        if not self.backgrounds or not set(self.backgrounds) <= set(BACKGROUNDS):
            raise DataError(f"a clock's backgrounds are some of {', '.join(BACKGROUNDS)}, not {self.backgrounds}")


UPRIGHT = Difficulty(0, (0, 0), 0, (0.36, 0.395), 0.015, ("plain",), 0, 0, 2)
TURNED = Difficulty(180, (0, 0), 0, (0.35, 0.42), 0.04, ("plain",), 0.5, 0, 2)
FULL = Difficulty(180, (8, 38), 18, (0.34, 0.48), 0.06, BACKGROUNDS, 1, 0.2, 2)


def draw(hour: int, minute: int, *, size: int, difficulty: Difficulty, words: np.random.PCG64) -> NDArray[np.uint8]:
    """Return the picture `(size, size)` of a time; `words` is the source of all chance in it.

    NumPy promises that a generator's raw words stay the same in all versions, unlike its distributions (NEP 19).
    """
    scene = _draw_scene(difficulty, words)
    image = _add_light(_render(scene, hour, minute, size), scene, size)
    return _to_pixels(image, difficulty.noise, words)


@dataclass(frozen=True)
class _Scene:
    """What chance decides in a picture.

    Angles are in steps of `TURN`, `table_at` in radii of the face, other lengths in sides of the picture.
    """

    turn: int
    tilt: int
    roll: int
    distance: float  # of the camera from the centre of the face, in radii of the face
    radius: float
    shift: Point
    table: str
    table_turn: int
    table_at: Point
    brightness: float
    light: float
    lamp: int  # the direction of the light
    glare: bool
    glare_at: Point
    glare_radius: float

    @property
    def lit_from(self) -> Point:
        """The unit vector towards the light."""
        return direction(self.lamp)


def _draw_scene(difficulty: Difficulty, words: np.random.PCG64) -> _Scene:
    chances = iter(((words.random_raw(20) >> np.uint64(11)) * 2.0**-53).tolist())

    def between(low: float, high: float) -> float:
        return low + (high - low) * float(next(chances))

    def steps(low: float, high: float) -> int:
        return int(between(low, high) * TURN / 360 + TURN) - TURN

    def place(furthest: float) -> Point:
        return between(-furthest, furthest), between(-furthest, furthest)

    return _Scene(
        turn=steps(-difficulty.turn_degrees, difficulty.turn_degrees),
        tilt=steps(*difficulty.tilt_degrees),
        roll=steps(-difficulty.roll_degrees, difficulty.roll_degrees),
        distance=between(2.6, 3.6),
        radius=between(*difficulty.radius),
        shift=place(difficulty.shift),
        table=difficulty.backgrounds[int(between(0, len(difficulty.backgrounds)))],
        table_turn=steps(0, 360),
        table_at=place(TILE / 2),
        brightness=1 + 0.08 * difficulty.light * between(-1, 1),
        light=difficulty.light * between(0.4, 1),
        lamp=steps(0, 360),
        glare=between(0, 1) < difficulty.glare,
        glare_at=place(0.3),
        glare_radius=between(0.05, 0.1),
    )


def _render(scene: _Scene, hour: int, minute: int, size: int) -> Field:
    """Return the grey levels of table, rim, face and hands, in even light."""
    x, y, camera_y, camera_z = _dial_plane(scene, size)
    steepness = _BLUR * _POINTS * size * scene.radius
    rim, hands = ((1 - part, camera_y * part) for part in (_RIM_HEIGHT / camera_z, _HANDS_HEIGHT / camera_z))

    radius = np.sqrt(x * x + y * y)
    y_rim = y * rim[0] + rim[1]
    x_rim = x * rim[0]
    rim_radius = np.sqrt(x_rim * x_rim + y_rim * y_rim)  # seen through this point at the height of the rim's top
    inside = _edge(_RIM_OUTER - np.minimum(radius, rim_radius), steepness)
    opening = _edge(_RIM_INNER - rim_radius, steepness)
    face = np.minimum(opening, _edge(1 - radius, steepness))

    image = _table(scene, x, y, radius, size)
    image += inside * (_rim(scene, x_rim, y_rim, rim_radius) - image)
    image += opening * (_RIM_WALL - image)
    image += face * (_paper(scene, x, y, size) - image)
    x_hands, y_hands = x * hands[0], y * hands[0] + hands[1]
    for angle, length, half_width in (
        (hour * TURN // 12 + minute * TURN // 720, 0.56, 0.038),
        (minute * TURN // 60, 0.74, 0.028),
    ):
        hand = _hand(x_hands, y_hands, direction(angle + scene.turn), length, half_width)
        image += _edge(hand, steepness) * (_HANDS - image)
    return image


@cache
def _grid(size: int) -> tuple[Field, Field]:
    """Return the coordinates of the points in the picture: x to the right `(1, n)`, y up `(n, 1)`."""
    coordinates = (np.arange(_POINTS * size) + 0.5) / (_POINTS * size) - 0.5
    return coordinates.astype(np.float32)[np.newaxis, :], -coordinates.astype(np.float32)[:, np.newaxis]


def _dial_plane(scene: _Scene, size: int) -> tuple[Field, Field, float, float]:
    """Return where the rays meet the plane of the dial (x and y), and where the camera stands (y and height)."""
    roll_sin, roll_cos = direction(scene.roll)
    tilt_sin, tilt_cos = direction(scene.tilt)
    nearer = scene.radius * tilt_sin / scene.distance / 2  # the near half looks larger: move up by half of that
    right, up = _grid(size)
    right, up = right - scene.shift[0], up - (scene.shift[1] + nearer)
    in_x, in_y = right * roll_cos + up * roll_sin, up * roll_cos - right * roll_sin
    focal = scene.radius * scene.distance
    camera_y, camera_z = -scene.distance * tilt_sin, scene.distance * tilt_cos
    reach = camera_z / (focal * tilt_cos - in_y * tilt_sin)
    return reach * in_x, reach * (in_y * tilt_cos + focal * tilt_sin) + camera_y, camera_y, camera_z


def _edge(inwards: Field, steepness: float) -> Field:
    """Return the coverage of each point, from 0 outside to 1 inside, given its distance inwards."""
    covered: Field = np.clip(inwards * steepness + 0.5, 0, 1)
    return covered


def _table(scene: _Scene, x: Field, y: Field, radius: Field, size: int) -> Field:
    """Return the grey levels of the table, with the clock's shadow."""
    side = _texels(size)
    density = side / TILE
    sin, cos = (part * density for part in direction(scene.table_turn))
    ahead = 16 * TILE  # whole tiles, so that no place is negative and truncation rounds down
    left, top = ((offset + ahead) * density for offset in scene.table_at)
    column = (x * cos + y * sin + left).astype(np.int32) & (side - 1)
    row = (y * cos - x * sin + top).astype(np.int32) & (side - 1)
    image: Field = background(scene.table, side).ravel()[row * side + column]
    away = radius + scene.light * 0.25 * (x * scene.lit_from[0] + y * scene.lit_from[1])
    image *= 1 - scene.light * 0.5 * np.clip((1.5 - away) * 2.5, 0, 1)  # the clock's shadow
    return image


@cache
def _texels(size: int) -> int:
    """Return the side of a background's tile in texels: a power of two, with about one texel for each point."""
    return 1 << (int(_POINTS * size * 0.36 * TILE) - 1).bit_length()


def _rim(scene: _Scene, x: Field, y: Field, radius: Field) -> Field:
    """Return the grey levels of the rim: a round moulding, lighter towards the light, with two glints."""
    slope = (x * scene.lit_from[0] + y * scene.lit_from[1]) * scene.light
    tone: Field = _RIM_TOP + 14 * slope - 120 * np.abs(radius - (_RIM_INNER + _RIM_OUTER) / 2)
    for turn in (0, TURN // 5):
        glint = direction(scene.lamp + turn)
        dx, dy = x - 1.03 * glint[0], y - 1.03 * glint[1]
        tone += scene.light * 260 * np.maximum(0, 1 - (dx * dx + dy * dy) * 1200)
    return tone


def _paper(scene: _Scene, x: Field, y: Field, size: int) -> Field:
    """Return the grey levels of the face with its print, and with the shadow that the rim throws on it."""
    sin, cos = direction(scene.turn)
    density = int(_POINTS * size * 0.45)
    side = 2 * density
    column = np.clip((x * cos - y * sin) * density + (density - 0.5), 0, side - 1.001)
    row = np.clip((y * cos + x * sin) * -density + (density - 0.5), 0, side - 1.001)
    low_column, low_row = column.astype(np.int32), row.astype(np.int32)
    column -= low_column
    row -= low_row
    ink, texel = dial(density).ravel(), low_row * side + low_column
    upper = ink[texel] + column * (ink[texel + 1] - ink[texel])
    lower = ink[texel + side] + column * (ink[texel + side + 1] - ink[texel + side])
    ink = upper + row * (lower - upper)
    shift = 0.05 * scene.light
    dx, dy = x + shift * scene.lit_from[0], y + shift * scene.lit_from[1]
    shaded = scene.light * 0.35 * np.clip((dx * dx + dy * dy) * 5 - 4.5, 0, 1)
    paper: Field = _PAPER * (1 - _INK * ink) * (1 - shaded)
    return paper


def _hand(x: Field, y: Field, towards: Point, length: float, half_width: float) -> Field:
    """Return how far each point is inside a hand: a bar from its tail behind the centre to its tip."""
    along = x * towards[0] + y * towards[1]
    across = np.abs(x * towards[1] - y * towards[0])
    lengthwise = (length + _HAND_TAIL) / 2 - np.abs(along - (length - _HAND_TAIL) / 2)
    inwards: Field = np.minimum(half_width - across, lengthwise)
    return inwards


def _add_light(image: Field, scene: _Scene, size: int) -> Field:
    """Add light that falls off across the picture and, in some, a lamp mirrored in the glass."""
    right, up = _grid(size)
    slope = 0.18 * scene.light
    image *= scene.brightness + (right * (slope * scene.lit_from[0]) + up * (slope * scene.lit_from[1]))
    if not scene.glare:
        return image
    dx, dy = right - scene.glare_at[0], up - scene.glare_at[1]
    haze = 1 / (1 + (dx * dx + dy * dy) * (1 / scene.glare_radius / scene.glare_radius))
    image += np.minimum((1.5 * haze + 0.15) * haze, 1) * (255 - image)
    return image


def _to_pixels(image: Field, noise: float, words: np.random.PCG64) -> NDArray[np.uint8]:
    """Return the mean of each pixel's points, with noise, in whole grey levels."""
    pixels = (image[0::2, 0::2] + image[1::2, 0::2] + (image[0::2, 1::2] + image[1::2, 1::2])) * np.float32(0.25)
    n = pixels.size
    grains = words.random_raw(-(-n // 4)).astype("<u8").view(np.uint8)  # eight bytes a word, in one order everywhere
    sums = grains[:n].astype(np.int16) + grains[n : 2 * n]
    pixels += (sums.reshape(pixels.shape) - np.float32(255)) * np.float32(noise / _BYTES_SD)
    levels: NDArray[np.uint8] = np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
    return levels

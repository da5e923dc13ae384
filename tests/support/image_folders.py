"""Small folders of image files, drawn on the spot."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = {"blue": (40, 60, 220), "red": (220, 50, 40)}


def draw(path: Path, colour: tuple[int, int, int] | int, size: tuple[int, int] = (12, 16), noise: int = 0) -> None:
    """An image, height by width, of one colour with some noise, or grey where the colour is a number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = size if isinstance(colour, int) else (*size, 3)
    rng = np.random.default_rng(noise)
    pixels = np.clip(np.array(colour) + rng.integers(-20, 21, shape), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)


def fill(folder: Path, n: int = 10, classes: Mapping[str, tuple[int, int, int] | int] = CLASSES) -> Path:
    """`n` images of one size in a folder for each class."""
    for name, colour in classes.items():
        for k in range(n):
            draw(folder / name / f"{k:03}.png", colour, noise=k)
    return folder


def pack(folder: Path, archive: Path, inside: str = "") -> Path:
    """A zip of a folder, whose files lie in the folder `inside` of the zip."""
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                packed.write(path, Path(inside) / path.relative_to(folder))
    return archive

"""Image files become what a model takes, whatever their format, size and colours; what is no image is one line."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tune_jobs.datasets import image_files
from tune_jobs.datasets.image_files import Picture, PictureError

SIDE = 24
SHAPE = (SIDE, SIDE, 1)


@pytest.fixture
def picture() -> Picture:
    """A smooth picture, darker in one corner, that no turn or mirror leaves the same; `(H, W, 1)`."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.clip(40 + 6 * rows + 2 * columns, 0, 255).astype(np.uint8)[..., np.newaxis]


def turned(picture: Picture) -> tuple[Image.Image, Image.Exif]:
    """The picture on its side, and the EXIF that says so."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by 90 degrees clockwise to see it upright
    return Image.fromarray(np.rot90(picture[..., 0]).copy()), exif


def in_the_middle(picture: Picture) -> Image.Image:
    wide = np.full((SIDE, SIDE + 40), 255, np.uint8)
    wide[:, 20:-20] = picture[..., 0]
    return Image.fromarray(wide)


EXACT: dict[str, tuple[str, Callable[[Picture], Image.Image]]] = {
    "grey": ("x.png", lambda picture: Image.fromarray(picture[..., 0])),
    "bmp": ("x.bmp", lambda picture: Image.fromarray(picture[..., 0])),
    "tiff": ("x.tiff", lambda picture: Image.fromarray(picture[..., 0])),
    "wrong-ending": ("x.txt", lambda picture: Image.fromarray(picture[..., 0])),
    "colour": ("x.png", lambda picture: Image.fromarray(picture[..., 0]).convert("RGB")),
    "opaque": ("x.png", lambda picture: Image.fromarray(picture[..., 0]).convert("RGBA")),
    "grey-alpha": ("x.png", lambda picture: Image.fromarray(picture[..., 0]).convert("LA")),
    "palette": ("x.gif", lambda picture: Image.fromarray(picture[..., 0]).convert("P")),
    "16-bit": ("x.png", lambda picture: Image.fromarray(picture[..., 0].astype(np.uint16) * 257)),
    "32-bit": ("x.tiff", lambda picture: Image.fromarray(picture[..., 0].astype(np.int32))),
    "32-bit-deep": ("x.tiff", lambda picture: Image.fromarray(picture[..., 0].astype(np.int32) * 257)),
    "float": ("x.tiff", lambda picture: Image.fromarray(picture[..., 0].astype(np.float32) / 255)),
    "wide": ("x.png", in_the_middle),
}


@pytest.mark.parametrize("kind", EXACT)
def test_a_picture_of_the_models_size_is_taken_value_for_value(kind: str, picture: Picture, tmp_path: Path) -> None:
    name, make = EXACT[kind]
    make(picture).save(tmp_path / name, format="PNG" if name == "x.txt" else None)
    loaded = image_files.load(tmp_path / name, SHAPE)
    assert (loaded.shape, loaded.dtype) == (SHAPE, np.uint8)
    np.testing.assert_array_equal(loaded, picture)


def test_a_dark_picture_of_16_bits_stays_dark(picture: Picture, tmp_path: Path) -> None:
    Image.fromarray(picture[..., 0].astype(np.uint16)).save(tmp_path / "x.png")
    assert image_files.load(tmp_path / "x.png", SHAPE).max() <= 1


def test_a_picture_is_turned_as_its_exif_says(picture: Picture, tmp_path: Path) -> None:
    sideways, exif = turned(picture)
    sideways.save(tmp_path / "x.png", exif=exif)
    np.testing.assert_array_equal(image_files.load(tmp_path / "x.png", SHAPE), picture)


@pytest.mark.parametrize("times", [3, 20])
def test_a_large_picture_is_made_small(times: int, picture: Picture, tmp_path: Path) -> None:
    large = np.kron(picture[..., 0], np.ones((times, times), np.uint8))
    Image.fromarray(large).save(tmp_path / "x.jpg", quality=95)
    loaded = image_files.load(tmp_path / "x.jpg", SHAPE).astype(int)
    assert np.abs(loaded - picture).mean() < 2


def test_fine_stripes_become_grey_and_not_coarse_stripes(tmp_path: Path) -> None:
    stripes = np.zeros((SIDE * 10, SIDE * 10), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "x.png")
    inside = image_files.load(tmp_path / "x.png", SHAPE)[:, 1:-1].astype(int)
    assert np.abs(inside - 128).max() <= 3


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    Image.new("RGBA", (50, 50), (0, 0, 0, 0)).save(tmp_path / "x.png")
    assert image_files.load(tmp_path / "x.png", SHAPE).min() == 255


def test_colours_stay_where_the_model_has_them(tmp_path: Path) -> None:
    Image.new("RGB", (50, 50), (200, 100, 50)).save(tmp_path / "x.png")
    assert image_files.load(tmp_path / "x.png", (8, 6, 3)).reshape(-1, 3).tolist() == [[200, 100, 50]] * 48


def absent(path: Path) -> None:
    pass


def cut(path: Path) -> None:
    Image.effect_noise((80, 80), 90).save(path, format="PNG")
    path.write_bytes(path.read_bytes()[:2000])


def bomb(path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(path, format="PNG")


def locked_in(path: Path) -> None:
    os.mkfifo(path)


def postscript(path: Path) -> None:
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (absent, "there is no file"),
        (Path.mkdir, "is a folder: name the images in it"),
        (locked_in, "is no file"),
        (Path.touch, "is no image"),
        (lambda path: path.write_text("a clock"), "is no image"),
        (postscript, "is no image"),
        (cut, "cannot be read or is damaged"),
        (bomb, "has more than 89 million pixels"),
    ],
    ids=["absent", "folder", "pipe", "empty", "text", "program", "cut", "bomb"],
)
def test_what_is_no_picture_is_one_line_that_names_it(
    make: Callable[[Path], object], says: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.png"
    make(path)
    with pytest.raises(PictureError) as caught:
        image_files.load(path, SHAPE)
    said = str(caught.value)
    assert str(path) in said
    assert says in said
    assert "\n" not in said

"""Pictures of images side by side, and of points in a plane."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tune_jobs.prediction import image_grids


def opened(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("channels", [1, 3])
def test_images_lie_row_after_row_and_small_ones_are_enlarged(channels: int) -> None:
    levels = np.linspace(0, 1, 5)
    images = np.ones((5, 8, 8, channels)) * levels[:, None, None, None]
    picture = opened(image_grids.grid(images, 3))
    assert picture.shape[:2] == (2 * 57 + 1, 3 * 57 + 1)
    for place, level in enumerate(levels):
        row, column = divmod(place, 3)
        tile = picture[row * 57 + 1 : row * 57 + 57, column * 57 + 1 : column * 57 + 57]
        assert (tile == round(255 * level)).all()
    assert (picture[0] == 128).all()


def test_large_images_keep_their_size() -> None:
    assert opened(image_grids.grid(np.zeros((2, 64, 60, 3)), 8)).shape == (66, 123, 3)


def test_a_picture_has_a_largest_size() -> None:
    with pytest.raises(ValueError, match="at most 4096 pixels a side, and this needs"):
        image_grids.grid(np.zeros((800, 64, 64, 1)), 8)


def test_points_of_a_class_have_one_colour_and_lie_in_their_corner() -> None:
    points, labels = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0]]), np.array([4, 5, 4])
    picture = opened(image_grids.scatter(points, labels, ()))
    corners = [tuple(picture[y, x]) for x, y in ((24, 776), (776, 24), (24, 24))]
    assert corners[0] == corners[2] != corners[1]
    assert (255, 255, 255) not in corners

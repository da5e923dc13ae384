"""Points of a latent space, by their definition."""

from __future__ import annotations

import numpy as np
import pytest

from tune_jobs.models.generative import latents


def test_a_walk_changes_its_coordinates_together_and_no_other() -> None:
    points = latents.walk(12, (10, 3), rows=2, steps=7, seed=5).reshape(2, 7, 12)
    for coordinate in (9, 2):  # counted from 0
        np.testing.assert_allclose(points[:, :, coordinate], np.tile(np.linspace(-3, 3, 7), (2, 1)))
    others = np.delete(points, [9, 2], axis=2)
    assert (others == others[:, :1]).all()
    assert (others[0] != others[1]).all()


@pytest.mark.parametrize("coordinate", [0, 13])
def test_a_coordinate_that_is_not_there_is_refused(coordinate: int) -> None:
    with pytest.raises(ValueError, match=f"the latents have the coordinates 1 to 12; got {coordinate}"):
        latents.walk(12, (1, coordinate), rows=1, steps=2, seed=0)


def test_the_way_between_two_points_turns_evenly() -> None:
    first, last = np.array([2.0, 0, 0]), np.array([0, 4.0, 0])
    way = latents.between(first, last, 4)
    lengths = np.linalg.norm(way, axis=1)
    np.testing.assert_allclose(lengths, [2, 2 + 2 / 3, 2 + 4 / 3, 4])
    angles = np.degrees(np.arctan2(way[:, 1], way[:, 0]))
    np.testing.assert_allclose(angles, [0, 30, 60, 90], atol=1e-9)


@pytest.mark.parametrize("last", [[0.0, 0.0], [3.0, 0.0], [-1.0, 0.0]])
def test_without_an_angle_the_way_is_straight(last: list[float]) -> None:
    way = latents.between(np.array([1.0, 0.0]), np.array(last), 3)
    np.testing.assert_allclose(way, np.linspace([1.0, 0.0], last, 3))


def test_the_plane_keeps_the_largest_variances() -> None:
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(50, 2)) * [5, 3]
    turned, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    points = flat @ turned[:2] + 7
    found = latents.plane(points)
    distances = [np.linalg.norm(each[:, None] - each[None], axis=2) for each in (found, flat)]
    np.testing.assert_allclose(*distances, atol=1e-9)
    np.testing.assert_array_equal(latents.plane(flat), flat)
    assert latents.plane(flat[:, :1]).shape == (50, 2)

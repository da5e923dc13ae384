"""Pictures of a trial come back as they were, and what is none, or too large, is refused in one line."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tune_jobs.records import trial_pictures
from tune_jobs.records.trial_pictures import EpochPictures

RNG = np.random.default_rng(0)
GREY, COLOUR = RNG.integers(0, 256, (5, 7), dtype=np.uint8), RNG.integers(0, 256, (4, 6, 3), dtype=np.uint8)


def test_pictures_come_back_as_they_were() -> None:
    packed = trial_pictures.pack({"grey": GREY, "one-channel": GREY[..., None], "colour": COLOUR})
    trial_pictures.check(packed)
    back = {name: np.asarray(Image.open(io.BytesIO(trial_pictures.content(text)))) for name, text in packed.items()}
    for name, expected in (("grey", GREY), ("one-channel", GREY), ("colour", COLOUR)):
        np.testing.assert_array_equal(back[name], expected)
        assert trial_pictures.media_type(packed[name]) == "image/png"


def test_a_large_colour_picture_is_kept_as_jpeg_and_looks_the_same() -> None:
    photograph = np.kron(RNG.integers(0, 256, (16, 32, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    photograph = np.clip(photograph + RNG.normal(0, 4, photograph.shape), 0, 255).astype(np.uint8)
    packed = trial_pictures.pack({"photograph": photograph, "grey": photograph[..., 0]})
    trial_pictures.check(packed)
    assert trial_pictures.media_type(packed["photograph"]) == "image/jpeg"
    assert trial_pictures.media_type(packed["grey"]) == "image/png"
    back = np.asarray(Image.open(io.BytesIO(trial_pictures.content(packed["photograph"]))))
    assert np.abs(back.astype(int) - photograph).mean() < 10


def test_colour_pictures_lose_quality_rather_than_be_too_large() -> None:
    noise = RNG.integers(0, 256, (512, 512, 3), dtype=np.uint8)
    packed = trial_pictures.pack({"samples": noise, "walk": noise[:256]})
    trial_pictures.check(packed)
    assert set(map(trial_pictures.media_type, packed.values())) == {"image/jpeg"}


def test_a_trial_keeps_pictures_of_epochs_that_are_ever_further_apart() -> None:
    assert [epoch for epoch in range(1, 251) if trial_pictures.is_kept(epoch)] == [1, 2, 4, 8, 16, 32, 64, 128]


def test_pictures_of_epochs_are_checked() -> None:
    packed = trial_pictures.pack({"training": GREY})
    trial_pictures.check_progress([EpochPictures(1, packed), EpochPictures(4, packed)])
    large = trial_pictures.pack({"training": RNG.integers(0, 256, (200, 200), dtype=np.uint8)})
    for progress, message in (
        ([EpochPictures(2, packed), EpochPictures(1, packed)], r"in their order; got \[2, 1\]"),
        ([EpochPictures(0, packed)], r"got \[0\]"),
        ([EpochPictures(n, packed) for n in range(1, 18)], "pictures of at most 16 epochs"),
        ([EpochPictures(1, {"x": "eHh4"})], "no packed picture"),
        ([EpochPictures(1, large)], "the pictures of an epoch have at most 32,768 bytes"),
    ):
        with pytest.raises(ValueError, match=message):
            trial_pictures.check_progress(progress)


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ({"../x": GREY}, "a picture needs a name of a-z, 0-9, _ and -, such as 'samples'; got '../x'"),
        ({3: GREY}, "a picture needs a name"),
        ({f"p{n}": GREY for n in range(9)}, "a trial has at most 8 pictures; got 9"),
        ({"x": GREY.astype(float)}, "picture 'x' needs uint8 of (H, W), (H, W, 1) or (H, W, 3); got float64 (5, 7)"),
        ({"x": np.zeros((4, 4, 2), np.uint8)}, "got uint8 (4, 4, 2)"),
        ({"x": np.zeros((1, 1025), np.uint8)}, "picture 'x' needs sides of 1 to 1024 pixels; got (1, 1025)"),
        ({"x": np.zeros((0, 4), np.uint8)}, "needs sides of 1 to 1024 pixels"),
        ({"x": RNG.integers(0, 256, (400, 400), dtype=np.uint8)}, "the pictures of a trial have at most 131,072 bytes"),
    ],
)
def test_what_is_no_picture_is_refused(pictures: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r".*") as refused:
        trial_pictures.pack(pictures)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["<script>", "eHh4", "a"])
def test_a_text_that_is_no_picture_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no packed picture"):
        trial_pictures.check({"x": text})

"""Pictures of a trial come back as they were, and what is none, or too large, is refused in one line."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tune_jobs.records import trial_pictures

RNG = np.random.default_rng(0)
GREY, COLOUR = RNG.integers(0, 256, (5, 7), dtype=np.uint8), RNG.integers(0, 256, (4, 6, 3), dtype=np.uint8)


def test_pictures_come_back_as_they_were() -> None:
    packed = trial_pictures.pack({"grey": GREY, "one-channel": GREY[..., None], "colour": COLOUR})
    trial_pictures.check(packed)
    back = {name: np.asarray(Image.open(io.BytesIO(trial_pictures.png(text)))) for name, text in packed.items()}
    for name, expected in (("grey", GREY), ("one-channel", GREY), ("colour", COLOUR)):
        np.testing.assert_array_equal(back[name], expected)


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

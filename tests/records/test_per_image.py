"""What each image contributed comes back as it was, in little room; what is no such text is refused."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_jobs.records.per_image import count, pack, unpack


@given(st.lists(st.booleans(), max_size=70))
def test_right_and_wrong_come_back_as_whole_numbers(wrong: list[bool]) -> None:
    for errors in (np.array(wrong, dtype=np.float64), np.array(wrong, dtype=np.uint8)):
        back = unpack(pack(errors))
        assert back.dtype == np.uint8
        assert back.tolist() == [int(one) for one in wrong]


@pytest.mark.slow
@given(st.lists(st.floats(0, 720, width=32), min_size=1, max_size=70))
def test_any_other_error_comes_back_to_the_accuracy_of_32_bits(minutes: list[float]) -> None:
    back = unpack(pack(np.array(minutes)))
    np.testing.assert_array_equal(back, np.array(minutes))
    assert len(back) == len(minutes)


def test_errors_finer_than_32_bits_are_rounded_to_them() -> None:
    errors = np.random.default_rng(0).uniform(0, 60, 100)
    back = unpack(pack(errors))
    assert back.dtype == np.float64
    np.testing.assert_array_equal(back, errors.astype(np.float32))


def test_the_mean_of_what_comes_back_is_the_score() -> None:
    errors = (np.random.default_rng(1).uniform(size=5000) < 0.1).astype(np.float64)
    assert unpack(pack(errors)).mean() == errors.mean()


def test_five_thousand_answers_take_less_than_a_byte_for_four_images() -> None:
    errors = (np.random.default_rng(1).uniform(size=5000) < 0.1).astype(np.float64)
    text = pack(errors)
    assert len(text) < 5000 / 4
    assert text.isascii()
    assert "\n" not in text


def _written(head: str, content: bytes) -> str:
    return f"{head}:{base64.b64encode(zlib.compress(content)).decode()}"


def test_the_form_is_the_one_it_always_was() -> None:
    assert unpack(_written("b3", bytes([0b01100000]))).tolist() == [0, 1, 1]  # older studies are written in it
    assert unpack(_written("f2", np.array([0.5, 2.0], "<f4").tobytes())).tolist() == [0.5, 2.0]
    assert pack(np.array([0.0, 1.0, 1.0])).startswith("b3:")
    assert pack(np.array([0.5, 2.0])).startswith("f2:")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b3",
        "b3:",
        ":",
        "b3:no base64!",
        "b3:" + base64.b64encode(b"not compressed").decode(),
        pack(np.ones(300))[:-8],
        _written("b", b"\x00"),
        _written("bx", b"\x00"),
        _written("f3", bytes(8)),
        _written("b8", bytes(2)),
        _written("b99999999999", b"\x00"),
    ],
)
def test_what_is_no_packed_errors_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+") as refusal:
        unpack(text)
    assert "\n" not in str(refusal.value)


def test_errors_say_of_how_many_images_they_are_without_being_unpacked() -> None:
    assert count(pack(np.ones(300))) == 300
    assert count("f1234:not unpacked") == 1234
    with pytest.raises(ValueError, match="no packed errors"):
        count("300")


def test_no_more_is_unpacked_than_is_said() -> None:
    with pytest.raises(ValueError, match="b8 with 2 bytes"):
        unpack(_written("b8", bytes(10_000_000)))

"""Kept weights come back in their order, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tune_jobs.training import weights

DEPTH = 6  # twelve arrays, so that one in order of names would put the eleventh before the third


def network(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((3,))
    x = inputs
    for width in range(2, 2 + DEPTH):
        x = keras.layers.Dense(width, bias_initializer="random_normal")(x)
    return keras.Model(inputs, x)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The one file of a folder in which trial 7 was kept."""
    weights.keep(weights.packed(network(1)), tmp_path / "kept", 7)
    (file,) = (tmp_path / "kept").iterdir()
    return file


def test_a_network_with_kept_weights_answers_as_the_one_they_are_of(tmp_path: Path) -> None:
    weights.keep(weights.packed(network(1)), tmp_path / "new" / "folder", 7)
    loaded = weights.load(tmp_path / "new" / "folder", 7)
    assert loaded is not None
    assert len(loaded) == 2 * DEPTH
    again, x = network(2), np.random.default_rng(0).normal(size=(4, 3))
    again.set_weights(loaded)
    np.testing.assert_array_equal(again(x), network(1)(x))


@pytest.mark.slow
def test_each_trial_has_weights_of_its_own_and_the_last_kept_count(tmp_path: Path) -> None:
    for seed, number in ((1, 7), (2, 8), (3, 7)):
        weights.keep(weights.packed(network(seed)), tmp_path, number)
    for seed, number in ((3, 7), (2, 8)):
        loaded = weights.load(tmp_path, number)
        assert loaded is not None
        np.testing.assert_array_equal(loaded[0], network(seed).get_weights()[0])
    assert len(list(tmp_path.iterdir())) == 2


def test_what_was_not_kept_is_none(kept: Path, tmp_path: Path) -> None:
    assert weights.load(kept.parent, 8) is None
    assert weights.load(tmp_path / "no" / "folder", 7) is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # NumPy leaves such a file open
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_file_that_was_cut_is_none(kept: Path, share: float) -> None:
    whole = kept.read_bytes()
    kept.write_bytes(whole[: int(len(whole) * share)])
    assert weights.load(kept.parent, 7) is None


def _flipped(file: Path) -> None:
    whole = bytearray(file.read_bytes())
    offset = whole.index(network(1).get_weights()[0].tobytes())
    whole[offset] ^= 0xFF
    file.write_bytes(whole)


def _pickled(file: Path) -> None:
    np.savez(file, np.array([{"not": "a number"}], dtype=object))


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("damage", [_flipped, _pickled, _folder, lambda file: file.write_bytes(b"no archive")])
def test_a_file_that_is_damaged_is_none(kept: Path, damage: Callable[[Path], Any]) -> None:
    damage(kept)
    assert weights.load(kept.parent, 7) is None


def test_weights_that_could_not_be_written_leave_the_ones_before(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(file: Path, content: bytes) -> None:
        with file.open("wb") as part:
            part.write(content[:9])
        raise OSError(28, "No space left on device")

    content = weights.packed(network(2))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        weights.keep(content, kept.parent, 7)  # no error: the trial itself is whole
    assert [file.name for file in kept.parent.iterdir()] == [kept.name]
    loaded = weights.load(kept.parent, 7)
    assert loaded is not None
    np.testing.assert_array_equal(loaded[0], network(1).get_weights()[0])

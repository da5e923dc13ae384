from __future__ import annotations

import math
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from tune_jobs.models import cnn, mlp, pictures
from tune_jobs.models.label_encodings import Classes

TEN = Classes(10)
BUILDERS = {
    "mlp": lambda **knobs: mlp.build(units=6, **knobs),
    "cnn": lambda **knobs: cnn.build(filters="3-4", **knobs),
}
AUGMENTATIONS = ("none", "flip", "shift", "flip-shift", "zoom-shift", "turn", "turn-zoom-shift-brightness")
every_family = pytest.mark.parametrize("family", BUILDERS)


def images(n: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8)


def through(augmentation: str = "none", pixels: str = "original", shape: tuple[int, ...] = (8, 8, 1)) -> keras.Model:
    """A network of nothing but what happens to pictures."""
    inputs = keras.Input(shape, dtype="uint8")
    return keras.Model(inputs, pictures.scaled(inputs, augmentation=augmentation, pixels=pixels))


def answers(model: keras.Model, x: np.ndarray, **told: bool) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(x, **told))


def permuted_by_hand(x: np.ndarray) -> np.ndarray:
    """Pixels `(N, H, W, C)` in the order of NumPy's own generator, a pixel's channels together."""
    height, width, channels = x.shape[1:]
    order = np.random.Generator(np.random.PCG64(0)).permutation(height * width)
    mixed = np.empty_like(x)
    for place, source in enumerate(order):
        mixed[:, place // width, place % width] = x[:, source // width, source % width]
    assert mixed.shape[-1] == channels
    return mixed


# --- a fixed permutation ----------------------------------------------------------------------------------------------


@every_family
@pytest.mark.parametrize("shape", [(8, 8, 1), (5, 4, 3)])
def test_a_network_of_permuted_pixels_is_the_plain_one_on_images_permuted_by_hand(
    family: str, shape: tuple[int, ...]
) -> None:
    permuted = BUILDERS[family](input_shape=shape, head=TEN.head, pixels="permuted")
    plain = BUILDERS[family](input_shape=shape, head=TEN.head)
    plain.set_weights(permuted.get_weights())
    x = images(5, *shape)
    np.testing.assert_array_equal(answers(permuted, x), answers(plain, permuted_by_hand(x)))
    assert not np.allclose(answers(permuted, x), answers(plain, x))


def test_images_of_fewer_axes_are_permuted_all_the_same() -> None:
    x = images(5, 6, 4)
    mixed = answers(through(pixels="permuted", shape=(6, 4)), x)
    np.testing.assert_allclose(mixed, permuted_by_hand(x[..., None])[..., 0] / 255, rtol=1e-6)
    rows = answers(through(pixels="permuted", shape=(24,)), x.reshape(5, 24))
    np.testing.assert_array_equal(rows, mixed.reshape(5, 24))


def test_the_permutation_is_the_one_it_always_was() -> None:
    assert pictures.permutation(8) == [2, 4, 3, 6, 5, 0, 1, 7]  # of NumPy 2's PCG64; older studies lean on it


@pytest.mark.parametrize("n", [1, 2, 64, 784, 1024])
def test_every_pixel_has_one_place(n: int) -> None:
    assert sorted(pictures.permutation(n)) == list(range(n))


# --- random changes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pixels", pictures.PIXEL_ORDERS)
@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_outside_training_pictures_are_scaled_and_nothing_else(augmentation: str, pixels: str) -> None:
    model, x = through(augmentation, pixels), images(20, 8, 8, 1)
    expected = (permuted_by_hand(x) if pixels == "permuted" else x) / 255
    for answer in (answers(model, x), answers(model, x, training=False), model.predict(x, verbose=0)):
        np.testing.assert_allclose(answer, expected, rtol=1e-6)


def test_without_augmentation_training_changes_nothing() -> None:
    model, x = through(), images(20, 8, 8, 1)
    np.testing.assert_array_equal(answers(model, x, training=True), answers(model, x, training=False))


def test_a_flip_mirrors_left_and_right_about_every_other_picture() -> None:
    x = images(200, 6, 8, 1)
    answer = answers(through("flip", shape=(6, 8, 1)), x, training=True)
    stays = np.isclose(answer, x / 255).all(axis=(1, 2, 3))
    mirrored = np.isclose(answer, x[:, :, ::-1] / 255).all(axis=(1, 2, 3))
    assert (stays ^ mirrored).all()
    assert abs(mirrored.sum() - 100) < 4 * math.sqrt(200 / 4)  # four standard deviations of a fair coin


def test_a_shift_moves_by_up_to_its_share_of_each_side_and_fills_with_black() -> None:
    side, at = 25, 12
    x = np.zeros((200, side, side, 1), np.uint8)
    x[:, at, at] = 255
    answer = answers(through("shift", shape=(side, side, 1)), x, training=True)[..., 0]
    assert answer.sum(axis=(1, 2)) == pytest.approx(1, abs=1e-4)  # the bright pixel is shared among its neighbours
    rows, columns = answer.sum(axis=2) @ np.arange(side) - at, answer.sum(axis=1) @ np.arange(side) - at
    for moved in (rows, columns):
        bound = pictures.SHIFT * side
        assert np.abs(moved).max() <= bound + 1e-3
        assert moved.min() < -bound / 2
        assert moved.max() > bound / 2
    assert abs(np.corrcoef(rows, columns)[0, 1]) < 4 / math.sqrt(200)
    edges = answers(through("shift"), np.full((200, 8, 8, 1), 255, np.uint8), training=True)
    assert edges.min() < 0.9  # a picture of light has darkness beside it


def test_flip_shift_does_both() -> None:
    x = np.zeros((100, 25, 25, 1), np.uint8)
    x[:, 12, 4] = 255
    answer = answers(through("flip-shift", shape=(25, 25, 1)), x, training=True)[..., 0]
    columns = answer.sum(axis=1) @ np.arange(25)
    mirrored = np.abs(columns - 20) <= 2.001  # two pixels around the mirror image of 4
    assert set(mirrored) == {True, False}
    assert np.abs(columns[~mirrored] - 4).max() <= 2.001
    assert len(np.unique(columns.round(3))) > 50


def disc(side: int) -> np.ndarray:
    """One picture of a bright square a little to the right of the centre, `(1, side, side, 1)`."""
    x = np.zeros((1, side, side, 1), np.uint8)
    x[:, side // 2 - 2 : side // 2 + 3, side - 12 : side - 7] = 255
    return x


def centres(pictures_of: np.ndarray) -> np.ndarray:
    """Where the light of each picture is, from the middle: across and down, `(N, 2)`."""
    light = pictures_of[..., 0]
    side = np.arange(light.shape[1]) - (light.shape[1] - 1) / 2
    total = light.sum(axis=(1, 2))
    return np.stack([light.sum(axis=1) @ side / total, light.sum(axis=2) @ side / total], axis=1)


def test_a_turn_goes_to_every_direction_about_the_centre() -> None:
    x = np.repeat(disc(31), 300, axis=0)
    answer = centres(answers(through("turn", shape=(31, 31, 1)), x, training=True))
    np.testing.assert_allclose(np.hypot(*answer.T), np.hypot(*centres(x)[0]), atol=0.3)
    sectors = np.histogram(np.arctan2(answer[:, 1], answer[:, 0]), bins=6, range=(-np.pi, np.pi))[0]
    assert sectors.min() > 50 - 4 * math.sqrt(300 * 5 / 36)  # four standard deviations of an even spread


def test_a_zoom_changes_lengths_by_up_to_its_share_and_no_direction() -> None:
    x = np.repeat(disc(31), 200, axis=0)
    answer = centres(answers(through("zoom", shape=(31, 31, 1)), x, training=True))
    ratio = answer[:, 0] / centres(x)[0, 0]
    assert 1 / (1 + pictures.ZOOM) - 0.01 <= ratio.min() < 0.95
    assert 1.05 < ratio.max() <= 1 / (1 - pictures.ZOOM) + 0.01
    np.testing.assert_allclose(answer[:, 1], 0, atol=0.05)


def test_a_view_shifts_by_up_to_its_share_of_each_side() -> None:
    x = np.zeros((200, 31, 31, 1), np.uint8)
    x[:, 14:17, 14:17] = 255
    answer = centres(answers(through("zoom-shift", shape=(31, 31, 1)), x, training=True))
    bound = pictures.SHIFT * 31
    assert np.abs(answer).max() <= bound / (1 - pictures.ZOOM) + 0.05
    assert (answer.max(axis=0) > bound / 2).all()
    assert (answer.min(axis=0) < -bound / 2).all()


def test_brightness_adds_the_same_to_every_pixel_within_black_and_white() -> None:
    x = np.full((200, 4, 4, 1), 128, np.uint8)
    answer = answers(through("brightness", shape=(4, 4, 1)), x, training=True) - 128 / 255
    assert np.ptp(answer, axis=(1, 2, 3)).max() < 1e-6
    assert pictures.BRIGHTNESS / 2 < np.abs(answer).max() <= pictures.BRIGHTNESS + 1e-6
    white = answers(through("brightness", shape=(4, 4, 1)), np.full((50, 4, 4, 1), 255, np.uint8), training=True)
    assert white.max() == 1


@pytest.mark.parametrize("augmentation", ["shift-flip", "turn-turn", "spin", "", "none-flip"])
def test_an_augmentation_that_is_none_says_what_there_is(augmentation: str) -> None:
    with pytest.raises(ValueError, match=r"^augmentation must be none, or some of flip, turn, zoom, shift, brightness"):
        through(augmentation)


@pytest.mark.parametrize("augmentation", AUGMENTATIONS[1:])
def test_what_is_random_comes_from_the_seed(augmentation: str) -> None:
    x = images(20, 8, 8, 1)

    def drawn(seed: int) -> list[np.ndarray]:
        keras.utils.set_random_seed(seed)
        model = through(augmentation)
        return [answers(model, x, training=True) for _ in range(2)]

    first, again, other = drawn(1), drawn(1), drawn(2)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[0], first[1])


@pytest.mark.slow
def test_every_epoch_of_a_training_is_augmented_anew_and_repeats_with_its_seed() -> None:
    x, labels = images(16, 8, 8, 1), np.arange(16) % 10

    def losses(augmentation: str) -> list[float]:
        """Of a network that learns nothing, so that only its pictures change."""
        keras.utils.set_random_seed(1)
        model = cnn.build(input_shape=(8, 8, 1), head=TEN.head, filters=2, augmentation=augmentation)
        model.compile(keras.optimizers.SGD(0.0), TEN.loss())
        return model.fit(x, labels, epochs=3, batch_size=16, shuffle=False, verbose=0).history["loss"]

    augmented = losses("flip-shift")
    assert len(set(augmented)) == 3
    assert losses("flip-shift") == augmented
    assert losses("none") == pytest.approx([losses("none")[0]] * 3)


# --- saved and refused ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning"
)  # Keras', when it saves
@every_family
def test_a_saved_network_is_loaded_by_keras_alone_and_answers_the_same(family: str, tmp_path: Path) -> None:
    made = BUILDERS[family](input_shape=(8, 6, 3), head=TEN.head, pixels="permuted", augmentation="flip-shift")
    made.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = images(5, 8, 6, 3)
    np.testing.assert_array_equal(answers(loaded, x), answers(made, x))
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), made.predict(x, verbose=0))
    assert not np.array_equal(answers(loaded, x, training=True), answers(loaded, x))
    config = zipfile.ZipFile(tmp_path / "model.keras").read("config.json").decode()
    assert '"module": "models' not in config  # nothing in it is ours


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning"
)  # Keras', when it saves
def test_without_its_views_a_network_is_loaded_by_keras_alone_and_answers_the_same(tmp_path: Path) -> None:
    knobs = {"augmentation": "turn-zoom-shift-brightness", "batch_norm": True, "dropout": "with", "dropout_rate": 0.2}
    made = BUILDERS["cnn"](input_shape=(9, 8, 1), head=TEN.head, **knobs)
    made.set_weights([np.random.default_rng(1).uniform(0.1, 0.9, weight.shape) for weight in made.get_weights()])
    plain = pictures.without_views(made)
    plain.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = images(5, 9, 8, 1)
    np.testing.assert_array_equal(answers(loaded, x), answers(made, x))
    assert '"module": "models' not in zipfile.ZipFile(tmp_path / "model.keras").read("config.json").decode()
    untouched = BUILDERS["cnn"](input_shape=(8, 8, 1), head=TEN.head, augmentation="flip-shift")
    assert pictures.without_views(untouched) is untouched


def test_random_changes_have_no_weights() -> None:
    assert through("flip-shift", "permuted").get_weights() == []
    assert through("turn-zoom-shift-brightness").get_weights() == []


def test_images_that_cannot_be_flipped_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^augmentation='flip' needs pictures \(H, W, C\); got \(64,\)$"):
        through("flip", shape=(64,))

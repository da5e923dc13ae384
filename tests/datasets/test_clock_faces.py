"""Drawn clocks show the time of their label, are the same on every machine, and are drawn once."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from tune_jobs import datasets
from tune_jobs.datasets.clocks import drawing, faces
from tune_jobs.datasets.clocks.drawing import FULL, TURNED, UPRIGHT, Difficulty
from tune_jobs.datasets.clocks.faces import ClockFaces
from tune_jobs.datasets.progress import Progress
from tune_jobs.errors import DataError

Array = NDArray[Any]

SMALL = ClockFaces(size=16, per_time=1, difficulty=UPRIGHT)
STILL = replace(UPRIGHT, radius=(0.4, 0.4), shift=0, noise=0)  # always the same but for the hands
TIMES = ((0, 0), (3, 0), (9, 0), (5, 33), (5, 45), (10, 21), (2, 7), (0, 40), (11, 59), (7, 15))


def words(index: int = 0, seed: int = 0) -> np.random.PCG64:
    return np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(index,)))


def picture(hour: int, minute: int, difficulty: Difficulty, *, size: int = 75, index: int = 0) -> Array:
    return drawing.draw(hour, minute, size=size, difficulty=difficulty, words=words(index))


def sha256(array: Array) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(DataError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what is drawn -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "difficulty", "digest"),
    [
        (75, FULL, "65eabee5fc8575fc"),
        (150, FULL, "d94071991e3afcf5"),
        (75, TURNED, "4c69c55df403ccf5"),
        (32, UPRIGHT, "df52ec6f6e7765bd"),
    ],
)
def test_this_version_draws_the_pixels_it_always_drew(size: int, difficulty: Difficulty, digest: str) -> None:
    """If these change on purpose, so must VERSION. Seen equal with NumPy's AVX2 and AVX-512 loops on and off."""
    drawn = [picture(index % 12, 5 * index % 60, difficulty, size=size, index=index) for index in range(24)]
    assert drawing.VERSION == 1
    assert sha256(np.stack(drawn))[:16] == digest


def darkest(image: Array, inner: float, outer: float, *, away_from: float | None = None) -> float:
    """The angle of the darkest ray from the centre between two radii of the face, clockwise from 12, in degrees."""
    degrees = np.arange(0, 360, 0.5)
    middle, radius = (len(image) - 1) / 2, STILL.radius[0] * len(image)
    along, turns = np.linspace(inner, outer, 12)[:, np.newaxis] * radius, np.radians(degrees)
    places = [middle - along * np.cos(turns), middle + along * np.sin(turns)]
    dark = 255 - ndimage.map_coordinates(image.astype(float), places, order=1).mean(axis=0)
    dark = ndimage.uniform_filter1d(dark, 15, mode="wrap")  # the middle of a hand, and not any place on it
    if away_from is not None:
        dark[apart(degrees, away_from) < 14] = 0
    return float(degrees[dark.argmax()])


def apart(a: Array | float, b: float) -> Array:
    return np.abs((np.asarray(a) - b + 180) % 360 - 180)


@pytest.mark.parametrize(("hour", "minute"), TIMES)
def test_the_hands_are_where_the_time_says(hour: int, minute: int) -> None:
    image = picture(hour, minute, STILL, size=150)
    hour_hand, minute_hand = (30 * hour + minute / 2) % 360, 6.0 * minute
    assert apart(darkest(image, 0.6, 0.64), minute_hand) < 1.5  # beyond the hour hand, within the numerals
    if apart(hour_hand, minute_hand) > 20:
        assert apart(darkest(image, 0.25, 0.5, away_from=minute_hand), hour_hand) < 1.5


def test_the_hour_hand_moves_with_the_minutes() -> None:
    early, late = (picture(4, minute, STILL).astype(int) for minute in (58, 59))
    assert np.abs(early - late)[30:45, 20:37].max() > 10  # left of the centre, where the hour hand is not
    half_past = picture(3, 30, STILL, size=150)
    assert apart(darkest(half_past, 0.25, 0.5, away_from=180), 105) < 1.5


def test_the_hour_hand_is_shorter_and_thicker() -> None:
    image = picture(3, 0, STILL, size=150).astype(int)
    middle, radius = 74.5, STILL.radius[0] * 150
    to_12 = image[[round(middle - part * radius) for part in (0.4, 0.65)], 70:80]
    to_3 = image[70:80, [round(middle + part * radius) for part in (0.4, 0.65)]].T
    dark = 255 * 10 - to_12.sum(axis=1), 255 * 10 - to_3.sum(axis=1)
    assert dark[1][0] > dark[0][0] * 1.1
    assert to_12[1].min() < 100
    assert to_3[1].min() > 180


def ring(size: int, inner: float, outer: float, *, away_from: float) -> Array:
    """Where the face is between two radii, more than 30 degrees from an angle."""
    coordinates = np.arange(size) - (size - 1) / 2
    x, y = coordinates[np.newaxis, :], -coordinates[:, np.newaxis]
    radius = np.hypot(x, y) / (STILL.radius[0] * size)
    return (radius > inner) & (radius < outer) & (apart(np.degrees(np.arctan2(x, y)), away_from) > 30)


def test_only_the_numerals_tell_a_turned_clock_from_another_time() -> None:
    turned = np.rot90(picture(0, 0, STILL), -1).astype(int)  # noon, a quarter turn clockwise: both hands to the right
    quarter_past_three = picture(3, 15, STILL).astype(int)
    difference = np.abs(turned - quarter_past_three)
    assert difference[ring(75, 0.2, 0.62, away_from=90)].max() < 10
    assert difference[ring(75, 0.66, 0.84, away_from=90)].max() > 80
    assert (
        difference[ring(75, 0.87, 0.95, away_from=90)].max() < 60
    )  # the strokes are the same, to a fraction of a pixel


def test_the_whole_clock_turns_numerals_and_all() -> None:
    turned = replace(STILL, turn_degrees=180)
    upright = picture(10, 21, STILL).astype(float)
    face = ring(75, 0, 0.95, away_from=90) | ring(75, 0, 0.95, away_from=270)
    found = []
    for index in range(3):
        image = picture(10, 21, turned, index=index)
        angles = np.arange(0, 360, 2)
        far = [np.abs(ndimage.rotate(upright, -a, reshape=False, order=1) - image)[face].mean() for a in angles]
        best = int(np.argmin(far))
        found.append(int(angles[best]))
        others = [distance for a, distance in zip(angles, far, strict=True) if apart(float(a), float(angles[best])) > 6]
        assert far[best] < 8
        assert far[best] < 0.6 * min(others)
    assert len(set(found)) == 3


@pytest.mark.parametrize("size", [32, 75, 150])
def test_a_picture_is_grey_bytes_of_its_size(size: int) -> None:
    image = picture(1, 2, FULL, size=size)
    assert (image.shape, image.dtype) == ((size, size), np.uint8)
    assert image.std() > 40


def test_an_upright_clock_lies_whole_in_its_picture_and_a_full_one_may_be_cut() -> None:
    def darkest_border(difficulty: Difficulty) -> float:
        plain = replace(difficulty, backgrounds=("plain",), light=0, glare=0, noise=0)
        images = [picture(1, 2, plain, index=index) for index in range(60)]
        return float(min(np.concatenate([i[0], i[-1], i[:, 0], i[:, -1]]).min() for i in images))

    assert darkest_border(UPRIGHT) > 84  # the rim is 72 at its lightest
    assert darkest_border(FULL) < 72


@pytest.mark.parametrize(
    "change",
    [
        {"turn_degrees": 180},
        {"tilt_degrees": (30, 38)},
        {"roll_degrees": 40},
        {"radius": (0.44, 0.5)},
        {"shift": 0.1},
        {"backgrounds": ("woven",)},
        {"backgrounds": ("wooden",)},
        {"light": 1},
        {"glare": 1},
        {"noise": 10},
    ],
)
def test_every_part_of_a_difficulty_is_seen(change: dict[str, Any]) -> None:
    plain, changed = picture(4, 50, STILL).astype(int), picture(4, 50, replace(STILL, **change)).astype(int)
    assert np.abs(plain - changed).max() > 15


def test_noise_has_the_standard_deviation_that_was_asked_for() -> None:
    clean, noisy = (picture(6, 0, replace(STILL, noise=noise), size=150).astype(float) for noise in (0, 5))
    assert np.std(noisy - clean) == pytest.approx(5, rel=0.03)
    assert np.mean(noisy - clean) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("radius", [0.3, 0.6])
@pytest.mark.parametrize("tilt", [0, 40])
def test_the_furthest_that_may_be_asked_for_can_be_drawn(tilt: float, radius: float) -> None:
    extreme = replace(FULL, tilt_degrees=(tilt, tilt), roll_degrees=180, radius=(radius, radius), shift=0.1)
    for index in range(40):  # warnings, as of a division by zero at a horizon, are errors
        assert picture(8, 20, extreme, index=index).std() > 20


@pytest.mark.parametrize(
    "change",
    [
        {"turn_degrees": 181},
        {"turn_degrees": -1},
        {"tilt_degrees": (0, 41)},
        {"tilt_degrees": (20, 10)},
        {"radius": (0.2, 0.4)},
        {"radius": (0.4,)},
        {"shift": 0.11},
        {"light": 1.1},
        {"glare": -0.1},
        {"noise": float("nan")},
        {"backgrounds": ()},
        {"backgrounds": ("plain", "tiled")},
    ],
)
def test_a_difficulty_that_cannot_be_drawn_is_refused(change: dict[str, Any]) -> None:
    message = refusal(lambda: replace(FULL, **change))
    ((name, value),) = change.items()
    assert name in message
    assert str(value) in message


# --- a set of them -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_set_is_the_same_with_one_process_and_with_two_and_in_two_runs() -> None:
    drawn = [faces.draw(SMALL, processes=processes) for processes in (1, 2, 1)]
    assert len({sha256(split.x) for split in drawn}) == 1


@pytest.mark.slow
def test_a_picture_depends_on_its_own_place_and_the_seed_alone() -> None:
    chosen = replace(SMALL, per_time=2, difficulty=FULL, seed=7)
    drawn = faces.draw(chosen, processes=1)
    for index in (1439, 0, 611):
        hour, minute = (int(part) for part in drawn.labels[index])
        alone = drawing.draw(hour, minute, size=16, difficulty=FULL, words=words(index, seed=7))
        assert np.array_equal(drawn.x[index, ..., 0], alone)


@pytest.mark.slow
def test_another_seed_draws_other_pictures_of_the_same_times() -> None:
    first, other = faces.draw(SMALL), faces.draw(replace(SMALL, seed=1))
    assert (first.x != other.x).any(axis=(1, 2, 3)).all()
    assert np.array_equal(first.labels, other.labels)


@pytest.mark.slow
def test_each_time_has_as_many_pictures_and_no_two_are_alike() -> None:
    chosen = replace(SMALL, per_time=3)
    drawn = faces.draw(chosen)
    assert (drawn.x.shape, drawn.x.dtype) == ((2160, 16, 16, 1), np.uint8)
    assert drawn.labels.dtype == np.int64
    expected = [(hour, minute) for hour in range(12) for minute in range(60) for _ in range(3)]
    assert list(map(tuple, drawn.labels.tolist())) == expected
    assert len({image.tobytes() for image in drawn.x}) == 2160


@pytest.mark.slow
def test_a_set_is_divided_four_to_one_in_each_time(tmp_path: Path) -> None:
    original = faces.load(replace(SMALL, per_time=5), tmp_path)
    for part, share in ((original.train, 4), (original.test, 1)):
        assert set(np.unique(part.labels, axis=0, return_counts=True)[1].tolist()) == {share}
        assert len(np.unique(part.labels, axis=0)) == 720


def test_the_known_sets_are_as_large_as_the_reports_data() -> None:
    known = {name: (one.n_images, one.size, one.difficulty) for name, one in faces.SETS.items()}
    assert known == {
        "clock-faces": (18_000, 75, FULL),
        "clock-faces-150": (18_000, 150, FULL),
        "clock-faces-upright": (18_000, 32, UPRIGHT),
        "clock-faces-small": (2_880, 32, UPRIGHT),
    }


def test_a_set_is_loaded_by_its_name_and_found_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "SOURCES", (faces.source("tiny-clocks", SMALL),))
    message = refusal(lambda: datasets.locate("tiny-clocks", tmp_path))
    assert f"{tmp_path / 'clock-faces'}; drawn when first needed" in message
    faces.load(SMALL, tmp_path)
    place = Path(datasets.locate("tiny-clocks", tmp_path))
    assert place.is_file()
    assert SMALL.digest in place.name


@pytest.mark.slow
def test_the_small_set_is_divided_for_a_task(tmp_path: Path) -> None:
    loaded = datasets.load("clock-faces-small", data_dir=tmp_path, validation=0.25)
    assert (loaded.train.x.shape, loaded.validation.x.shape, loaded.test.x.shape) == (
        (1728, 32, 32, 1),
        (576, 32, 32, 1),
        (576, 32, 32, 1),
    )
    assert loaded.train.labels.max(axis=0).tolist() == [11, 59]


def test_settings_of_numpy_are_the_numbers_that_they_show() -> None:
    assert repr(replace(SMALL, size=np.int64(32), seed=np.uint8(3))) == repr(replace(SMALL, size=32, seed=3))


@pytest.mark.parametrize(
    "change",
    [{"size": 15}, {"size": 75.0}, {"per_time": 0}, {"per_time": 2000}, {"seed": -1}],
)
def test_settings_that_cannot_be_drawn_are_refused(change: dict[str, Any]) -> None:
    message = refusal(lambda: replace(SMALL, **change))
    ((name, value),) = change.items()
    assert name in message
    assert str(value) in message


def test_no_processes_at_all_are_refused() -> None:
    assert "not 0" in refusal(lambda: faces.draw(SMALL, processes=0))


def test_a_process_that_is_killed_ends_the_drawing_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dying(faces.ProcessPoolExecutor):
        def map(self, *_args: Any, **_options: Any) -> Iterator[Any]:
            raise BrokenProcessPool("a child process terminated abruptly")

    monkeypatch.setattr(faces, "ProcessPoolExecutor", Dying)
    assert "one of 2 processes" in refusal(lambda: faces.draw(SMALL, processes=2))


def test_drawing_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "Progress", functools.partial(Progress, every_s=0.0))
    said: list[str] = []
    faces.draw(SMALL, processes=1, say=said.append)
    assert said[0].startswith("drawing clock faces, 16x16: ")
    assert said[-1] == "drawing clock faces, 16x16: 720 of 720 images"
    assert len(said) > 1


# --- what is kept --------------------------------------------------------------------------------------------------


def test_every_setting_and_the_version_have_files_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    changes: tuple[dict[str, Any], ...] = ({"size": 20}, {"per_time": 2}, {"seed": 1}, {"difficulty": TURNED}, {})
    digests = {replace(SMALL, **change).digest for change in changes}
    monkeypatch.setattr(drawing, "VERSION", drawing.VERSION + 1)
    assert len(digests | {SMALL.digest}) == len(changes) + 1


def test_a_set_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = faces.load(SMALL, tmp_path)

    def refuse(*_args: object, **_options: object) -> None:
        raise AssertionError("drawn again")

    monkeypatch.setattr(drawing, "draw", refuse)
    again = faces.load(SMALL, tmp_path)
    assert np.array_equal(first.train.x, again.train.x)
    assert np.array_equal(first.test.x, again.test.x)
    with pytest.raises(AssertionError, match="drawn again"):
        faces.load(replace(SMALL, seed=1), tmp_path)


@pytest.mark.slow
def test_beside_the_pictures_lies_their_checksum_and_nothing_else(tmp_path: Path) -> None:
    faces.load(SMALL, tmp_path)
    path = faces.locate(SMALL, tmp_path)
    note = path.with_name(f"{path.name}.sha256")
    assert set(tmp_path.rglob("*")) == {path.parent, path, note}
    assert note.read_text() == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
    assert np.array_equal(np.load(path), faces.draw(SMALL).x)


def flip_a_pixel(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def remove_the_checksum(path: Path) -> None:
    path.with_name(f"{path.name}.sha256").unlink()


@pytest.mark.slow
@pytest.mark.parametrize("damage", [flip_a_pixel, cut, remove_the_checksum, Path.unlink])
def test_damaged_pictures_are_drawn_again(damage: Callable[[Path], None], tmp_path: Path) -> None:
    first = faces.load(SMALL, tmp_path)
    path = faces.locate(SMALL, tmp_path)
    whole = path.read_bytes()
    damage(path)
    again = faces.load(SMALL, tmp_path)
    assert np.array_equal(first.train.x, again.train.x)
    assert path.read_bytes() == whole
    assert path.with_name(f"{path.name}.sha256").is_file()


def test_a_folder_that_cannot_be_written_costs_a_drawing_each_time(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    said: list[str] = []
    assert len(faces.load(SMALL, tmp_path / "taken", said.append).train) == 576
    assert "cannot be kept" in said[-1]

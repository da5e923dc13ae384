"""Two files of clocks are read if they are of the form that the reports' are, and refused in one line otherwise."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.image_folders import fill, pack
from tune_jobs import datasets
from tune_jobs.datasets.clocks import files
from tune_jobs.errors import DataError

Array = NDArray[Any]

N = 20


def images(n: int = N, size: int = 75) -> Array:
    return np.random.default_rng(1).integers(0, 256, (n, size, size), dtype=np.uint8)


def labels(n: int = N) -> Array:
    """Four times, five of each."""
    return np.array([(hour, minute) for hour in (0, 11) for minute in (0, 59) for _ in range(n // 4)])


def put(folder: Path, x: Array, y: Array) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "images.npy", x)
    np.save(folder / "labels.npy", y)
    return folder


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(DataError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("size", [75, 150])
@pytest.mark.parametrize("folder", [".", "clock-files"])
def test_images_and_times_are_those_of_the_files(size: int, folder: str, tmp_path: Path) -> None:
    x, y = images(size=size), labels().astype(np.uint8)
    put(tmp_path / folder, x, y)
    original = files.load(tmp_path)
    parts = (original.train, original.test)
    assert [part.x.shape for part in parts] == [(16, size, size, 1), (4, size, size, 1)]
    assert all(part.x.dtype == np.uint8 and part.labels.dtype == np.int64 for part in parts)
    theirs = {(image.tobytes(), *time.tolist()) for image, time in zip(x, y, strict=True)}
    ours = [
        (image.tobytes(), *time.tolist()) for part in parts for image, time in zip(part.x, part.labels, strict=True)
    ]
    assert len(ours) == N
    assert set(ours) == theirs


@pytest.mark.parametrize("shape", [(28, 28), (75, 150), (30, 30, 1), (30, 40, 3)])
def test_images_have_any_size_and_colours(shape: tuple[int, ...], tmp_path: Path) -> None:
    put(tmp_path, np.random.default_rng(1).integers(0, 256, (N, *shape), dtype=np.uint8), labels())
    assert files.load(tmp_path).train.x.shape == (16, *(shape if len(shape) == 3 else (*shape, 1)))


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("colour", [90, (90, 120, 10)])
def test_image_files_lie_in_folders_named_by_times(
    colour: int | tuple[int, int, int], is_packed: bool, tmp_path: Path
) -> None:
    times = {"1-05": (1, 5), "12:30": (0, 30), "10h08": (10, 8), "0959": (9, 59), "23_00": (11, 0)}
    folder = fill(tmp_path / ("clocks" if is_packed else "clock-files"), 5, dict.fromkeys(times, colour))
    if is_packed:
        pack(folder, tmp_path / "clock-files.zip")
    loaded = datasets.load("clock-files@24", data_dir=tmp_path, validation=5)
    assert loaded.train.x.shape == (15, 24, 24, 1 if isinstance(colour, int) else 3)
    parts = (loaded.train, loaded.validation, loaded.test)
    assert {tuple(time) for part in parts for time in part.labels.tolist()} == set(times.values())
    assert loaded.test.labels.shape == (5, 2)
    assert datasets.load("clock-files", data_dir=tmp_path, validation=5).train.x.shape[1:3] == (12, 16)


@pytest.mark.parametrize("name", ["noon", "25-00", "10-60", "10-8", "100"])
def test_a_folder_that_is_named_by_no_time_is_refused(name: str, tmp_path: Path) -> None:
    fill(tmp_path / "clock-files", 2, {"10-08": 90, name: 90})
    message = refusal(lambda: files.load(tmp_path))
    assert f"clock-files/{name}/000.png has no label: its folder needs a time as its name" in message


def test_arrays_are_not_resized(tmp_path: Path) -> None:
    put(tmp_path, images(), labels())
    message = refusal(lambda: datasets.load("clock-files@32", data_dir=tmp_path, validation=4))
    assert "images.npy has its own size: name the data set clock-files, without @32" in message


def test_a_fifth_of_each_time_is_to_test_on(tmp_path: Path) -> None:
    put(tmp_path, images(), labels())
    assert files.load(tmp_path).test.labels.tolist() == [[0, 0], [0, 59], [11, 0], [11, 59]]


def test_the_folder_of_the_name_comes_first(tmp_path: Path) -> None:
    put(tmp_path, images(40), labels(40))
    put(tmp_path / "clock-files", images(), labels())
    assert len(files.load(tmp_path).train) == 16


def test_they_are_loaded_and_found_by_their_name(tmp_path: Path) -> None:
    folder = put(tmp_path / "clock-files", images(), labels())
    loaded = datasets.load("clock-files", data_dir=tmp_path, validation=4)
    assert (len(loaded.train), len(loaded.validation), len(loaded.test)) == (12, 4, 4)
    assert datasets.locate("clock-files", tmp_path) == str(folder)


@pytest.mark.parametrize("name", ["images.npy", "labels.npy"])
def test_a_missing_file_is_asked_for(name: str, tmp_path: Path) -> None:
    folder = put(tmp_path / "clock-files", images(), labels())
    (folder / name).unlink()
    for call in (files.load, files.locate):
        message = refusal(lambda call=call: call(tmp_path))  # type: ignore[misc]
        assert f"images.npy and labels.npy in {folder}" in message
        assert "use clock-faces" in message


@pytest.mark.parametrize(
    ("x", "actual"),
    [
        (np.zeros((20, 75), np.uint8), r"uint8 (20, 75)"),
        (np.zeros((20, 75, 75, 2), np.uint8), r"uint8 (20, 75, 75, 2)"),
        (np.zeros((20, 75, 0), np.uint8), r"uint8 (20, 75, 0)"),
        (images() / 255, r"float64 (20, 75, 75)"),
        (images().astype(np.int8), r"int8 (20, 75, 75)"),
    ],
)
def test_images_of_another_form_are_refused(x: Array, actual: str, tmp_path: Path) -> None:
    put(tmp_path, x, labels())
    message = refusal(lambda: files.load(tmp_path))
    assert str(tmp_path / "images.npy") in message
    assert f"it holds {actual}" in message


@pytest.mark.parametrize(
    ("y", "why"),
    [
        (np.zeros(N, int), "it holds int64 (20,)"),
        (np.zeros((N, 3), int), "it holds int64 (20, 3)"),
        (np.zeros((N, 2)), "it holds float64 (20, 2)"),
        (np.array([*[(0, 0)] * 19, (12, 0)]), "row 19 is hour 12, minute 0"),
        (np.array([*[(0, 0)] * 18, (0, 60), (0, 0)]), "row 18 is hour 0, minute 60"),
        (np.array([(-1, 5), *[(0, 0)] * 19]), "row 0 is hour -1, minute 5"),
        (np.array([(1, -5), *[(0, 0)] * 19]), "row 0 is hour 1, minute -5"),
    ],
)
def test_labels_that_are_no_times_are_refused(y: Array, why: str, tmp_path: Path) -> None:
    put(tmp_path, images(), y)
    message = refusal(lambda: files.load(tmp_path))
    assert str(tmp_path / "labels.npy") in message
    assert why in message


def test_images_and_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    put(tmp_path, images(), labels()[:-1])
    message = refusal(lambda: files.load(tmp_path))
    assert "20 images" in message
    assert "19 labels" in message


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_images_to_divide_are_refused(n: int, tmp_path: Path) -> None:
    put(tmp_path, images(n), labels()[:n])
    assert str(tmp_path) in refusal(lambda: files.load(tmp_path))


class Trap:
    """Says so if it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return pytest.fail, ("a pickle was run",)


@pytest.mark.parametrize("name", ["images.npy", "labels.npy"])
def test_a_file_that_is_no_array_is_refused_and_no_pickle_is_run(name: str, tmp_path: Path) -> None:
    put(tmp_path, images(), labels())
    whole = (tmp_path / name).read_bytes()
    for content in (b"", b"no array at all", pickle.dumps(Trap()), whole[:-1], whole[:20]):
        (tmp_path / name).write_bytes(content)
        assert f"{tmp_path / name} cannot be read" in refusal(lambda: files.load(tmp_path))
    np.save(tmp_path / name, np.array([Trap()], dtype=object), allow_pickle=True)
    assert f"{tmp_path / name} cannot be read" in refusal(lambda: files.load(tmp_path))


def test_an_archive_of_several_arrays_is_refused(tmp_path: Path) -> None:
    put(tmp_path, images(), labels())
    with (tmp_path / "images.npy").open("wb") as file:
        np.savez(file, images=images())
    assert "archive of several" in refusal(lambda: files.load(tmp_path))


@pytest.mark.slow
def test_the_published_files_are_recognized(tmp_path: Path) -> None:
    """The reports' labels are known by their form, 25 of each time in order, and so is their published checksum."""
    times = np.repeat(np.arange(720), 25)
    put(tmp_path, np.zeros((18_000, 75, 75), np.uint8), np.stack([times // 60, times % 60], axis=1))
    said: list[str] = []
    assert len(files.load(tmp_path, said.append).test) == 3600
    assert said == [f"{tmp_path / 'labels.npy'}: the published labels"]

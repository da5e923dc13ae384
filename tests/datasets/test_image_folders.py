"""Class folders of image files become arrays once; what is no image folder is refused in one line that names it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.image_folders import CLASSES, draw, fill, pack
from tune_jobs import datasets
from tune_jobs.datasets import image_files, image_folder, memory
from tune_jobs.datasets.image_folders import reading, tree
from tune_jobs.errors import DataError


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(DataError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "data" / "colours")


# --- what is read -----------------------------------------------------------------------------------------------------


def test_each_class_has_its_number_and_a_fifth_of_it_is_to_test_on(folder: Path, tmp_path: Path) -> None:
    original = image_folder(folder).load(tmp_path)
    assert original.classes == ("blue", "red")
    assert [part.x.shape for part in (original.train, original.test)] == [(16, 12, 16, 3), (4, 12, 16, 3)]
    assert original.train.x.dtype == np.uint8
    assert np.bincount(original.train.labels).tolist() == [8, 8]
    red = original.train.x[original.train.labels == 1]
    assert red[..., 0].min() > red[..., 2].max()


def test_images_are_read_as_predict_reads_them(tmp_path: Path) -> None:
    for place in ("a/1.jpg", "a/2.png", "b/1.png", "b/2.jpg"):
        draw(tmp_path / "x" / place, (90, 140, 20), (30, 50), noise=len(place))
    parts = image_folder(tmp_path / "x", size=(8, 6), channels=3)
    listed = [tmp_path / "x" / place for place in ("a/1.jpg", "a/2.png", "b/1.png", "b/2.jpg")]
    listed_tree = tree.read(tmp_path / "x")
    x = reading.read(listed_tree, listed_tree.files, parts.form, "x", tmp_path, print)
    np.testing.assert_array_equal(x, [image_files.load(path, (8, 6, 3)) for path in listed])


@pytest.mark.parametrize(
    ("size", "channels", "shape"),
    [(None, None, (12, 16, 3)), (7, None, (7, 7, 3)), ((5, 9), None, (5, 9, 3)), (6, 1, (6, 6, 1))],
)
def test_images_have_the_form_that_is_asked_for(
    size: int | tuple[int, int] | None, channels: int | None, shape: tuple[int, ...], folder: Path, tmp_path: Path
) -> None:
    assert image_folder(folder, size, channels).load(tmp_path).train.x.shape[1:] == shape


def test_images_are_grey_if_all_of_them_are(tmp_path: Path) -> None:
    grey = fill(tmp_path / "grey", classes={"dark": 30, "light": 200})
    assert image_folder(grey).load(tmp_path).train.x.shape[1:] == (12, 16, 1)
    draw(grey / "dark" / "999.png", (1, 2, 3))
    assert image_folder(grey).load(tmp_path).train.x.shape[1:] == (12, 16, 3)


@pytest.mark.parametrize("inside", ["", "colours", "made"])
def test_a_zip_is_the_same_data_set_as_its_folder(inside: str, folder: Path, tmp_path: Path) -> None:
    archive = pack(folder, tmp_path / "colours.zip", inside)
    unpacked, packed = (
        datasets.load(image_folder(path), data_dir=tmp_path / str(n), validation=0.25)
        for n, path in enumerate((folder, archive))
    )
    assert (unpacked.digest, unpacked.name) == (packed.digest, packed.name)
    assert packed.training.classes == ("blue", "red")


def test_a_folder_that_holds_only_a_zip_is_that_zip(folder: Path, tmp_path: Path) -> None:
    (data_dir := tmp_path / "colours").mkdir()
    archive = pack(folder, data_dir / "as downloaded.ZIP")
    (data_dir / ".DS_Store").touch()
    directly, inside = (image_folder(path).load(tmp_path / "kept") for path in (archive, data_dir))
    np.testing.assert_array_equal(directly.train.x, inside.train.x)
    assert inside.classes == ("blue", "red")
    pack(folder, data_dir / "another.zip")
    assert "needs a folder for each of two classes or more; it has none" in refusal(
        lambda: image_folder(data_dir).load(tmp_path)
    )


def test_the_makers_own_parts_are_kept(tmp_path: Path) -> None:
    fill(tmp_path / "x" / "train", 5)
    fill(tmp_path / "x" / "Test", 2)
    original = image_folder(tmp_path / "x").load(tmp_path)
    assert (len(original.train), len(original.test)) == (10, 4)
    assert original.test.labels.tolist() == [0, 0, 1, 1]
    fill(tmp_path / "x" / "valid", 3)
    loaded = datasets.load(image_folder(tmp_path / "x"), data_dir=tmp_path, validation=5000)
    assert [len(part) for part in (loaded.train, loaded.validation, loaded.test)] == [10, 6, 4]
    assert loaded.validation.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert loaded.validation.x[:3, ..., 2].min() > loaded.validation.x[3:, ..., 2].max()


def test_a_turned_photograph_is_as_high_as_it_is_shown(tmp_path: Path) -> None:
    fill(tmp_path / "x")
    for name in CLASSES:
        for path in (tmp_path / "x" / name).iterdir():
            image = Image.open(path)
            exif = image.getexif()
            exif[0x0112] = 6
            image.save(path, exif=exif)
    assert image_folder(tmp_path / "x").load(tmp_path).train.x.shape[1:] == (16, 12, 3)


def test_links_to_images_and_folders_are_followed(folder: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    (linked / "blue").mkdir(parents=True)
    (linked / "red").symlink_to(folder / "red")
    for path in (folder / "blue").iterdir():
        (linked / "blue" / path.name).symlink_to(path)
    a, b = (image_folder(path).load(tmp_path) for path in (folder, linked))
    np.testing.assert_array_equal(a.train.x, b.train.x)


def test_what_programs_leave_behind_is_not_seen(folder: Path, tmp_path: Path) -> None:
    before = image_folder(folder).load(tmp_path / "a")
    for place in (
        ".DS_Store",
        "red/Thumbs.db",
        "red/.hidden.png",
        "__MACOSX/red/._001.png",
        ".git/config",
        "README.md",
    ):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text("nothing to see")
    after = image_folder(folder).load(tmp_path / "b")
    np.testing.assert_array_equal(before.train.x, after.train.x)


def test_a_task_can_call_it_as_a_function(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TUNE_JOBS_DATA", str(tmp_path / "kept"))
    (x, labels), (x_test, _) = image_folder(folder)()
    assert (len(x), len(labels), len(x_test)) == (16, 16, 4)
    assert image_folder(folder).classes == ("blue", "red")


def test_a_file_can_have_a_label_of_its_own(tmp_path: Path) -> None:
    for age in range(10, 40):
        draw(tmp_path / "faces" / f"{age}_x.png", (age, age, 90), noise=age)
    (tmp_path / "faces" / "notes.txt").write_text("ages in years")
    original = image_folder(tmp_path / "faces", label=lambda place: float(place.name.split("_")[0])).load(tmp_path)
    ages = [*original.train.labels, *original.test.labels]
    assert sorted(ages) == list(range(10, 40))
    assert original.train.labels.dtype == np.float64
    assert original.classes == ()


def test_a_label_that_cannot_be_told_is_refused_with_its_file(folder: Path, tmp_path: Path) -> None:
    for label in (lambda place: int(place.stem[5]), lambda place: int("x" + place.stem)):
        message = refusal(lambda label=label: image_folder(folder, label=label).load(tmp_path))  # type: ignore[misc]
        assert "blue/000.png has no label: " in message
    unknown = image_folder(folder, label=lambda place: None)
    assert "labels[0] is None: labels needs numbers" in refusal(lambda: unknown.load(tmp_path))


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_files_are_read_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = image_folder(folder).load(tmp_path)
    monkeypatch.setattr(image_files, "read", lambda *_: pytest.fail("a file was read again"))
    again = image_folder(folder).load(tmp_path)
    np.testing.assert_array_equal(first.train.x, again.train.x)


def test_a_changed_file_is_read_again(folder: Path, tmp_path: Path) -> None:
    first = image_folder(folder).load(tmp_path)
    path = folder / "blue" / "000.png"
    time = path.stat().st_mtime_ns
    draw(path, (0, 0, 0), noise=77)
    os.utime(path, ns=(time + 1, time + 1))
    assert not np.array_equal(first.train.x, image_folder(folder).load(tmp_path).train.x)


def test_kept_images_that_were_damaged_are_read_again(folder: Path, tmp_path: Path) -> None:
    first = image_folder(folder).load(tmp_path)
    kept = next((tmp_path / reading.KEPT).glob("*.npy"))
    kept.write_bytes(kept.read_bytes()[:-1])
    said: list[str] = []
    np.testing.assert_array_equal(first.train.x, image_folder(folder).load(tmp_path, said.append).train.x)
    assert f"{kept} is damaged" in said[0]


def test_a_data_folder_that_cannot_be_written_is_said(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    said: list[str] = []
    assert len(image_folder(folder).load(tmp_path / "file", said.append).train) == 16
    assert "cannot be kept" in said[-1]


# --- by a name in the data folder -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape"), [("colours", (12, 16, 3)), ("colours@8", (8, 8, 3)), ("colours@6x8x1", (6, 8, 1))]
)
@pytest.mark.parametrize("is_packed", [False, True])
def test_a_folder_in_the_data_folder_is_a_data_set(
    name: str, shape: tuple[int, ...], is_packed: bool, folder: Path
) -> None:
    data_dir = folder.parent
    if is_packed:
        pack(folder, data_dir / "packed.zip")
        name = name.replace("colours", "packed")
    loaded = datasets.load(name, data_dir=data_dir, validation=4)
    assert loaded.name == name
    assert loaded.train.x.shape[1:] == shape
    assert datasets.locate(name, data_dir).startswith(str(data_dir))


def test_what_lies_in_the_data_folder_is_near_a_wrong_name(folder: Path) -> None:
    message = refusal(lambda: datasets.load("colors@8", data_dir=folder.parent, validation=4))
    assert "no data set named 'colors@8'; near it: colours; there are digits, mnist," in message


@pytest.mark.parametrize("name", ["colour", "../data/colours", ".", "", "@3", ".hidden"])
def test_what_is_no_name_in_the_data_folder_is_no_data_set(name: str, folder: Path) -> None:
    (folder.parent / ".hidden").mkdir()
    assert "no data set named" in refusal(lambda: datasets.load(name, data_dir=folder.parent, validation=4))


def test_a_size_of_numpy_is_the_number_that_it_shows(folder: Path) -> None:
    assert image_folder(folder, np.int64(8)) == image_folder(folder, 8)
    assert image_folder(folder, (np.int64(6), np.int32(8)), channels=np.int8(3)) == image_folder(
        folder, (6, 8), channels=3
    )


def test_a_size_that_is_none_is_refused(folder: Path) -> None:
    for name in ("colours@big", "colours@6x8x2", "colours@8x", "colours@64x64x64", "colours@-3"):
        assert "of images is written like 64" in refusal(
            lambda name=name: datasets.load(name, data_dir=folder.parent, validation=4)
        )  # type: ignore[misc]
    for size in (0, (3,), (3, 4, 1), 5000, True, 3.5):
        assert "height and width" in refusal(lambda size=size: image_folder(folder, size))  # type: ignore[misc]
    assert "1 channel" in refusal(lambda: image_folder(folder, 8, channels=2))


# --- what is refused --------------------------------------------------------------------------------------------------


def other_size(folder: Path) -> None:
    draw(folder / "red" / "004.png", (200, 0, 0), (20, 16))


def text(folder: Path) -> None:
    for name in ("004.png", "notes.txt"):
        (folder / "red" / name).write_text("a butterfly")


def cut(folder: Path) -> None:
    path = folder / "red" / "004.png"
    path.write_bytes(path.read_bytes()[:200])


def bomb(folder: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(folder / "red" / "004.png")


def dangling(folder: Path) -> None:
    (folder / "red" / "004.png").unlink()
    (folder / "red" / "004.png").symlink_to("gone.png")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "red" / "pipe.png")


def one_class(folder: Path) -> None:
    (folder / "blue").rename(folder.parent / "blue")


def flat(folder: Path) -> None:
    for path in list(folder.rglob("*.png")):
        path.rename(folder / f"{path.parent.name}{path.name}")
    for name in CLASSES:
        (folder / name).rmdir()


def empty_class(folder: Path) -> None:
    (folder / "green").mkdir()


def nested(folder: Path) -> None:
    (folder / "red" / "more").mkdir()


def circle(folder: Path) -> None:
    (folder / "red" / "again").symlink_to(folder)


def beside(folder: Path) -> None:
    draw(folder / "which.png", 3)


def no_test_part(folder: Path) -> None:
    fill(folder / "train")
    fill(folder / "valid")
    for name in CLASSES:
        (folder / name).rename(folder.parent / name)


def new_class(folder: Path) -> None:
    fill(folder / "train", 2)
    fill(folder / "test", 2, {**CLASSES, "green": (0, 200, 0)})
    for name in CLASSES:
        (folder / name).rename(folder.parent / name)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (other_size, "red/004.png 20x16: say to which height and width they are resized"),
        (text, "red/004.png is no image of a format that is read, such as PNG or JPEG (2 of 21 files): remove or"),
        (cut, "red/004.png cannot be read or is damaged"),
        (bomb, "red/004.png has more than 89 million pixels"),
        (dangling, "red/004.png is a link to nothing"),
        (pipe, "red/pipe.png is no file"),
        (one_class, "needs a folder for each of two classes or more; it has only 'red'"),
        (flat, "lies in no class folder"),
        (empty_class, "green has no images in it"),
        (nested, "red/more is a folder in a class folder"),
        (circle, "nested too deep"),
        (beside, "which.png lies in no class folder"),
        (no_test_part, "needs the folders train and test, and perhaps valid; it has train and valid"),
        (new_class, "test/green is a class that the folder train does not have"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_no_image_folder_is_refused_in_one_line(
    change: Callable[[Path], None], says: str, folder: Path, tmp_path: Path
) -> None:
    change(folder)
    message = refusal(lambda: image_folder(folder).load(tmp_path))
    assert str(folder) in message
    assert says in message


def test_images_that_need_more_than_memory_are_refused_before_they_are_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "total", lambda: 2**20)
    message = refusal(lambda: image_folder(folder, 1000, 3).load(tmp_path))
    assert "the images of colours@1000x1000x3 need 0.1 GiB, and this machine has 0.0 GiB: resize" in message


def test_an_empty_or_missing_folder_is_refused(tmp_path: Path) -> None:
    assert "there is no folder or zip" in refusal(lambda: image_folder(tmp_path / "x").load(tmp_path))
    (tmp_path / "x").mkdir()
    assert "it has none" in refusal(lambda: image_folder(tmp_path / "x").load(tmp_path))


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / "x", 1)
    assert "cannot take a test part from x" in refusal(lambda: image_folder(tmp_path / "x").load(tmp_path))


def no_zip(archive: Path) -> None:
    archive.write_bytes(b"no zip")


def broken(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    content[60:200] = bytes(140)  # of the first image
    archive.write_bytes(content)


def outside(archive: Path) -> None:
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr("../red/900.png", b"")


def encrypted(archive: Path) -> None:
    content = archive.read_bytes()
    start = content.index(b"PK\x01\x02")
    archive.write_bytes(content[: start + 8] + b"\x01" + content[start + 9 :])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (no_zip, "is no zip, or damaged"),
        (broken, "blue/000.png cannot be read or is damaged"),
        (outside, "has a file outside of itself"),
        (encrypted, "is encrypted"),
    ],
)
def test_a_zip_that_cannot_be_read_is_refused_in_one_line(
    change: Callable[[Path], None], says: str, folder: Path, tmp_path: Path
) -> None:
    archive = pack(folder, tmp_path / "colours.zip")
    change(archive)
    message = refusal(lambda: image_folder(archive).load(tmp_path))
    assert str(archive) in message
    assert says in message

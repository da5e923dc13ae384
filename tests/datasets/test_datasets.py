"""Data sets are what their name says, divided the same way each time, and refused in one line where they are not."""

from __future__ import annotations

import functools
import gzip
import hashlib
import math
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.web_servers import NOWHERE, FileServer, served
from tune_jobs import datasets
from tune_jobs.datasets import download, idx, mnist
from tune_jobs.datasets.dataset import Array, Split, TrainingData, digest
from tune_jobs.datasets.progress import Progress
from tune_jobs.datasets.splitting import hold_out
from tune_jobs.errors import DataError
from tune_jobs.search_spaces import Protocol, function_names
from tune_jobs.search_spaces.tasks.digits import DIGITS_MLP

CLASSES = 10
NAMES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


@pytest.fixture(autouse=True)
def one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A download that fails does so at once."""
    monkeypatch.setattr(download, "_RETRIES", 0)


def packed_idx(array: Array) -> bytes:
    """The idx file of an array, written from the format's description and not from the reader."""
    header = struct.pack(">HBB", 0, 8, array.ndim) + b"".join(struct.pack(">I", size) for size in array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes(), mtime=0)


def tiny_files(n_train: int = 40, n_test: int = 20) -> dict[str, bytes]:
    random = np.random.default_rng(1)
    return {
        mnist.TRAIN_IMAGES: packed_idx(random.integers(0, 256, (n_train, 4, 3))),
        mnist.TRAIN_LABELS: packed_idx(np.arange(n_train) % CLASSES),
        mnist.TEST_IMAGES: packed_idx(random.integers(0, 256, (n_test, 4, 3))),
        mnist.TEST_LABELS: packed_idx(np.arange(n_test) % CLASSES),
    }


def publish(folder: Path, files: dict[str, bytes], url: str = NOWHERE) -> mnist.IdxFiles:
    """Write the files and call them published: their checksums are taken from themselves."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return mnist.IdxFiles("tiny", url, {name: hashlib.md5(content).hexdigest() for name, content in files.items()})


def refusal(call: Callable[[], object]) -> str:
    """The message of the DataError that the call ends in, which must be one line."""
    with pytest.raises(DataError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.slow
def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = "{'keras', 'tensorflow', 'sklearn', 'ray', 'mlflow', 'optuna'}"
    code = f"import sys, tune_jobs.datasets; sys.exit(str(set(sys.modules) & {heavy} or ''))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.stderr.strip() == ""


# --- by name -------------------------------------------------------------------------------------------------------


def test_digits_are_scikit_learns_images_in_bytes(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    loaded = datasets.load("digits", data_dir=tmp_path, validation=200)
    assert (loaded.train.x.shape, loaded.validation.x.shape, loaded.test.x.shape) == (
        (1237, 8, 8, 1),
        (200, 8, 8, 1),
        (360, 8, 8, 1),
    )
    parts = (loaded.train, loaded.validation, loaded.test)
    assert all(part.x.dtype == np.uint8 and part.labels.dtype == np.int64 for part in parts)
    ours = np.concatenate([np.column_stack([part.x.reshape(-1, 64), part.labels]) for part in parts])
    theirs = np.column_stack([np.rint(load_digits().data * 255 / 16), load_digits().target])
    assert sorted(map(tuple, ours.tolist())) == sorted(map(tuple, theirs.tolist()))
    assert list(tmp_path.iterdir()) == []


def test_digits_test_part_does_not_depend_on_the_validation_asked_for(tmp_path: Path) -> None:
    small, large = (datasets.load("digits", data_dir=tmp_path, validation=part) for part in (50, 0.5))
    assert np.array_equal(small.test.x, large.test.x)
    assert small.digest != large.digest


def test_every_name_is_known_and_an_unknown_one_is_refused_with_those_near_it(tmp_path: Path) -> None:
    clocks = ("clock-faces", "clock-faces-150", "clock-faces-upright", "clock-faces-small", "clock-files")
    assert datasets.names() == ("digits", "mnist", "fashion-mnist", "cifar10", *clocks)
    expected = "no data set named 'fashion_mnist'; near it: fashion-mnist; there are digits, mnist, "
    assert refusal(lambda: datasets.load("fashion_mnist", data_dir=tmp_path, validation=10)).startswith(expected)
    assert refusal(lambda: datasets.locate("fashion_mnist", tmp_path)).startswith(expected)
    assert "near it" not in refusal(lambda: datasets.load("xyz", data_dir=tmp_path, validation=10))


def test_a_source_that_is_added_is_listed_located_and_loaded_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = mnist.source(publish(tmp_path / "tiny", tiny_files()))
    monkeypatch.setattr(datasets, "SOURCES", (*datasets.SOURCES, source))
    assert datasets.names()[-1] == "tiny"
    assert datasets.locate("tiny", tmp_path) == str(tmp_path / "tiny")
    loaded = datasets.load("tiny", data_dir=tmp_path, validation=0.25)
    assert (loaded.name, len(loaded.train), len(loaded.validation), len(loaded.test)) == ("tiny", 30, 10, 20)
    assert np.bincount(loaded.validation.labels).tolist() == [1] * CLASSES


@pytest.mark.slow
def test_fewer_images_to_train_on_leave_the_parts_that_judge_as_they_are(tmp_path: Path) -> None:
    whole = datasets.load("digits", data_dir=tmp_path, validation=200)
    fewer = datasets.load("digits", data_dir=tmp_path, validation=200, images=300)
    assert (len(whole.train), len(fewer.train)) == (1237, 300)
    assert np.array_equal(fewer.validation.x, whole.validation.x)
    assert np.array_equal(fewer.test.x, whole.test.x)
    assert fewer.digest != whole.digest
    pairs = [list(zip(part.train.x.tolist(), part.train.labels.tolist(), strict=True)) for part in (whole, fewer)]
    in_order = iter(pairs[0])
    assert all(pair in in_order for pair in pairs[1])  # each is one of the whole's, in their order


def test_fewer_images_are_the_same_ones_again_and_each_class_in_its_share(tmp_path: Path) -> None:
    first, again = (datasets.load("digits", data_dir=tmp_path, validation=200, images=300) for _ in range(2))
    assert first.digest == again.digest
    whole = np.bincount(datasets.load("digits", data_dir=tmp_path, validation=200).train.labels)
    assert np.abs(np.bincount(first.train.labels) - whole * 300 / 1237).max() < 1


@pytest.mark.parametrize("images", [1237, 1238, 60_000])
def test_more_images_than_there_are_is_all_of_them(images: int, tmp_path: Path) -> None:
    loaded = datasets.load("digits", data_dir=tmp_path, validation=200, images=images)
    assert loaded.digest == datasets.load("digits", data_dir=tmp_path, validation=200).digest


def test_a_task_gets_its_data_as_its_protocol_says(tmp_path: Path) -> None:
    task = replace(DIGITS_MLP, protocol=Protocol(epochs=1, validation=0.25, images=300))
    loaded = datasets.load("digits", data_dir=tmp_path, validation=0.25, images=300)
    assert datasets.load_for_task(task, tmp_path).digest == loaded.digest


def test_a_data_set_survives_pickling_with_contiguous_arrays(tmp_path: Path) -> None:
    loaded = datasets.load("digits", data_dir=tmp_path, validation=100)
    again = pickle.loads(pickle.dumps(loaded))
    for part in (again.train, again.validation, again.test):
        assert part.x.flags.c_contiguous
        assert part.labels.flags.c_contiguous
    assert digest(again.train, again.validation, again.test) == loaded.digest


def test_what_trials_are_given_has_no_test_part(tmp_path: Path) -> None:
    loaded = datasets.load("digits", data_dir=tmp_path, validation=100)
    assert loaded.training.train is loaded.train
    assert loaded.training.digest == loaded.digest
    known = ["name", "train", "validation", "digest", "classes", "test_digest", "folds", "columns"]
    assert [field.name for field in fields(TrainingData)] == known
    assert not hasattr(loaded.training, "test")


# --- idx files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3,), (2, 4, 3), (1, 1, 1)])
def test_idx_gives_back_what_was_written(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape)
    assert np.array_equal(idx.parse(packed_idx(array), n_axes=len(shape)), array)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"no gzip at all", "gzip is damaged"),
        (packed_idx(np.zeros((5, 2, 2)))[:-12], "gzip is damaged"),
        (b"", "begins with nothing"),
        (gzip.compress(b"", mtime=0), "begins with nothing"),
        (packed_idx(np.zeros(5)), "00000803.*begins with 00000801"),
        (gzip.compress(bytes((0, 0, 9, 3)) + bytes(100), mtime=0), "begins with 00000903"),
        (gzip.compress(bytes((0, 0, 8, 3)) + bytes(5), mtime=0), "header must have 16 bytes.*after 9"),
        (gzip.compress(struct.pack(">IIII", 2051, 2, 3, 3) + bytes(17), mtime=0), "18 values.*17 are there"),
        (gzip.compress(struct.pack(">IIII", 2051, 2, 3, 3) + bytes(19), mtime=0), "18 values.*19 are there"),
    ],
)
def test_idx_says_what_is_wrong_with_a_file(content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        idx.parse(content, n_axes=3)


def test_a_flipped_byte_inside_gzip_is_noticed() -> None:
    content = bytearray(packed_idx(np.arange(200).reshape(2, 10, 10)))
    content[len(content) // 2] ^= 0xFF
    with pytest.raises(ValueError, match="gzip is damaged"):
        idx.parse(bytes(content), n_axes=3)


# --- the four files ------------------------------------------------------------------------------------------------


def test_images_and_labels_are_those_of_the_files(tmp_path: Path) -> None:
    files = tiny_files()
    original = mnist.load(publish(tmp_path / "tiny", files), tmp_path)
    raw = gzip.decompress(files[mnist.TEST_IMAGES])[16:]
    assert original.test.x.tobytes() == raw
    assert original.test.x.shape == (20, 4, 3, 1)
    assert original.train.labels.tolist() == [i % CLASSES for i in range(40)]


def test_files_lying_in_the_data_folder_itself_are_found(tmp_path: Path) -> None:
    assert len(mnist.load(publish(tmp_path, tiny_files()), tmp_path).train) == 40


def test_the_folder_of_the_collections_name_comes_first(tmp_path: Path) -> None:
    publish(tmp_path, tiny_files(n_train=50))
    collection = publish(tmp_path / "tiny", tiny_files(n_train=30))
    assert len(mnist.load(collection, tmp_path).train) == 30


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named_with_its_folder(name: str, tmp_path: Path) -> None:
    collection = publish(tmp_path / "tiny", tiny_files())
    (tmp_path / "tiny" / name).unlink()
    message = refusal(lambda: mnist.load(collection, tmp_path))
    assert f"tiny needs {name} in {tmp_path / 'tiny'}" in message
    assert not any(other in message.partition(" in ")[0] for other in set(NAMES) - {name})


def test_without_files_and_network_all_four_are_asked_for(tmp_path: Path) -> None:
    collection = replace(publish(tmp_path / "elsewhere", tiny_files()), url=NOWHERE)
    message = refusal(lambda: mnist.load(collection, tmp_path / "data"))
    assert f"{', '.join(NAMES[:3])} and {NAMES[3]} in {tmp_path}/data/tiny" in message
    assert "put what is missing there" in message


@pytest.mark.parametrize("name", NAMES)
def test_a_file_with_another_checksum_is_refused(name: str, tmp_path: Path) -> None:
    collection = publish(tmp_path / "tiny", tiny_files())
    (tmp_path / "tiny" / name).write_bytes(tiny_files(n_train=60, n_test=30)[name])
    message = refusal(lambda: mnist.load(collection, tmp_path))
    assert str(tmp_path / "tiny" / name) in message
    assert collection.md5[name] in message


def test_a_damaged_file_is_named_even_if_it_were_published(tmp_path: Path) -> None:
    files = tiny_files() | {mnist.TEST_LABELS: b"not gzip"}
    message = refusal(lambda: mnist.load(publish(tmp_path / "tiny", files), tmp_path))
    assert f"{tmp_path / 'tiny' / mnist.TEST_LABELS} cannot be read: its gzip is damaged" in message


def test_images_and_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    files = tiny_files() | {mnist.TRAIN_LABELS: packed_idx(np.arange(39) % CLASSES)}
    message = refusal(lambda: mnist.load(publish(tmp_path / "tiny", files), tmp_path))
    assert "40 images" in message
    assert "39 labels" in message


def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = publish(tmp_path / "tiny", tiny_files())

    def deny(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")  # root, as which CI may run, may read anything

    monkeypatch.setattr(Path, "read_bytes", deny)
    assert "Permission denied" in refusal(lambda: mnist.load(collection, tmp_path))


def test_a_data_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    collection = publish(tmp_path / "source", tiny_files())
    (tmp_path / "taken").write_text("")
    message = refusal(lambda: mnist.load(collection, tmp_path / "taken"))
    assert "cannot be written" in message


@pytest.mark.parametrize("collection", [mnist.MNIST, mnist.FASHION_MNIST])
def test_a_published_collection_has_four_different_checksums(collection: mnist.IdxFiles) -> None:
    assert tuple(collection.md5) == NAMES
    assert {len(md5) for md5 in collection.md5.values()} == {32}
    assert len(set(collection.md5.values())) == 4


# --- downloads -----------------------------------------------------------------------------------------------------


@pytest.fixture
def web(tmp_path: Path) -> Iterator[FileServer]:
    """A web server for the folder `source`."""
    (tmp_path / "source").mkdir()
    with served(tmp_path / "source") as server:
        yield server


def test_missing_files_are_downloaded_once(tmp_path: Path, web: FileServer) -> None:
    collection = publish(tmp_path / "source", tiny_files(), url=web.url)
    first = mnist.load(collection, tmp_path / "data")
    assert sorted(path.name for path in (tmp_path / "data" / "tiny").iterdir()) == sorted(collection.md5)
    again = mnist.load(replace(collection, url=NOWHERE), tmp_path / "data")
    assert digest(first.train, first.test) == digest(again.train, again.test)


def test_only_what_is_missing_is_downloaded(tmp_path: Path, web: FileServer) -> None:
    collection = publish(tmp_path / "source", tiny_files(), url=web.url)
    mnist.load(collection, tmp_path / "data")
    (tmp_path / "data" / "tiny" / mnist.TRAIN_LABELS).unlink()
    web.asked.clear()
    assert len(mnist.load(collection, tmp_path / "data").train) == 40
    assert web.asked == [f"/{mnist.TRAIN_LABELS}"]


def fetch(web: FileServer, path: Path, content: bytes = b"content", **more: Any) -> list[str]:
    """Download the file `x` of the server; what was said."""
    said: list[str] = []
    md5 = hashlib.md5(content).hexdigest()
    download.fetch(f"{web.url}/x", path, md5=md5, say=said.append, **more)
    return said


def test_a_download_is_tried_again_and_shows_how_far_it_is(
    tmp_path: Path, web: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_RETRIES", 1)
    monkeypatch.setattr(download, "Progress", functools.partial(Progress, every_s=0.0))
    content = bytes(range(256)) * 40
    (tmp_path / "source" / "x").write_bytes(content)
    web.failures = 1
    said = fetch(web, tmp_path / "data" / "x", content)
    assert (tmp_path / "data" / "x").read_bytes() == content
    url = f"{web.url}/x"
    assert said[:2] == [f"downloading {url} …", f"downloading {url} again (attempt 2 of 2) …"]
    assert f"downloading {url}: 1,024 of 10,240 bytes" in said
    assert said[-1] == f"downloading {url}: 10,240 of 10,240 bytes"
    assert len(web.asked) == 2


def test_a_downloaded_file_is_for_whom_the_umask_lets(tmp_path: Path, web: FileServer) -> None:
    (tmp_path / "source" / "x").write_bytes(b"content")
    tmp_path.chmod(0o755)  # in a folder that is closed to others, it is its owner's alone
    (tmp_path / "other").touch()
    fetch(web, tmp_path / "x")
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_download_of_something_else_leaves_nothing_behind(tmp_path: Path, web: FileServer) -> None:
    (tmp_path / "source" / "x").write_text("please log in")
    with pytest.raises(download.DownloadError, match="not the published file"):
        fetch(web, tmp_path / "data" / "x.gz")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_download_that_fails_names_the_address_and_leaves_nothing_behind(tmp_path: Path, web: FileServer) -> None:
    for url in (f"{web.url}/gone", NOWHERE, "http://no such host/x"):
        with pytest.raises(download.DownloadError, match=r"could not be downloaded \(") as caught:
            download.fetch(url, tmp_path / "data" / "x.gz", md5="0" * 32)
        assert url in str(caught.value)
        assert "\n" not in str(caught.value)
    assert list((tmp_path / "data").iterdir()) == []


def test_a_download_that_cannot_be_placed_leaves_nothing_behind(tmp_path: Path, web: FileServer) -> None:
    (tmp_path / "source" / "x").write_bytes(b"content")
    (tmp_path / "data" / "x.gz").mkdir(parents=True)
    with pytest.raises(download.DownloadError, match=r"x\.gz cannot be written"):
        fetch(web, tmp_path / "data" / "x.gz")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["x.gz"]


# --- a task's own function -----------------------------------------------------------------------------------------


def pair(n: int, shape: tuple[int, ...] = (6, 5), dtype: type = np.uint8) -> tuple[Array, Array]:
    return np.arange(n * int(np.prod(shape))).reshape(n, *shape).astype(dtype), np.arange(n) % 4


def test_grey_images_get_a_channel_axis_and_labels_keep_theirs(tmp_path: Path) -> None:
    def load_grey() -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        (x, y), (x_test, y_test) = pair(20), pair(8)
        return (x, y[:, np.newaxis]), (x_test, y_test[:, np.newaxis])

    loaded = datasets.load(load_grey, data_dir=tmp_path, validation=4)
    assert loaded.name == "load_grey"
    assert (loaded.train.x.shape, loaded.validation.x.shape, loaded.test.x.shape) == (
        (16, 6, 5, 1),
        (4, 6, 5, 1),
        (8, 6, 5, 1),
    )
    assert loaded.validation.labels.shape == (4, 1)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float64, np.float32])
@pytest.mark.parametrize("columns", [(), (1,), (3,)])
def test_labels_of_any_shape_and_type_are_kept_as_they_are(
    columns: tuple[int, ...], dtype: Any, tmp_path: Path
) -> None:
    def load_shaped() -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        return (np.zeros((20, 2)), np.ones((20, *columns), dtype)), (np.zeros((8, 2)), np.ones((8, *columns), dtype))

    loaded = datasets.load(load_shaped, data_dir=tmp_path, validation=4)
    for split, n in ((loaded.train, 16), (loaded.validation, 4), (loaded.test, 8)):
        assert (split.labels.shape, split.labels.dtype) == ((n, *columns), dtype)


def test_whole_numbers_in_a_column_have_the_digest_of_flat_ones_and_measurements_have_their_own() -> None:
    """Earlier versions made every column flat: a study of classes goes on, one of measurements was another."""
    x, flat = np.zeros((4, 2)), np.arange(4)
    assert digest(Split(x, flat[:, np.newaxis])) == digest(Split(x, flat))
    assert digest(Split(x, flat[:, np.newaxis] / 2)) != digest(Split(x, flat / 2))


def test_arrays_that_are_not_bytes_are_kept_as_they_are(tmp_path: Path) -> None:
    test_x = pair(8, dtype=np.float32)[0]
    loaded = datasets.load(lambda: (pair(20, dtype=np.float32), (test_x, pair(8)[1])), data_dir=tmp_path, validation=4)
    assert loaded.test.x.dtype == np.float32
    assert np.array_equal(loaded.test.x, test_x)


def test_arrays_out_of_order_in_memory_become_contiguous(tmp_path: Path) -> None:
    def load_transposed() -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        return pair(20), (np.asfortranarray(pair(8)[0]), pair(8)[1])

    assert datasets.load(load_transposed, data_dir=tmp_path, validation=4).test.x.flags.c_contiguous


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "must return"),
        ((pair(3),), "must return"),
        ((pair(20), (pair(8)[0], pair(7)[1])), "8 images came with 7"),
        ((pair(20), pair(8, (6, 6))), "alike"),
        ((pair(20), pair(8, dtype=np.int32)), "alike"),
        ((pair(20), (pair(8)[0], np.array(list("abcdefgh")))), "alike"),
        ((pair(20), (pair(8)[0], np.array(["a", None] * 4, object))), "y_test[1] is None: y_test needs texts"),
        ((pair(20), pair(8), pair(8), pair(8)), "must return"),
        ((pair(20), (*pair(8), np.ones(8), 1)), "must return"),
        ((pair(20), (*pair(8), np.ones(7))), "there must be one row for each of 8; weights has 7"),
        ((pair(20), ([], [])), "one entry an image"),
        ((pair(20), (np.array(3), np.array(3))), "one entry an image"),
    ],
)
def test_an_answer_of_another_form_is_refused(answer: object, why: str, tmp_path: Path) -> None:
    def load_odd() -> object:
        return answer

    message = refusal(lambda: datasets.load(load_odd, data_dir=tmp_path, validation=4))  # type: ignore[arg-type]
    assert "the data set load_odd " in message
    assert why in message


def test_an_exception_in_a_tasks_function_becomes_one_line(tmp_path: Path) -> None:
    def load_broken() -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        raise FileNotFoundError("images.npy\nis not there")

    def load_and_exit() -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        sys.exit(3)

    message = refusal(lambda: datasets.load(load_broken, data_dir=tmp_path, validation=4))
    assert message == "the data set load_broken raised FileNotFoundError: images.npy is not there"
    message = refusal(lambda: datasets.load(load_and_exit, data_dir=tmp_path, validation=4))
    assert message == "the data set load_and_exit raised SystemExit: 3"


def test_a_callable_without_a_name_is_called_by_its_type() -> None:
    class Loader:
        def __call__(self) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
            return pair(3), pair(2)

    assert function_names.name(Loader()) == "Loader"


# --- division and digest -------------------------------------------------------------------------------------------


def numbered(labels: Array) -> Split:
    """Images that each hold their own number, to see where they go."""
    return Split(np.arange(len(labels)), labels)


def test_the_division_is_the_one_it_always_was() -> None:
    _, held = hold_out(numbered(np.arange(30) % 3), 6)
    assert held.x.tolist() == [2, 4, 6, 10, 11, 21]  # of NumPy 2's PCG64; older studies lean on it


@pytest.mark.slow
@given(labels=st.lists(st.integers(0, 4), min_size=2, max_size=60), data=st.data())
def test_a_division_loses_nothing_and_gives_each_class_its_share(labels: list[int], data: st.DataObject) -> None:
    n_held = data.draw(st.integers(1, len(labels) - 1))
    stays, held = hold_out(numbered(np.array(labels)), n_held)
    assert len(held) == n_held
    assert sorted([*stays.x.tolist(), *held.x.tolist()]) == list(range(len(labels)))
    assert stays.x.tolist() == sorted(stays.x.tolist())
    for label in set(labels):
        share = labels.count(label) * n_held / len(labels)
        assert abs(np.count_nonzero(held.labels == label) - share) < 1


def test_labels_of_several_numbers_are_divided_by_all_of_them() -> None:
    times = np.array([(hour, minute) for hour in range(3) for minute in (0, 30) for _ in range(5)])
    _, held = hold_out(numbered(times), 0.2)
    assert sorted(map(tuple, held.labels.tolist())) == [(h, m) for h in range(3) for m in (0, 30)]


def test_what_a_share_leaves_over_falls_to_no_end_of_the_classes() -> None:
    """Four of each of 720 times, of which a fifth is held out: four in five times give one, all over the dial."""
    times = np.array([(hour, minute) for hour in range(12) for minute in range(60) for _ in range(4)])
    stays, held = hold_out(numbered(times), 0.2)
    by_hour, by_minute = np.bincount(held.labels[:, 0]), np.bincount(held.labels[:, 1] // 5)
    assert by_hour.min() > 48 - 4 * math.sqrt(60 * 0.8 * 0.2)  # four standard deviations of a fair draw
    assert by_minute.min() > 48 - 4 * math.sqrt(60 * 0.8 * 0.2)
    _, fewer = hold_out(stays, 144)
    assert np.bincount(fewer.labels[:, 0]).min() > 12 - 4 * math.sqrt(60 * 0.2 * 0.8)


def test_measurements_are_divided_without_classes() -> None:
    _, held = hold_out(numbered(np.linspace(0, 1, 50)), 10)
    assert len(held) == 10
    assert held.x.tolist() != list(range(10))


@pytest.mark.parametrize("part", [0, -1, 20, 21, 0.0, 1.0, 1.5, -0.1, 0.01, float("nan"), float("inf"), True])
def test_a_part_that_leaves_a_side_empty_is_refused(part: int | float, tmp_path: Path) -> None:
    message = refusal(lambda: datasets.load(lambda: (pair(20), pair(8)), data_dir=tmp_path, validation=part))
    assert "from 1 to 19" in message
    assert f"not {part}" in message


def test_the_digest_sees_values_shapes_types_and_places() -> None:
    x, labels = pair(12, (2, 2))
    changed = x.copy()
    changed[3, 1, 1] += 1
    digests = {
        digest(Split(x, labels)),
        digest(Split(changed, labels)),
        digest(Split(x.reshape(12, 4), labels)),
        digest(Split(x.view(np.int8), labels)),
        digest(Split(x[::-1], labels)),
        digest(Split(x, labels[::-1])),
        digest(Split(x[:8], labels[:8]), Split(x[8:], labels[8:])),
    }
    assert len(digests) == 7
    assert all(len(d) == 16 and set(d) <= set("0123456789abcdef") for d in digests)


def test_the_digest_does_not_depend_on_the_order_in_memory() -> None:
    x, labels = pair(12, (4, 3))
    assert digest(Split(x, labels)) == digest(Split(np.asfortranarray(x), labels))

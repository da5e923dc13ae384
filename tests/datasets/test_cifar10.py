"""CIFAR-10 is its published pixels, wherever they lie and whoever pickled them; a pickle's own wishes are not granted.

The pickles are written by Python's and NumPy's own picklers, or byte by byte as Python 2 wrote the published ones.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.web_servers import NOWHERE, served
from tune_jobs import datasets
from tune_jobs.datasets import cifar10, download, pickled_batch
from tune_jobs.datasets.dataset import Array
from tune_jobs.errors import DataError

NAMES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
FOLDER = "cifar-10-batches-py"
ARCHIVE = "cifar-10-python.tar.gz"

Rows = dict[bytes, object]


@pytest.fixture(autouse=True)
def one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A download that fails does so at once."""
    monkeypatch.setattr(download, "_RETRIES", 0)


def rows(n: int = 4, seed: int = 0) -> Rows:
    """What a batch's pickle holds."""
    data = np.random.default_rng(seed).integers(0, 256, (n, 3072)).astype(np.uint8)
    return {b"data": data, b"labels": [(i + seed) % 10 for i in range(n)]}


def six(n: int = 4) -> dict[str, Rows]:
    return {name: rows(n, seed) for seed, name in enumerate(NAMES)}


def images_of(batch: Rows) -> Array:
    """The pixel at row y, column x is the bytes at 32y + x of each of the three planes."""
    data = np.asarray(batch[b"data"])
    return np.stack([data[:, plane * 1024 : (plane + 1) * 1024].reshape(-1, 32, 32) for plane in range(3)], axis=-1)


def publish(batches: Mapping[str, Rows], url: str = NOWHERE, md5: str = "0" * 32) -> cifar10.Batches:
    """Call these batches the published ones."""
    contents = {
        name: images_of(batch).tobytes() + bytes(batch[b"labels"])  # type: ignore[call-overload]
        for name, batch in batches.items()
    }
    sha256 = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    return cifar10.Batches("cifar10", url, md5, sha256)


def write_folder(parent: Path, batches: Mapping[str, Rows], protocol: int = 4) -> Path:
    folder = parent / FOLDER
    folder.mkdir(parents=True)
    for name, batch in batches.items():
        (folder / name).write_bytes(pickle.dumps(batch, protocol))
    return folder


def write_archive(parent: Path, batches: Mapping[str, Rows]) -> Path:
    """An archive whose members are out of order, as those of the published one are."""
    parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(parent / ARCHIVE, "w:gz") as tar:
        for name in reversed(batches):
            content = pickle.dumps(batches[name])
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return parent / ARCHIVE


def as_python_2_writes(batch: Rows) -> bytes:
    """The published form: protocol 2, byte strings (`U`, `T`), NumPy's old module names."""
    data = np.asarray(batch[b"data"])

    def short(text: bytes) -> bytes:
        return b"U" + bytes([len(text)]) + text

    empty = b"cnumpy.core.multiarray\n_reconstruct\n" + b"cnumpy\nndarray\n" + b"K\x00\x85" + short(b"b") + b"\x87R"
    dtype = b"cnumpy\ndtype\n" + short(b"u1") + b"K\x00K\x01\x87R"
    dtype += b"(K\x03" + short(b"|") + b"NNN" + b"J\xff\xff\xff\xff" * 2 + b"K\x00tb"
    raw = b"T" + struct.pack("<i", data.nbytes) + data.tobytes()
    array = empty + b"(K\x01" + b"(M" + struct.pack("<H", len(data)) + b"M\x00\x0ct" + dtype + b"\x89" + raw + b"tb"
    labels = b"](" + b"".join(b"K" + bytes([label]) for label in batch[b"labels"]) + b"e"  # type: ignore[attr-defined]
    head = short(b"batch_label") + short(b"training batch 1 of 5")
    return b"\x80\x02}(" + head + short(b"labels") + labels + short(b"data") + array + b"u."


def refusal(call: Callable[[], object]) -> str:
    """The message of the DataError that the call ends in, which must be one line."""
    with pytest.raises(DataError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- one batch -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_batch_is_the_same_in_every_protocol_and_order_in_memory(protocol: int, order: str) -> None:
    batch = rows()
    written = batch | {b"data": np.array(batch[b"data"], order=order)}  # type: ignore[call-overload]
    read = pickled_batch.parse(pickle.dumps(written, protocol))
    assert (read.x.dtype, read.labels.dtype) == (np.uint8, np.int64)
    assert np.array_equal(read.x, images_of(batch))
    assert read.labels.tolist() == batch[b"labels"]


@pytest.mark.slow
@given(st.integers(1, 5), st.integers(0, 9))
def test_a_batch_written_by_python_2_is_read(n: int, seed: int) -> None:
    batch = rows(n, seed)
    written = as_python_2_writes(batch)
    theirs = pickle.loads(written.replace(b"numpy.core", b"numpy._core"), encoding="bytes")  # the name warns in NumPy 2
    assert np.array_equal(theirs[b"data"], batch[b"data"])  # so it is such a pickle
    read = pickled_batch.parse(written)
    assert np.array_equal(read.x, images_of(batch))
    assert read.labels.tolist() == batch[b"labels"]


def test_a_batch_written_by_numpy_1_in_protocol_5_is_read() -> None:
    written = pickle.dumps(rows(), 5)
    unframed = written[:2] + written[11:]  # frames, which are optional, would have to be counted again
    older = unframed.replace(b"\x8c\x13numpy._core.numeric", b"\x8c\x12numpy.core.numeric")
    assert older != unframed
    assert np.array_equal(pickled_batch.parse(older).x, images_of(rows()))


class Asking:
    """A pickle of this calls `function(*arguments)` when it is opened."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.asked = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.asked


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("key", [b"data", b"labels", b"extra"])
def test_code_in_a_pickle_is_not_run(key: bytes, protocol: int, tmp_path: Path) -> None:
    touching = pickle.dumps(rows() | {key: Asking(exec, f"open({str(tmp_path / 'ran')!r}, 'w').close()")}, protocol)
    with pytest.raises(ValueError, match=r"asks for \w+\.exec, and only arrays of bytes are let in"):
        pickled_batch.parse(touching)
    assert not (tmp_path / "ran").exists()
    pickle.loads(touching)
    assert (tmp_path / "ran").exists()  # so it would have run


@pytest.mark.parametrize(
    "opcodes",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"(S'true'\nios\nsystem\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        b"cnumpy\nload\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.",
        b"cnumpy\nndarray.ctypes\n.",
        b"c_codecs\ndecode\n.",
        b"cbuiltins\ngetattr\n.",
        b"c\xc3\xa9\n\xc3\xa9\n.",
    ],
)
def test_every_other_name_is_refused(opcodes: bytes) -> None:
    with pytest.raises(ValueError, match=r"asks for .*only arrays of bytes are let in"):
        pickled_batch.parse(opcodes)


@pytest.mark.parametrize(
    "opcodes",
    [
        b"cnumpy\ndtype\n" + b"N}X\x01\x00\x00\x00aK\x01s\x86b.",  # attributes for the class itself
        b"c_codecs\nencode\n" + b"N}X\x01\x00\x00\x00aK\x01s\x86b.",
        b"c_codecs\nencode\n" + b"(X\x01\x00\x00\x00aX\x05\x00\x00\x00rot13tR.",
        b"cnumpy\nndarray\n" + b"(K\x01tR.",
        b"Pname\n.",  # something kept outside the pickle
    ],
)
def test_what_is_let_in_cannot_be_changed_or_called_otherwise(opcodes: bytes) -> None:
    with pytest.raises(ValueError, match="does not open"):
        pickled_batch.parse(opcodes)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([], "mapping with the keys"),
        ({"data": [], "labels": []}, "mapping with the keys"),
        ({b"data": rows()[b"data"]}, "mapping with the keys"),
        (rows() | {b"data": bytes(3072)}, "3072 bytes an image, not bytes"),
        (rows() | {b"data": np.zeros(3072, np.uint8)}, r"3072 bytes an image, not \(3072,\)"),
        (rows() | {b"data": np.zeros((4, 3071), np.uint8)}, r"not \(4, 3071\)"),
        (rows(0), "3072 bytes an image"),
        (rows() | {b"data": np.zeros((4, 3072), np.int8)}, "type uint8"),
        (rows() | {b"data": np.zeros((4, 3072), ">u2")}, "type uint8"),
        (rows() | {b"data": np.full((1, 3072), None)}, "type uint8"),
        (rows() | {b"labels": (0, 1, 2, 3)}, "must be a list, not tuple"),
        (rows() | {b"labels": [0, 1, 2]}, "4 images came with 3"),
        (rows() | {b"labels": [0, 1, 10, 3]}, "0 to 9, not '10'"),
        (rows() | {b"labels": [0, -1, 2, 3]}, "0 to 9, not '-1'"),
        (rows() | {b"labels": [0, 1.0, 2, 3]}, "0 to 9, not '1.0'"),
        (rows() | {b"labels": [0, True, 2, 3]}, "0 to 9, not 'True'"),
    ],
)
@pytest.mark.parametrize("protocol", [4, 5])
def test_another_content_is_refused_with_what_came(content: object, why: str, protocol: int) -> None:
    with pytest.raises(ValueError, match=why):
        pickled_batch.parse(pickle.dumps(content, protocol))


@pytest.mark.slow
@given(st.data())
def test_a_damaged_pickle_is_a_value_error_of_one_line_or_a_batch(data: st.DataObject) -> None:
    damaged = bytearray(as_python_2_writes(rows(1)))
    frame = [*range(500), *range(len(damaged) - 60, len(damaged))]
    for place in data.draw(st.lists(st.sampled_from(frame), min_size=1, max_size=3)):
        damaged[place] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.sampled_from([None, 40, 2000]))]
    try:
        outcome = str(pickled_batch.parse(bytes(damaged)).x.shape[1:])
    except ValueError as error:
        outcome = str(error)
    assert outcome == "(32, 32, 3)" or (outcome.startswith(("its ", "it ", "there ")) and "\n" not in outcome)


# --- the six of them -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [write_folder, write_archive])
@pytest.mark.parametrize("below", ["cifar10", "."])
def test_folder_and_archive_give_the_same_images_in_order(
    write: Callable[[Path, Mapping[str, Rows]], Path], below: str, tmp_path: Path
) -> None:
    batches = six()
    place = write(tmp_path / below, batches)
    collection = publish(batches)
    assert cifar10.locate(collection, tmp_path) == place
    original = cifar10.load(collection, tmp_path)
    assert np.array_equal(original.train.x, np.concatenate([images_of(batches[name]) for name in NAMES[:5]]))
    assert np.array_equal(original.test.x, images_of(batches["test_batch"]))
    assert original.train.labels.tolist() == [(i + seed) % 10 for seed in range(5) for i in range(4)]
    assert original.test.labels.tolist() == [5, 6, 7, 8]


def test_who_pickled_the_batches_does_not_matter(tmp_path: Path) -> None:
    batches = six()
    folder = write_folder(tmp_path, batches, protocol=5)
    (folder / "data_batch_2").write_bytes(as_python_2_writes(batches["data_batch_2"]))
    (folder / "data_batch_3").write_bytes(pickle.dumps(batches["data_batch_3"] | {b"filenames": [b"a.png"]}, 0))
    assert len(cifar10.load(publish(batches), tmp_path).train) == 20


def test_the_folder_of_the_collections_name_comes_first(tmp_path: Path) -> None:
    batches = six()
    write_folder(tmp_path, six(5))
    archive = write_archive(tmp_path / "cifar10", batches)
    assert cifar10.locate(publish(batches), tmp_path) == archive
    assert len(cifar10.load(publish(batches), tmp_path).test) == 4


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_lacks_a_batch_gives_way_to_the_archive(name: str, tmp_path: Path) -> None:
    batches = six()
    folder = write_folder(tmp_path, batches)
    archive = write_archive(tmp_path, batches)
    assert cifar10.locate(publish(batches), tmp_path) == folder
    (folder / name).unlink()
    assert cifar10.locate(publish(batches), tmp_path) == archive


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("write", [write_folder, write_archive])
def test_a_batch_with_one_other_pixel_is_refused(
    name: str, write: Callable[[Path, Mapping[str, Rows]], Path], tmp_path: Path
) -> None:
    batches = six()
    collection = publish(batches)
    changed = np.array(batches[name][b"data"])
    changed[2, 77] ^= 1
    place = write(tmp_path, batches | {name: batches[name] | {b"data": changed}})
    message = refusal(lambda: cifar10.load(collection, tmp_path))
    assert f"{name} in {place} is not the published batch of cifar10" in message
    assert collection.sha256[name] in message


def test_a_batch_with_one_other_label_is_refused(tmp_path: Path) -> None:
    batches = six()
    collection = publish(batches)
    write_folder(tmp_path, batches | {"test_batch": batches["test_batch"] | {b"labels": [5, 6, 7, 9]}})
    assert "test_batch in" in refusal(lambda: cifar10.load(collection, tmp_path))


def test_batches_in_each_others_place_are_refused(tmp_path: Path) -> None:
    batches = six()
    collection = publish(batches)
    batches["data_batch_1"], batches["data_batch_2"] = batches["data_batch_2"], batches["data_batch_1"]
    write_folder(tmp_path, batches)
    assert "data_batch_1 in" in refusal(lambda: cifar10.load(collection, tmp_path))


def test_a_pickle_that_asks_for_more_is_refused_with_its_name(tmp_path: Path) -> None:
    batches = six()
    folder = write_folder(tmp_path, batches)
    (folder / "data_batch_4").write_bytes(pickle.dumps(Asking(eval, "1")))
    message = refusal(lambda: cifar10.load(publish(batches), tmp_path))
    assert f"data_batch_4 in {folder} cannot be read" in message
    assert "asks for builtins.eval" in message


def broken_off(tar: bytes) -> bytes:
    """The gzip of these bytes, and then a block of the type that deflate keeps free (RFC 1951, 3.2.3)."""
    packing = zlib.compressobj(wbits=31)
    return packing.compress(tar) + packing.flush(zlib.Z_SYNC_FLUSH) + b"\x07"


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"no gzip at all",
        lambda tar: gzip.compress(tar[:20_000]),
        lambda tar: gzip.compress(tar)[:20_000],
        lambda tar: gzip.compress(tar[:20_000])[:-8] + bytes(8),
        lambda tar: broken_off(tar[:20_000]),
    ],
    ids=["empty", "no-gzip", "tar-cut", "gzip-cut", "wrong-crc", "no-such-block"],
)
def test_a_damaged_archive_is_named(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    batches = six()
    archive = write_archive(tmp_path, batches)
    archive.write_bytes(damage(gzip.decompress(archive.read_bytes())))
    message = refusal(lambda: cifar10.load(publish(batches), tmp_path))
    assert f"{archive} is damaged (" in message
    assert "remove it to have it downloaded" in message


def test_an_archive_without_a_batch_says_which(tmp_path: Path) -> None:
    batches = six()
    archive = write_archive(tmp_path, {name: batches[name] for name in NAMES if name != "data_batch_3"})
    assert f"{archive} has no data_batch_3 in it" in refusal(lambda: cifar10.load(publish(batches), tmp_path))


def test_a_member_that_points_elsewhere_is_not_followed(tmp_path: Path) -> None:
    batches = six()
    archive = tmp_path / ARCHIVE
    write_folder(tmp_path / "elsewhere", batches)
    with tarfile.open(archive, "w:gz") as tar:
        for name in NAMES:
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.type, member.linkname = tarfile.SYMTYPE, str(tmp_path / "elsewhere" / FOLDER / name)
            tar.addfile(member)
    assert "has no data_batch_1" in refusal(lambda: cifar10.load(publish(batches), tmp_path))


def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path, six())

    def deny(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")  # root, as which CI may run, may read anything

    monkeypatch.setattr(Path, "read_bytes", deny)
    assert "Permission denied" in refusal(lambda: cifar10.load(publish(six()), tmp_path))


# --- downloaded ----------------------------------------------------------------------------------------------------


def test_what_is_missing_is_downloaded_once(tmp_path: Path) -> None:
    batches = six()
    source = write_archive(tmp_path / "source", batches)
    write_folder(tmp_path / "data", {name: batches[name] for name in NAMES[:3]})  # half of it is none of it
    with served(source.parent) as web:
        md5 = hashlib.md5(source.read_bytes()).hexdigest()
        collection = publish(batches, f"{web.url}/{source.name}", md5)
        cifar10.load(collection, tmp_path / "data")
    assert [path.name for path in (tmp_path / "data" / "cifar10").iterdir()] == [ARCHIVE]
    source.unlink()
    assert len(cifar10.load(collection, tmp_path / "data").train) == 20


def test_an_archive_that_is_not_the_published_one_is_not_kept(tmp_path: Path) -> None:
    source = write_archive(tmp_path / "source", six())
    with served(source.parent) as web:
        published = publish(six(), f"{web.url}/{source.name}")
        assert "not the published file" in refusal(lambda: cifar10.load(published, tmp_path / "data"))
    assert list((tmp_path / "data" / "cifar10").iterdir()) == []


def test_without_batches_and_network_both_forms_are_asked_for(tmp_path: Path) -> None:
    message = refusal(lambda: cifar10.load(publish(six()), tmp_path))
    assert (
        f"cifar10 needs {FOLDER} ({', '.join(NAMES[:5])} and test_batch) or {ARCHIVE} in {tmp_path}/cifar10" in message
    )
    assert "put one of them there" in message


# --- by name -------------------------------------------------------------------------------------------------------


def test_cifar10_is_loaded_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = six(20)
    folder = write_folder(tmp_path / "cifar10", batches)
    monkeypatch.setattr(datasets, "SOURCES", (cifar10.source(publish(batches)),))
    loaded = datasets.load("cifar10", data_dir=tmp_path, validation=0.1)
    assert (loaded.train.x.shape, loaded.validation.x.shape) == ((90, 32, 32, 3), (10, 32, 32, 3))
    assert loaded.train.x.flags.c_contiguous
    assert np.bincount(loaded.validation.labels).tolist() == [1] * 10
    assert datasets.locate("cifar10", tmp_path) == str(folder)


def test_where_cifar10_is_not_it_says_what_it_needs(tmp_path: Path) -> None:
    message = refusal(lambda: datasets.locate("cifar10", tmp_path))
    assert f"or {ARCHIVE} not in {tmp_path / 'cifar10'}; downloaded when first needed" in message
    assert list(tmp_path.iterdir()) == []


def test_the_published_data_set_is_six_different_batches_and_nothing_made_up_here(tmp_path: Path) -> None:
    published = cifar10.CIFAR10
    assert tuple(published.sha256) == NAMES
    assert {len(sha256) for sha256 in published.sha256.values()} == {64}
    assert len(set(published.sha256.values())) == 6
    write_folder(tmp_path, six())
    assert "not the published batch" in refusal(lambda: cifar10.load(replace(published, url=NOWHERE), tmp_path))

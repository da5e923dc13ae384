"""Files that travel as one archive: whole, and nowhere else than into their folder."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from tune_jobs.training import folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "from"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "b.bin").write_bytes(bytes(range(256)))
    (folder / "a.txt").write_text("a")
    (folder / "link").symlink_to("/etc/hostname")
    os.utime(folder / "a.txt", (0, 0))  # before 1980, from when on zip counts
    return folder


def test_what_is_put_elsewhere_is_what_was_packed_without_links(folder: Path, tmp_path: Path) -> None:
    there = tmp_path / "to" / "0003"
    there.mkdir(parents=True)
    (there / "old").touch()
    folders.put(folders.packed(folder), there)
    assert {str(path.relative_to(there)) for path in there.rglob("*")} == {"a.txt", "deep", "deep/b.bin"}
    assert (there / "deep" / "b.bin").read_bytes() == bytes(range(256))
    assert [path.name for path in there.parent.iterdir()] == ["0003"]
    assert folders.size(folder) == folders.size(there) == 257


def test_what_is_no_archive_leaves_the_folder_as_it_was(folder: Path) -> None:
    with pytest.raises(zipfile.BadZipFile):
        folders.put(b"none", folder)
    assert (folder / "a.txt").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["from"]


def test_the_digest_changes_with_a_file(folder: Path) -> None:
    before = folders.digest(folder)
    assert folders.digest(folder) == before
    (folder / "a.txt").write_text("b")
    assert folders.digest(folder) != before

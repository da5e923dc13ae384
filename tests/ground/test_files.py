"""A file is written whole or not at all, and nothing is left beside it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tune_jobs import files
from tune_jobs.errors import UserError

KILLED = """
import os, sys
from pathlib import Path
from tune_jobs import files
with files.replacement(Path(sys.argv[1])) as part:
    part.write_bytes(b"half")
    os._exit(9)
"""


def only(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_replaces_the_one_before(tmp_path: Path, durable: bool) -> None:
    for text in ("old", "new ∞ \ud800"):
        files.write(tmp_path / "file", text, durable=durable)
    assert only(tmp_path) == {"file": "new ∞ \\ud800".encode()}


def test_a_durable_file_and_its_name_are_synced_and_another_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(Path(f"/proc/self/fd/{descriptor}").resolve()))
    files.write(tmp_path / "cache", "text", durable=False)
    assert synced == []
    files.write(tmp_path / "file", "text")
    part, folder = synced
    assert part.parent == folder == tmp_path
    assert part.name.startswith(".file.")


def fail(path: Path, error: BaseException) -> None:
    with files.replacement(path) as part:
        part.write_bytes(b"half")
        raise error


def test_what_fails_in_the_block_leaves_the_file_before(tmp_path: Path) -> None:
    files.write(tmp_path / "file", "old")
    for error, seen in ((OSError(28, "No space left on device"), UserError), (KeyboardInterrupt(), KeyboardInterrupt)):
        with pytest.raises(seen):
            fail(tmp_path / "file", error)
        assert only(tmp_path) == {"file": b"old"}


def test_a_writer_that_is_killed_leaves_the_file_before(tmp_path: Path) -> None:
    files.write(tmp_path / "file", "old")
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "file")], check=False).returncode == 9
    assert (tmp_path / "file").read_text() == "old"
    files.write(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"


def test_a_file_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "missing" / "file", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(UserError, match=rf"^{path} cannot be written: {why}$"):
            files.write(path, "text")
    assert only(tmp_path) == {}


def test_the_folder_of_a_file_that_a_user_names_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.make_parent(tmp_path / "a" / "b" / "file")
    assert (tmp_path / "a" / "b").is_dir()
    monkeypatch.chdir(tmp_path)
    files.make_parent(Path("file"))
    (tmp_path / "taken").touch()
    with pytest.raises(UserError, match=r"^taken/x/file cannot be written, for its folder cannot be made: File exists"):
        files.make_parent(Path("taken/x/file"))


def test_rights_are_those_asked_for_or_those_that_suit_the_folder(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        for name in ("closed", "open"):
            (tmp_path / name).mkdir()
            (tmp_path / name).chmod(0o700 if name == "closed" else 0o755)
            files.make_folder(tmp_path / name / "a" / "b")
            files.write_bytes(tmp_path / name / "a" / "b" / "file", b"")
        files.write_bytes(tmp_path / "open" / "own", b"", mode=0o600)
    finally:
        os.umask(before)
    found = {str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert found == {
        **{"closed": 0o700, "closed/a": 0o700, "closed/a/b": 0o700, "closed/a/b/file": 0o600},
        **{"open": 0o755, "open/a": 0o750, "open/a/b": 0o750, "open/a/b/file": 0o640, "open/own": 0o600},
    }


def test_a_pipe_of_another_user_keeps_nobody_waiting_and_one_of_ones_own_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)
    os.write(writer, b"own")
    with files.reading(pipe) as file:
        assert os.read(file.fileno(), 3) == b"own"
    os.close(writer)
    if os.getuid() == 0:
        os.chown(pipe, 54_321, 54_321)
        with pytest.raises(OSError, match="another user's"), files.reading(pipe):
            pass


def test_the_file_to_be_written_ends_as_asked(tmp_path: Path) -> None:
    with files.replacement(tmp_path / "model.keras", suffix=".keras") as part:
        assert (part.parent, part.suffix) == (tmp_path, ".keras")
        part.touch()
    assert only(tmp_path) == {"model.keras": b""}

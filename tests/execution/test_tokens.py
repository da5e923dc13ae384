"""A sweep's own Ray has a folder for its sockets, whatever the shell or a batch system says of temporary files."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tune_jobs import temporary
from tune_jobs.errors import SettingsError
from tune_jobs.execution import tokens

SOCKETS = "ray/session_2026-11-28_23-59-59_123456_1234567/sockets/plasma_store"  # the longest that Ray makes


@pytest.fixture
def private_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Make the folder of a process with these variables."""
    ends: list[Callable[[], None]] = []
    monkeypatch.setattr(tokens.atexit, "register", ends.append)

    def make(**variables: str) -> Path:
        for name in ("RAY_TMPDIR", "TMPDIR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(tempfile, "tempdir", None)
        return tokens.private_folder.__wrapped__()

    yield make
    for end in ends:
        end()


def assert_serves(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(path.name for path in folder.iterdir()) == ["made-by-tune-jobs", "token"]
    (folder / SOCKETS).parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(folder / SOCKETS))


def test_a_short_folder_for_temporary_files_is_taken(private_folder: Callable[..., Path]) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="t-") as place:
        folder = private_folder(TMPDIR=place)
        assert folder.parent == Path(place)
        assert_serves(folder)


@pytest.mark.parametrize("name", ["x" * 40, "a b", "it's", "20%", "é", "$HOME", "nowhere/at/all"])
def test_a_folder_that_does_not_suit_ray_is_passed_over(
    name: str, tmp_path: Path, private_folder: Callable[..., Path]
) -> None:
    place = tmp_path / name
    if "nowhere" not in name:
        place.mkdir()
    folder = private_folder(TMPDIR=str(place))
    assert not folder.is_relative_to(tmp_path)
    assert not place.exists() or not any(place.iterdir())
    assert_serves(folder)


@pytest.mark.parametrize(
    ("name", "why"),
    [("y" * 90, "AF_UNIX path too long"), ("a b", "spaces and special characters"), ("nowhere", "No such file")],
)
def test_a_folder_that_the_user_names_for_ray_serves_or_is_named(
    name: str, why: str, tmp_path: Path, private_folder: Callable[..., Path]
) -> None:
    if name != "nowhere":
        (tmp_path / name).mkdir()
    with pytest.raises(SettingsError, match=f"no folder for its sockets .*{why}.* RAY_TMPDIR has to name a") as caught:
        private_folder(RAY_TMPDIR=str(tmp_path / name))
    assert "\n" not in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_no_folder_at_all_is_a_line_with_the_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, private_folder: Callable[..., Path]
) -> None:
    monkeypatch.setattr(temporary, "PLACES", (str(tmp_path / "gone"),))
    with pytest.raises(SettingsError, match=r"at most 27 plain characters$"):
        private_folder(TMPDIR=str(tmp_path))


def test_what_a_killed_driver_left_is_removed_and_what_others_made_is_not(
    private_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="t-") as place:
        left, others, held = (Path(place, name) for name in ("tj-killed00", "tj-others00", "tj-running0"))
        for folder in (left, others, held):
            (folder / "ray").mkdir(parents=True)
            (folder / "token").touch()
        for folder in (left, held):
            (folder / "made-by-tune-jobs").touch()
        descriptor = temporary.held(held)
        try:
            new = private_folder(TMPDIR=place)
        finally:
            os.close(descriptor)
        assert {path.name for path in Path(place).iterdir()} == {others.name, held.name, new.name}

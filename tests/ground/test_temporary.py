"""What a process that was killed left among the temporary files is removed by the next command, whatever that is."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.sweeping import command_line, ended
from tune_jobs import temporary
from tune_jobs.settings import Settings


def left_by_ray(place: Path, name: str = "tj-killed00") -> Path:
    """Make the folder of a sweep's Ray whose driver was killed."""
    folder = place / name
    (folder / "ray" / "session" / "logs").mkdir(parents=True)
    (folder / "ray" / "latest").symlink_to("session")
    for file in (folder / temporary.RAY_MARK, folder / "token", folder / "ray" / "session" / "logs" / "raylet.out"):
        file.touch()
    return folder


@pytest.mark.slow
def test_any_command_removes_what_a_killed_one_left(settings: Settings, tmp_path: Path) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    left_by_ray(place)
    (place / "tune-jobs-files-killed00" / "own").mkdir(parents=True)
    others = left_by_ray(place, "tj-running0"), place / "tj-others00"
    others[1].mkdir()
    descriptor = temporary.held(others[0])
    try:
        code, _, stderr = ended(command_line(settings, "studies", TMPDIR=str(place)))
    finally:
        os.close(descriptor)
    assert code == 0, stderr
    assert sorted(place.iterdir()) == sorted(others)


def test_what_cannot_be_removed_yet_is_removed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A raylet writes its last lines for some seconds after its driver was killed."""
    folder = left_by_ray(tmp_path)
    remove = shutil.rmtree

    def disturbed(path: Path) -> None:
        if path == folder / "ray":
            raise OSError("Directory not empty")
        remove(path)

    monkeypatch.setattr(shutil, "rmtree", disturbed)
    temporary.remove_left_by_ray(tmp_path)
    assert folder.exists()
    monkeypatch.setattr(shutil, "rmtree", remove)
    temporary.remove_left_by_ray(tmp_path)
    assert not folder.exists()


def test_what_a_starting_worker_made_anew_is_removed_and_what_is_not_rays_alone_is_not(tmp_path: Path) -> None:
    """A worker makes all folders of its session, without looking whether they are there."""
    again, others = (left_by_ray(tmp_path, name) for name in ("tj-again000", "tj-others00"))
    for folder in (again, others):
        (folder / temporary.RAY_MARK).unlink()
        (folder / "token").unlink()
    (others / "notes").touch()
    (tmp_path / "tj-new00000").mkdir()  # its owner is about to lock it
    temporary.remove_left_by_ray(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"tj-others00", "tj-new00000"}


def test_it_is_looked_for_wherever_it_may_have_been_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [tmp_path / name for name in ("environment", "ray", "short")]
    for place in places:
        place.mkdir()
    left: list[Any] = [left_by_ray(place) for place in places]
    monkeypatch.setattr(tempfile, "tempdir", str(places[0]))
    monkeypatch.setenv("RAY_TMPDIR", str(places[1]))
    monkeypatch.setattr(temporary, "PLACES", (str(places[2]),))
    temporary.clear()
    assert [folder.exists() for folder in left] == [False] * 3

"""The disk of the home is full: one line, nothing corrupt, and the same command goes on once there is room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.auditing import audit, undisturbed
from tests.support.sweeping import SharedRay, called, ended, own_task, refusal, until
from tests.support.warm import WarmServer
from tune_jobs.settings import Settings
from tune_jobs.study.storage import study_names
from tune_jobs.study.study import Study

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # of MLflow's own tables
]

LAUNCH = ("--search", "grid", "--max-concurrent", "1")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Settings]:
    """A home on a file system of its own, of 8 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount a small file system, and not in every container")
    home = disk / "home"
    try:
        yield Settings(home, home / "data", None, f"sqlite:///{home / 'mlflow.db'}")
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Writes until nothing more fits; the file to remove for room."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            return filler


def test_a_sweep_whose_disk_fills_up_goes_on_when_there_is_room(
    tmp_path: Path, small_disk: Settings, ray: SharedRay, warm: WarmServer
) -> None:
    own, alone = (own_task(tmp_path / name, width="Choice(*range(1, 11))") for name in ("task", "alone"))
    disk = small_disk.home.parent
    filler = fill(disk)
    code, stdout, stderr = called(small_disk, "launch", own.reference, *LAUNCH)
    assert (code, stdout, study_names(small_disk)) == (2, "", ())
    assert "No space left on device" in refusal(stderr)
    filler.unlink()

    own.make_room(2)
    process = warm.command_line(small_disk, "launch", own.reference, *LAUNCH, *ray.words, **ray.client)
    until(lambda: len(own.noted("end")) == 2 and len(own.noted("begin")) == 3, "two trials to end", process)
    until((small_disk.home / "mlflow.db").exists, "MLflow's file", process)
    filler = fill(disk)
    own.make_room(None)
    code, _, stderr = ended(process)
    assert code == 2, stderr
    journal = small_disk.studies_dir / "own.journal"
    line = refusal(stderr)
    assert f"the study file {journal} cannot be written (No space left on device): what is finished is kept" in line
    assert journal.read_bytes().endswith(b"\n")
    assert [trial.state for trial in Study.open("own", small_disk).record().trials][:2] == ["complete"] * 2

    filler.unlink()
    code, _, stderr = called(small_disk, "launch", own.reference, *LAUNCH)
    assert code == 0, stderr
    code, _, stderr = called(small_disk, "sync", "own")
    assert code == 0, stderr
    audit(small_disk, undisturbed(alone, tmp_path), own=own)

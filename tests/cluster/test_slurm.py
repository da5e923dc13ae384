"""The script for SLURM, with stand-ins for its commands: two nodes of a real Ray here, and a sweep on both."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import free_port
from tests.support.sweeping import PATIENCE_S, PROGRAMS, Own, kill_family, own_task, until, variables_of
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # of MLflow's own tables
]

SCRIPT = Path(__file__).parents[2] / "examples" / "slurm.sbatch"


def allocation(settings: Settings, own: Own, folder: Path, *words: str) -> subprocess.Popen[str]:
    """Run the script as SLURM would on the first of two nodes with a CPU each."""
    path = f"{PROGRAMS / 'slurm'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    slurm = {
        "SLURM_JOB_ID": str(
            next(port for port in iter(free_port, None) if port < 30_000) - 20_000
        ),  # which makes the port
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # a Ray on loopback
        "SLURM_JOB_NODELIST": "one,two",
        "SLURM_CPUS_PER_TASK": "1",
        "SLURM_GPUS_PER_TASK": "h100:0",
        "STEPS": str(folder / "steps"),
        "TMPDIR": str(folder),
        "TUNE_JOBS_HOME": str(settings.home),
        "PATH": path,
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TUNE_JOBS_"))}
    return subprocess.Popen(
        ["bash", str(SCRIPT), "launch", own.reference, *words],
        env=environment | variables_of(settings) | slurm,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    """For Ray, whose sockets' paths may not be long."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="s-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def test_a_sweep_runs_on_both_nodes_and_ends_well_with_the_allocations_time(
    tmp_path: Path, folder: Path, settings: Settings
) -> None:
    own = own_task(tmp_path / "task", "doze", width="Choice(1, 2, 3, 4)")
    own.make_room(2)
    job = allocation(settings, own, folder, "--search", "grid")
    try:
        until(lambda: job.poll() is not None or len(own.noted("begin", "width")) >= 4, "two more trials to begin")
        (token,) = settings.home.glob("slurm-*/token")
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        secret = token.read_text()
        job.send_signal(signal.SIGTERM)
        out, _ = job.communicate(timeout=PATIENCE_S)
    finally:
        kill_family(job)
    assert job.returncode == 143, out
    assert "Ray runs on 2 of 2 nodes" in out
    assert not token.exists()
    trials = Study.open("own", settings).record().trials
    assert {trial.place for trial in trials} == {"one", "two"}
    assert [trial.state for trial in trials].count("complete") == 2
    assert len(secret) == 64
    assert secret not in (folder / "steps").read_text() + out

"""Nothing of one trial reaches the next one of its worker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_trials_of_one_worker_are_to_the_bit_those_of_a_process_each() -> None:
    """As `tests/support/one_worker.py` shows for hundreds, of all small tasks."""
    words = ["--trials", "6", "--only", "smooth", "scaled", "reckless", "careless"]
    program = [sys.executable, "-m", "tests.support.one_worker", *words]
    done = subprocess.run(program, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["6 trials, 0 not complete, 0 different"], done.stdout + done.stderr

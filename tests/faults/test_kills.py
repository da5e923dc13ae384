"""`kill -9` at random moments across driver, workers and Ray: nothing finished is lost, run twice or counted twice.

`benchmarks/faults.py` kills more often.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.auditing import audit, undisturbed
from tests.killing import Killer
from tests.sweeping import command_line, own_task
from tune_jobs.settings import Settings

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # of MLflow's own tables
]


def test_a_sweep_that_is_killed_again_and_again_comes_to_what_an_undisturbed_one_does(tmp_path: Path) -> None:
    settings = Settings.read(home=tmp_path / "home")
    own, alone = (own_task(tmp_path / name, "doze", width="Choice(*range(60))") for name in ("task", "alone"))
    words = ("launch", own.reference, "--search", "grid", "--max-retries", "99")
    killer = Killer(lambda: command_line(settings, *words), seed=1, longest_s=10.0)
    killer.disturb(3)
    assert killer.killed == ["driver", "worker", "raylet"]
    alone.go()  # without a pause in its trials
    audit(settings, undisturbed(alone, tmp_path), own=own)

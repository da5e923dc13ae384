"""Each command that writes is killed in its midst and given again: what it leaves is what it leaves undisturbed.

The kills of a raylet, a GCS and a deliverer are in tests/faults/test_kills.py and tests/tracking/test_delivery.py, that
of an evaluation in tests/actions/test_evaluate.py. `benchmarks/faults.py --only commands` has all of them.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.commands import CommandKiller, Course, Ground, Group, Runner, Undisturbed
from tests.support.sweeping import SharedRay
from tests.support.warm import WarmServer

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # of MLflow's own tables
]
PLAN: dict[str, list[Group]] = {
    "launch": [("driver",)],
    "extend": [("worker", "driver")],
    "replicate": [("driver",)],
    "retry": [("driver",)],
    "import-study": [("driver",)],
    "delete": [("driver",)],
}


def test_a_command_that_is_killed_and_given_again_leaves_what_an_undisturbed_one_does(
    tmp_path: Path, ray: SharedRay, warm: WarmServer
) -> None:
    ground = Ground.make(tmp_path / "ground", Runner(warm, ray, is_here=True), has_networks=False)
    undisturbed = Undisturbed(Course(tmp_path / "alone", ground))
    undisturbed.run(list(PLAN))
    killer = CommandKiller(undisturbed, random.Random(1))
    killer.run(Course(tmp_path / "killed", ground), PLAN)
    assert killer.faults == []
    of_trials = {name for name in PLAN if name not in ("import-study", "delete")}  # these may end before
    assert {name for name, _ in killer.killed} >= of_trials
    assert killer.killed["extend", "worker"] == 1

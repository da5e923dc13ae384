"""`kill -9` at random moments across driver, workers and Ray: nothing finished is lost, run twice or counted twice.

`benchmarks/faults.py` kills more often.
"""

from __future__ import annotations

import os
import random
import re
import signal
import tempfile
import time
from functools import partial
from pathlib import Path

import pytest

from tests.support.auditing import audit, undisturbed
from tests.support.killing import Killer, Victim, is_there, kill
from tests.support.sweeping import (
    WITHOUT_MLFLOW,
    Own,
    SharedRay,
    command_line,
    ended,
    kill_family,
    own_task,
    until,
)
from tests.support.warm import WarmServer
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # of MLflow's own tables
]


@pytest.mark.slow
def test_a_sweep_that_is_killed_again_and_again_comes_to_what_an_undisturbed_one_does(tmp_path: Path) -> None:
    settings = Settings.read(home=tmp_path / "home")
    own, alone = (own_task(tmp_path / name, "doze", width="Choice(*range(32))") for name in ("task", "alone"))
    words = ("launch", own.reference, "--search", "grid", "--max-retries", "99")
    killer = Killer(lambda: command_line(settings, *words), seed=1, longest_s=10.0)

    def go_on(_: str) -> None:
        if len(killer.killed) == 4:  # nothing is left to disturb
            own.make_room(None)
            own.go()

    killer.tell = go_on
    own.make_room(28)  # so that four trials are left for the last kill
    killer.disturb(4)
    assert killer.killed == ["driver", "worker", "raylet", "gcs_server"]
    alone.go()  # without a pause in its trials
    audit(settings, undisturbed(alone, tmp_path), own=own)


@pytest.mark.slow
def test_a_driver_whose_gcs_is_killed_says_so_in_one_line_within_15_seconds_and_goes_on_when_called_again(
    tmp_path: Path, warm: WarmServer
) -> None:
    settings = Settings.read(home=tmp_path / "home")
    own = own_task(tmp_path / "task", "wait", width="Choice(1, 2)")
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as short:
        launch = partial(
            warm.command_line,
            settings,
            *("launch", own.reference, "--search", "grid"),
            before=WITHOUT_MLFLOW,
            RAY_TMPDIR=short,
        )
        process = launch()
        try:
            until(lambda: own.trained, "a trial", process)
            before, began = process.stderr, time.monotonic()
            assert kill(process, "gcs_server", random.Random(1))
            seconds = time.monotonic() - began
            code, _, stderr = ended(process)
        finally:
            kill_family(process)
        assert (code, seconds < 15) == (2, True), seconds
        assert re.fullmatch(
            r"tune-jobs: Ray ended \(its GCS at 127\.0\.0\.1:\d+ does not answer\): finished trials are kept; run the "
            r"same command again to continue\n",
            stderr.removeprefix(before),
        )
        own.go()
        code, _, stderr = ended(launch())
        assert code == 0, stderr
        assert list(Path(short).iterdir()) == []  # what the first driver could not remove is gone too
    assert [trial.state for trial in Study.open("own", settings).record().trials] == ["complete"] * 2


@pytest.mark.slow
@pytest.mark.parametrize(("victim", "name"), [("gcs_server", "GCS"), ("raylet", "raylet")])
def test_a_driver_whose_ray_is_killed_while_it_starts_says_so_in_one_line(
    victim: Victim, name: str, tmp_path: Path, warm: WarmServer
) -> None:
    settings = Settings.read(home=tmp_path / "home")
    own = own_task(tmp_path / "task")
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as short:
        process = warm.command_line(settings, "launch", own.reference, before=WITHOUT_MLFLOW, RAY_TMPDIR=short)
        try:
            port = "tj-*/ray/session_2*/gcs_server_port_*"  # a file for which no thread of the driver but Ray's goes on
            until(lambda: is_there(process, victim) and [*Path(short).glob(port)], f"its {name}", process)
            began = time.monotonic()
            assert kill(process, victim, random.Random(1))
            seconds = time.monotonic() - began
            code, _, stderr = ended(process)
        finally:
            kill_family(process)
    assert (code, seconds < 15) == (2, True), seconds
    assert stderr == (
        f"starting Ray …\ntune-jobs: Ray did not start on this machine (its {name} died): run the same command again\n"
    )


def test_a_worker_that_was_killed_is_replaced_though_trials_are_shorter_than_its_start(
    tmp_path: Path, ray: SharedRay
) -> None:
    settings = Settings.read(home=tmp_path / "home")
    own = own_task(tmp_path / "task", "doze", width="Choice(*range(1, 400))")
    process = ray.command_line(settings, "launch", own.reference, "--search", "grid", "--max-concurrent", "2")
    try:
        until(lambda: len(workers(own)) == 2, "two workers", process)
        first, second = sorted(workers(own))
        os.kill(first, signal.SIGKILL)
        until(lambda: len(workers(own)) == 3, "a third one", process)
        assert {first, second} < workers(own)
        n_begun = len(own.noted("begin"))
        until(lambda: len(own.noted("begin")) >= n_begun + 8, "both to take turns", process)
        assert len({pid for (pid,) in own.noted("begin", "pid")[n_begun:]}) == 2
    finally:
        kill_family(process)


def workers(own: Own) -> set[int]:
    """The processes that have begun a trial."""
    return {pid for (pid,) in own.noted("begin", "pid")}

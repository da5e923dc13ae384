"""Workers that die: what is known of them, and when the sweep itself stops."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from tests.support.sweeping import SharedRay, called, own_task
from tune_jobs.errors import Reason
from tune_jobs.execution import lost_workers
from tune_jobs.execution.rules import WORN_OUT, FailureRules, TrialLimits
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study

KILLED = """\
The actor died unexpectedly before finishing this task.
\tpid: 4711
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker
unexpectedly exits with a connection error code 2. Some common causes include: (1) the process was killed by the OOM
killer due to high memory usage, or (3) the worker crashed unexpectedly due to SIGSEGV or another unexpected error.
"""
NOT_IMPORTED = """\
ray.exceptions.ActorDiedError: The actor died because of an error raised in its creation task, ray::TrialActor.__init__
  File "/site/package/__init__.py", line 3, in <module>
ModuleNotFoundError: No module named 'helper'
"""
ILLEGAL = "a word\n*** SIGILL received at time=1 on cpu 1 ***\nFatal Python error: Illegal instruction\n\nStack"


@pytest.mark.parametrize(
    ("error", "written", "words"),
    [
        (NOT_IMPORTED, "", "ModuleNotFoundError: No module named 'helper'"),
        (KILLED, ILLEGAL, "Fatal Python error: Illegal instruction"),
        (KILLED, "Traceback\nlib.errors.LicenceError: none left\n", "lib.errors.LicenceError: none left"),
        (KILLED, "SystemExit: no\n", "SystemExit: no"),
        (KILLED, ":job_id:01000000\n", None),
        (KILLED, f"ValueError: {'x' * 999}", f"ValueError: {'x' * 188}"),
        ("", "", None),
    ],
)
def test_the_last_words_of_a_worker_are_rays_or_its_own(
    error: str, written: str, words: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "worker-ab-01000000-4711.err").write_text(written)
    (tmp_path / "worker-cd-01000000-47110.err").write_text("OSError: of another worker")
    node = SimpleNamespace(get_logs_dir_path=lambda: str(tmp_path))
    monkeypatch.setattr(lost_workers.ray_worker, "_global_node", node)
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    assert lost_workers.last_words(error) == words


def test_an_error_of_tune_is_read_where_it_is_first_written(tmp_path: Path) -> None:
    trial: Any = SimpleNamespace(error_file=str(tmp_path / "error.txt"), get_error=lambda: None)
    assert lost_workers.error_of(trial) == ""
    (tmp_path / "error.txt").write_text(KILLED)
    assert lost_workers.error_of(trial) == KILLED
    assert lost_workers.error_of(SimpleNamespace(error_file=None)) == ""


def test_three_workers_in_a_row_that_die_while_they_start_stop_a_sweep() -> None:
    rules = FailureRules(TrialLimits())
    assert [rules.dead_at_start(KILLED, None) for _ in range(2)] == [None, None]
    why = rules.dead_at_start(NOT_IMPORTED, "ModuleNotFoundError: No module named 'helper'")
    assert why == "3 workers in a row died while they started: ModuleNotFoundError: No module named 'helper'"
    assert "memory" not in (rules.dead_at_start(KILLED, None) or "memory")


def test_a_worker_that_starts_and_deaths_of_another_kind_do_not_count() -> None:
    rules = FailureRules(TrialLimits())
    for error in (WORN_OUT, "the node was low on memory", "the actor died because its node has died") * 3:
        assert rules.dead_at_start(error, None) is None
    for _ in range(5):
        assert [rules.dead_at_start(KILLED, None) for _ in range(2)] == [None, None]
        rules.worker_started()


def test_a_trial_whose_worker_said_why_it_died_is_not_out_of_memory() -> None:
    result = FailureRules(TrialLimits(max_retries=0)).worker_lost(1, KILLED, "ImportError: no libcuda")
    assert result is not None
    assert (result.reason, result.message) == (Reason.CRASHED, "its worker died once: ImportError: no libcuda")


def test_a_file_that_ends_each_worker_at_its_import_is_one_line(
    tmp_path: Path, settings: Settings, ray: SharedRay
) -> None:
    ends = "print('LicenceError: none left', file=sys.stderr, flush=True); os._exit(1)"
    own = own_task(tmp_path, before=f"import os, sys\nif os.getpid() != {os.getpid()}: {ends}\n")
    code, _, stderr = called(settings, "launch", own.reference, "--search", "grid", "--max-concurrent", "1")
    assert code == 2
    *_, last = stderr.splitlines()
    assert last == "tune-jobs: 3 workers in a row died while they started: LicenceError: none left"
    trials = Study.open("own", settings).record().trials
    assert {trial.state for trial in trials} <= {"waiting", "running"}

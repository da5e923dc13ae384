"""The examples in the docstrings of the API, run one after the other in one home: real sweeps on the digits."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import tune_jobs as tj
from tests.support.sweeping import SharedRay
from tune_jobs.execution import cluster

pytestmark = pytest.mark.slow

MODULES = ("tune_jobs", *(f"tune_jobs.api.{name}" for name in ("studies", "leaderboard", "study", "tasks")))
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for name in MODULES for test in finder.find(importlib.import_module(name), name)]
    return [test for test in found if test.examples]


def test_every_function_of_the_front_door_that_needs_no_second_study_has_an_example() -> None:
    names = {test.name.rpartition(".")[2] for test in examples()}
    functions = {"launch", "open_study", "studies", "tasks", "find_task", "run_trial"}
    methods = {"extend", "replicate", "evaluate", "best_model", "optuna_study"}
    assert functions | methods | {"Study", "Leaderboard"} <= names


def test_the_examples_are_true(
    ray: SharedRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUNE_JOBS_HOME", str(tmp_path))
    monkeypatch.delenv("TUNE_JOBS_STORAGE", raising=False)
    slots = cluster.slots  # one worker at a time: each further one would import TensorFlow
    monkeypatch.setattr(cluster, "slots", lambda cpus, gpus, max_concurrent: slots(cpus, gpus, 1))
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    reports: list[str] = []
    for test in examples():
        test.globs = {"tj": tj}
        runner.run(test, out=reports.append)
    assert runner.tries > 20
    assert runner.failures == 0, "".join(reports) + capfd.readouterr().err

"""No search, replicate, transfer, leaderboard or export can read the test split: by their imports, and when they run.

`tests/test_architecture.py` holds the readers to two places in the source; here is what can reach them.
"""

from __future__ import annotations

import ast
import hashlib
import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.house import ROOT, module_of, sources
from tests.support.sweeping import PROGRAMS, Own, SharedRay, own_task, terms_of
from tune_jobs import datasets
from tune_jobs.actions import evaluate, launch, replicate, transfer
from tune_jobs.cli import run
from tune_jobs.datasets.dataset import Dataset
from tune_jobs.execution.plan import Resources
from tune_jobs.records.trials import TrialResult
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study

ENDED = TrialResult("complete", 0.5, 1, {"val_accuracy": 0.5}, ({"val_accuracy": 0.5},))
READERS = {
    "tune_jobs.actions.evaluate",
    "tune_jobs.training.finalist",
    "tune_jobs.execution.evaluating",
    "tune_jobs.execution.evaluators",
}
EVALUATES = "tune_jobs.cli.evaluate"


FILES = {module_of(path): ROOT / path for path in sources()}
COMMANDS = sorted(name for name in FILES if name.startswith("tune_jobs.cli.") and name != EVALUATES)


def imported(source: str) -> Iterator[str]:
    """The modules of ours that a source imports anywhere, inside its functions and under TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import, which is not followed here"
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
            assert node.module != "tune_jobs" or set(names) <= set(FILES), f"{names[1:]}: public names are for users"
        for name in names:
            parts = name.split(".")
            yield from (part for k in range(1, len(parts) + 1) if (part := ".".join(parts[:k])) in FILES)


def reached(entry: str) -> set[str]:
    """All modules of ours that are imported when everything in `entry` is called.

    `tune_jobs` itself is not followed: it imports a public name when someone asks for it, and no module of ours does.
    """
    found, left = {entry, "tune_jobs"}, [entry]
    while left:
        new = set(imported(FILES[left.pop()].read_text(encoding="utf-8"))) - found
        found |= new
        left += new
    return found


@pytest.mark.slow
@pytest.mark.parametrize("command", [*COMMANDS, "tune_jobs.tracking.delivery", "tune_jobs.execution.worker"])
def test_no_command_but_evaluate_imports_a_reader_of_the_test_split(command: str) -> None:
    assert reached(command) & READERS == set()


@pytest.mark.slow
def test_evaluate_imports_them_all() -> None:
    assert reached(EVALUATES) >= READERS
    assert {f"tune_jobs.cli.{name}" for name in ("launch", "replicate", "transfer", "results_pages", "studies")} < {
        *COMMANDS
    }
    assert {"tune_jobs.execution.driver", "tune_jobs.exports.best"} < reached("tune_jobs.cli.launch")


@pytest.mark.parametrize(
    "source",
    [
        "from tune_jobs.actions import evaluate",
        "import tune_jobs.actions.evaluate as e",
        "def f():\n    from tune_jobs.actions.evaluate import evaluate",
        "if TYPE_CHECKING:\n    from tune_jobs.actions.evaluate import EvaluateRequest",
    ],
)
def test_a_planted_import_is_noticed(source: str) -> None:
    assert "tune_jobs.actions.evaluate" in imported(source)


MARK = hashlib.sha256(b"the test split").digest()  # 32 bytes, of which every test image is made


def poisoned(folder: Path, name: str = "own") -> Own:
    before = (PROGRAMS / "poisoned_task.py").read_text()
    return own_task(folder, "level", width="Choice(1, 2)", before=before, dataset="load_data", name=name)


@dataclass
class Seen:
    """What was handed to workers, and who took the test part of a data set."""

    jobs: list[Any]
    taken: list[str]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, ray: SharedRay) -> Seen:
    from tune_jobs.execution import driver

    seen = Seen([], [])
    run_sweep = driver.run_sweep

    def watched(sweep: Any, job: Any) -> Any:
        seen.jobs.append(job)
        return run_sweep(sweep, job)

    def attribute(self: Dataset, name: str) -> Any:
        if name == "test":
            seen.taken.append(self.name)
        return object.__getattribute__(self, name)

    monkeypatch.setattr(driver, "run_sweep", watched)
    monkeypatch.setattr(Dataset, "__getattribute__", attribute)
    return seen


def test_all_but_evaluate_work_on_a_test_split_that_nothing_can_be_scored_on(
    tmp_path: Path, settings: Settings, seen: Seen, capsys: pytest.CaptureFixture[str]
) -> None:
    own, other = poisoned(tmp_path / "own"), poisoned(tmp_path / "other", "other")
    messages: list[str] = []
    said = messages.append
    one = Resources(max_concurrent=1)
    launch.launch(launch.LaunchRequest(own.reference, search="grid", resources=one), settings, said)
    replicate.replicate(replicate.ReplicateRequest("own", top=1, seeds=2, resources=one), settings, said)
    transfer.transfer(transfer.TransferRequest("own", other.reference, top=1, resources=one), settings, said)
    best = str(settings.exports_dir("own") / "best.yaml")
    for words in (
        ["leaderboard", "own"],
        ["status", "own"],
        ["studies"],
        ["compare", "own", "other"],
        ["export", "own", "-o", str(tmp_path / "results")],
        ["train", best, "--no-mlflow"],
        ["launch", own.reference],
    ):
        assert run([*words, "--home", str(settings.home)]) == 0, words
    assert "the test split was never read" in capsys.readouterr().out
    records = [Study.open(name, settings).record() for name in ("own", "other")]
    assert [[trial.state for trial in record.trials] for record in records] == [["complete"] * 3, ["complete"] * 2]
    assert [record.readings for record in records] == [(), ()]
    assert len(seen.jobs) == 3
    for job in seen.jobs:
        assert MARK not in pickle.dumps(job)
        assert len(job.data.train) > 0
    assert seen.taken == []
    calls = {int(pid) for task in (own, other) for pid in (task.file.parent / "calls").read_text().split()}
    assert calls == {os.getpid()}  # no worker loaded it for itself


def test_evaluate_alone_takes_it_and_hands_it_to_workers_of_its_own(
    tmp_path: Path, settings: Settings, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other half of the test above: with the same eyes, what evaluate does is seen."""
    from tune_jobs.execution import evaluators

    own = Own.copy("poisoned_task.py", tmp_path)
    task = own.task
    settings.prepare()
    data = datasets.load_for_task(task, settings.data_dir)
    with Study.hold("own", settings) as study:
        study.begin(terms_of(task, own.reference, data.training))
        study.finish(study.start(study.add(task.space, {"units": 4}, 0)), ENDED, cpus=1.0)
    handed: list[Any] = []
    monkeypatch.setattr(evaluators, "evaluate", lambda trials, job, *others: handed.append(job))
    assert seen.taken == []
    evaluate.evaluate(evaluate.EvaluateRequest("own", top=1), settings, lambda message: None)
    assert seen.taken == [data.name]
    (job,) = handed
    assert MARK in pickle.dumps(job)
    assert MARK not in pickle.dumps(job.data)
    assert set(job.test_split.labels) == {2}

"""A task made in Python travels by value: its code and that of modules beside it, but nothing that is installed."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tune_jobs.execution.pickled_task import pickle_task, unpickle_task
from tune_jobs.execution.task_source import TaskSource
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task, TaskError, catalog

SCRIPT = """
import sys
from pathlib import Path

import tune_jobs as tj
from beside import WIDTHS, Doubled
import beside

FACTOR = 3

def train(params, data, *, seed, epochs):
    yield {"loss": FACTOR * beside.double(params["width"]) + Doubled(1).value}

TASK = tj.Task(
    name="made",
    summary="in a script",
    dataset="digits",
    space=tj.Space(width=tj.Choice(*WIDTHS)),
    objective=tj.Objective("loss", "minimize"),
    protocol=tj.Protocol(epochs=1),
    baseline={"width": 1},
    train=train,
)

if __name__ == "__main__":
    from tune_jobs.execution.task_source import TaskSource
    from tune_jobs.search_spaces import catalog
    import pickle

    source = TaskSource.of(catalog.reference_of(TASK))
    Path(sys.argv[1]).write_bytes(pickle.dumps(source))
    print(TASK.digest())
"""
BESIDE = """
class Doubled:
    def __init__(self, value):
        self.value = double(value)

WIDTHS = (1, 2)

def double(number):
    return 2 * number
"""
WORKER = """
import pickle, sys
task = pickle.loads(open(sys.argv[1], "rb").read()).load()
print(task.name, next(task.train({"width": 2}, None, seed=0, epochs=1)))
print("beside" in sys.modules, task.digest() == sys.argv[2])
"""


def run(folder: Path, *words: str) -> str:
    answer = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.mark.slow
def test_a_task_of_a_script_arrives_where_neither_the_script_nor_the_module_beside_it_is(tmp_path: Path) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    project.mkdir()
    elsewhere.mkdir()
    (project / "script.py").write_text(SCRIPT, encoding="utf-8")
    (project / "beside.py").write_text(BESIDE, encoding="utf-8")
    digest = run(project, "script.py", str(elsewhere / "task")).strip()
    (project / "script.py").unlink()
    (project / "beside.py").unlink()
    first, second = run(elsewhere, "-P", "-c", textwrap.dedent(WORKER), "task", digest).splitlines()
    assert first == "made {'loss': 14}"
    assert second.startswith("False")


def made(**changes: Any) -> Task:
    task = Task(
        name="made",
        summary="here",
        dataset="digits",
        space=Space(width=Choice(1, 2)),
        objective=Objective("loss", "minimize"),
        protocol=Protocol(epochs=1),
        baseline={"width": 1},
        train=lambda params, data, *, seed, epochs: iter([{"loss": 1.0}]),
    )
    return replace(task, **changes)


@pytest.mark.slow
def test_what_a_task_holds_of_this_machine_cannot_travel_and_that_is_said_in_one_line() -> None:
    lock = threading.Lock()

    def train(params: Any, data: Any, *, seed: int, epochs: int) -> Any:
        with lock:
            yield {"loss": 1.0}

    with pytest.raises(
        TaskError, match=r"^task 'made' cannot be sent to workers \(TypeError: .*lock.*\): its"
    ) as caught:
        pickle_task(made(train=train))
    assert "\n" not in str(caught.value)


def test_what_does_not_become_a_task_on_a_worker_is_said_in_one_line() -> None:
    with pytest.raises(TaskError, match=r"^the task cannot be made on this worker \(UnpicklingError: "):
        unpickle_task(b"no task")


@pytest.mark.slow
def test_pickling_leaves_no_module_registered() -> None:
    from ray import cloudpickle

    before = cloudpickle.list_registry_pickle_by_value()
    pickle_task(made())
    assert cloudpickle.list_registry_pickle_by_value() == before


def test_a_task_of_the_catalogue_travels_by_its_name_also_when_it_is_passed_as_a_value() -> None:
    task = catalog.find("digits-mlp")
    assert catalog.reference_of(task) == "digits-mlp"
    assert TaskSource.of("digits-mlp").pickled is None


@pytest.mark.slow
def test_a_changed_task_of_the_catalogue_is_one_made_in_python() -> None:
    task = replace(catalog.find("digits-mlp"), summary="another")
    reference = catalog.reference_of(task)
    assert reference == "python:digits-mlp"
    assert catalog.find(reference) is task
    assert TaskSource.of(reference).load().summary == "another"
    assert catalog.find("digits-mlp").summary != "another"

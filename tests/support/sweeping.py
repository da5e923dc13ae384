"""Small sweeps for tests: a task file whose training does as it is told, and the command line as a process.

The task has its own training loop, so that no trial imports TensorFlow, and it writes down what it was asked to train.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tune_jobs import datasets
from tune_jobs.datasets import TrainingData
from tune_jobs.records.studies import Launch, Search, StudyRecord, StudyTerms
from tune_jobs.search.candidates import Candidate
from tune_jobs.search_spaces import Task, catalog
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.tracking import delivery
from tune_jobs.training.trial import run_trial

PATIENCE_S = 120.0  # before a wait is given up; the machine may be busy

TASK = '''
"""A task whose trials do what `act` says; it stands in no catalogue and imports nothing heavy."""

import fcntl
import json
import os
import random
import resource
import signal
import sys
import time
from pathlib import Path

from tune_jobs.search_spaces import Choice, Fixed, Float, Int, Objective, Protocol, Space, Task

FOLDER = Path({folder!r})


def note(what, params):
    here = {{"pid": os.getpid(), "parent": os.getppid(), "gpus": os.environ.get("CUDA_VISIBLE_DEVICES")}}
    line = json.dumps({{"what": what, "at": time.time(), "cwd": os.getcwd(), **here, **params}})
    with (FOLDER / "events").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(line + "\\n")


def is_first(params):
    try:
        (FOLDER / f"first-{{json.dumps(params, sort_keys=True)}}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def wait_for_room():
    """Where `room` says so, until fewer trials than it says have ended."""
    while True:
        try:
            room = int((FOLDER / "room").read_text() or 0)
        except FileNotFoundError:
            return
        if (FOLDER / "events").read_text().count('"what": "end"') < room:
            return
        time.sleep(0.02)


def act(what, params, epoch, seed):
    if what == "wait" or (what == "wait-at-4" and params["width"] == 4 and epoch == 2):
        while not (FOLDER / "go").exists():
            time.sleep(0.02)
    elif (what == "raise" or (what == "unlucky" and seed == 1)) and epoch == 2:
        raise RuntimeError("no such\\nthing")
    elif what == "die" or (what == "die-once" and is_first(params)):
        os._exit(3)
    elif what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "exit":
        sys.exit("a loop that ends its process")
    elif what == "hang":
        time.sleep(3600)
    elif what == "doze" and not (FOLDER / "go").exists():
        time.sleep(0.2)
    elif what == "slow":
        time.sleep(1.5)
    elif what == "gorge" or (what == "gorge-once" and is_first(params)):
        use_up_memory()
    elif what == "crowd":
        stand_with_one_other()
    elif what in ("hoard", "leak") and epoch == 1:
        hoard(params, is_kept=what == "leak")
    elif what == "wear":
        from tune_jobs.execution import wear
        wear._TRIALS = 2
        time.sleep(0.2)  # so that two at once would be seen


def stand_with_one_other():
    """Out of memory where more than two trials are on one device."""
    device = FOLDER / f"device-{{os.getppid()}}-{{os.environ.get('CUDA_VISIBLE_DEVICES')}}"
    device.mkdir(exist_ok=True)
    mine = device / str(os.getpid())
    mine.touch()
    try:
        time.sleep(0.3)
        if len(list(device.iterdir())) > 2:
            raise MemoryError("no more room on the device")
    finally:
        mine.unlink()


KEPT = []


def hoard(params, is_kept):
    """Fills 200 MB that refer to themselves, and notes what was held before."""
    from tune_jobs.training import devices
    from tune_jobs.execution import wear
    note("held", params | {{"mb": devices.resident_mb()}})
    wear._GROWTH_MB = 300
    held = [b"x" * (200 << 20)]
    held.append(held)
    if is_kept:
        KEPT.append(held)


def use_up_memory():
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 28, before[1]))
    try:
        bytearray(1 << 30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def value_of(params, seed, epoch):
    noise = random.Random(f"{{seed}} {{params}} {{epoch}}").random()
    if params["act"] in ("level", "unlucky"):
        return params["width"] / 10 + noise / 1000  # the wider the better, whatever the seed
    if params["act"] == "lucky":
        return (params["width"] if seed == 0 else (5 - params["width"]) / 2) / 10 + noise / 1000
    return noise


def train(params, data, *, seed, epochs):
    note("begin", params | {{"seed": seed}})
    wait_for_room()
    for epoch in range(1, epochs + 1):
        act(params["act"], params, epoch, seed)
        if params["act"] == "diverge" and epoch == 2:
            yield {{"val_accuracy": float("nan")}}
        if epoch == epochs:
            note("end", params | {{"seed": seed}})
        if params["act"] == "mute":
            yield {{"loss": 1.0}}
        if params["act"] == "text":
            yield {{"val_accuracy": "good"}}
        value = value_of(params, seed, epoch)
        yield {{"val_accuracy": value, "val_loss": 1 - value, "images": len(data.train.x)}}


OWN = Task(
    name={name!r},
    summary="a loop of its own",
    dataset={dataset},
    space={space},
    objective=Objective("val_accuracy", "maximize"),
    protocol=Protocol(epochs=3, validation=0.2),
    baseline={baseline!r},
    train=train,
)
'''


@dataclass(frozen=True)
class Own:
    """A task file in a folder, and what its trials wrote down."""

    file: Path

    @property
    def reference(self) -> str:
        return f"{self.file}:OWN"

    @property
    def task(self) -> Task:
        return catalog.find(self.reference)

    @property
    def events(self) -> list[dict[str, Any]]:
        file = self.file.parent / "events"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def noted(self, what: str, *names: str) -> list[tuple[Any, ...]]:
        """The values of these names in each event of this kind, in order."""
        return [tuple(event[name] for name in names) for event in self.events if event["what"] == what]

    @property
    def trained(self) -> list[tuple[Any, ...]]:
        """The width and the seed of each training that began."""
        return self.noted("begin", "width", "seed")

    def make_room(self, ends: int | None) -> None:
        """Lets trials train until so many have ended in all; None lets all of them."""
        room = self.file.parent / "room"
        room.unlink() if ends is None else room.write_text(str(ends))

    def go(self) -> None:
        """Lets those go on that wait."""
        (self.file.parent / "go").touch()


def own_task(
    folder: Path,
    *acts: str,
    width: str = "Choice(1, 2, 3, 4)",
    before: str = "",
    name: str = "own",
    more: str = "depth=Fixed(1, Int(1, 3))",
    more_baseline: Mapping[str, Any] | None = None,
    dataset: str = "'digits'",
) -> Own:
    """A task file in `folder` whose space is `acts` times `width` and `more`; `before` are lines at its top."""
    folder.mkdir(parents=True, exist_ok=True)
    acts = acts or ("fine",)
    space = f"Space(act=Choice(*{acts!r}), width={width}, {more})"
    baseline = {"act": acts[0], "width": 1.0 if width.startswith("Float") else 1, **(more_baseline or {"depth": 1})}
    text = TASK.format(folder=str(folder), space=space, baseline=baseline, name=name, dataset=dataset)
    own = Own(folder / "own_task.py")
    own.file.write_text(before + text, encoding="utf-8")
    return own


def data_of(task: Task) -> TrainingData:
    return datasets.load(task.dataset, data_dir=Path("nowhere"), validation=task.protocol.validation).training


def terms_of(task: Task, reference: str, data: TrainingData, seed: int = 0) -> StudyTerms:
    return StudyTerms(
        task=task.name,
        task_digest=task.digest(),
        reference=reference,
        dataset=data.name,
        data_digest=data.digest,
        space=task.space.to_json(),
        objective=task.objective,
        protocol=task.protocol,
        seed=seed,
    )


def finished_study(
    own: Own,
    settings: Settings,
    name: str = "own",
    *,
    search: Search = "grid",
    trials: int | None = None,
    candidates: Iterable[Candidate] | None = None,
) -> StudyRecord:
    """A study of the task's whole grid, or of these candidates, run here without Ray."""
    settings.prepare()
    task = own.task
    data = data_of(task)
    if candidates is None:
        candidates = [Candidate(params, 0) for params in task.space.grid()]
    with Study.hold(name, settings) as study:
        study.begin(terms_of(task, own.reference, data))
        study.note_launch(Launch(search, trials, "host", time.time(), None, {"keras": "3.15"}))
        for one in candidates:
            trial = study.start(study.add(task.space, one.params, one.seed))
            study.finish(trial, run_trial(task, one.params, data, seed=one.seed), cpus=1.0)
        return study.record()


@contextmanager
def one_cluster() -> Iterator[None]:
    """Ray, started once for all that runs in the block; nothing of that is delivered to MLflow."""
    from tune_jobs.execution import cluster

    with pytest.MonkeyPatch.context() as patch, cluster.cluster(None):
        patch.setattr(cluster, "cluster", lambda address: nullcontext())
        deliver_nothing(patch)
        yield


def deliver_nothing(patch: pytest.MonkeyPatch) -> None:
    """What runs delivers nothing to MLflow."""
    delivered = SimpleNamespace(sweep_ended=lambda: None, is_complete=lambda: True)
    patch.setattr(delivery, "alongside", lambda *_: nullcontext(delivered))


def kill_family(process: subprocess.Popen[Any]) -> None:
    """SIGKILL to a process and all that it started."""
    family: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    process.communicate()
    psutil.wait_procs(family)


def ended(process: subprocess.Popen[str], patience_s: float = PATIENCE_S) -> tuple[int, str, str]:
    """The exit code of a command, what it printed and what it said."""
    stdout, stderr = process.communicate(timeout=patience_s)
    return process.returncode, stdout, stderr


def refusal(stderr: str) -> str:
    """The last line that a command said, with nothing before it but how its sweep went: no traceback above all."""
    *others, line = stderr.splitlines()
    expected = ("starting Ray", "study ", "[", "the storage ")
    assert line.startswith("tune-jobs: "), stderr
    assert all(other.startswith(expected) for other in others), stderr
    return line


@dataclass(frozen=True)
class Logged:
    """What MLflow has of a study: its parents and its trials' runs, by number."""

    parents: tuple[Any, ...]
    trials: tuple[Any, ...]
    points: dict[str, dict[str, list[tuple[int, float]]]]

    def run(self, number: int) -> Any:
        (found,) = (run for run in self.trials if run.info.run_name.endswith(f"-{number:04d}"))
        return found

    def curve(self, number: int, name: str) -> list[tuple[int, float]]:
        return self.points[self.run(number).info.run_id].get(name, [])

    @property
    def facts(self) -> Any:
        """All there is to know but the times of MLflow's own clock."""
        runs = sorted(self.trials, key=lambda run: run.info.run_name)
        return [
            {
                "name": run.info.run_name,
                "ended": (run.info.status, run.info.start_time, run.info.end_time),
                "params": run.data.params,
                "tags": run.data.tags,
                "points": self.points[run.info.run_id],
                "data": [found.dataset.digest for found in run.inputs.dataset_inputs],
            }
            for run in runs
        ]


def logged(settings: Settings, record: StudyRecord) -> Logged:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=settings.tracking_uri)
    experiment = client.get_experiment_by_name(record.terms.task)
    assert experiment is not None
    parents = client.search_runs([experiment.experiment_id], f"tags.`mlflow.tune_jobs.study` = '{record.identity}'")
    trials = [
        run
        for parent in parents
        for run in client.search_runs(
            [experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'", max_results=1000
        )
    ]
    points = {
        run.info.run_id: {
            name: sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, name))
            for name in run.data.metrics
        }
        for run in trials
    }
    return Logged(tuple(parents), tuple(trials), points)


def command_line(settings: Settings, *words: str, before: str = "", **variables: str) -> subprocess.Popen[str]:
    """`tune-jobs` as a process of its own group, as a terminal starts it, with nothing of ours in its environment;
    `before` is what its Python runs first."""
    ours = ("RAY_", "TUNE_", "MLFLOW_", "PYTEST_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {"TUNE_JOBS_HOME": str(settings.home), "MLFLOW_TRACKING_URI": settings.tracking_uri} | variables
    if settings.storage is not None:
        environment["TUNE_JOBS_STORAGE"] = settings.storage
    start = ["-c", f"{before}\nfrom tune_jobs.cli import main\nmain()"] if before else ["-m", "tune_jobs"]
    command = [sys.executable, *start, *words]
    pipe = subprocess.PIPE
    settings.home.parent.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        command, env=environment, stdout=pipe, stderr=pipe, text=True, process_group=0, cwd=settings.home.parent
    )


def until(
    is_so: Callable[[], Any],
    what: str,
    process: subprocess.Popen[Any] | None = None,
    patience_s: float = PATIENCE_S,
) -> None:
    """Waits for a condition; a process that ends meanwhile is an error."""
    deadline = time.monotonic() + patience_s
    while not is_so():
        if process is not None and process.poll() is not None:
            assert is_so(), f"it ended with {process.returncode} before {what}: {process.communicate()}"
            return
        assert time.monotonic() < deadline, f"waited {patience_s:.0f} s for {what}"
        time.sleep(0.05)

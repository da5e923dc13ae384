"""Small sweeps for tests: a task file whose training does as it is told, and the command line as a process.

The task has its own training loop, so that no trial imports TensorFlow, and it writes down what it was asked to train.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from subprocess import Popen
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tune_jobs import datasets
from tune_jobs.datasets import TrainingData
from tune_jobs.records.constraints import Constraint
from tune_jobs.records.studies import Launch, Search, StudyRecord, StudyTerms
from tune_jobs.search.candidates import Candidate
from tune_jobs.search_spaces import Task, catalog
from tune_jobs.search_spaces.task import NO_DATA
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.tracking import delivery, store
from tune_jobs.training.runs import run_trial

if TYPE_CHECKING:
    from tests.support.warm import Command, WarmServer

PATIENCE_S = 240.0  # before a wait is given up; the machine may be busy

PROGRAMS = Path(__file__).parent / "programs"  # what tests run in other processes, or copy
WITHOUT_MLFLOW = (PROGRAMS / "without_mlflow.py").read_text(encoding="utf-8")  # for `before` of a command

_SETTINGS = """

FOLDER = Path({folder!r})
OWN = replace(OWN, name={name!r}, dataset={dataset}, space={space}, baseline={baseline!r})
"""  # the last lines of a task file


@dataclass(frozen=True)
class Own:
    """A task file in a folder, and what its trials wrote down."""

    file: Path

    @classmethod
    def copy(cls, program: str, folder: Path) -> Own:
        """Copy a task among the programs into `folder`, which its trials then write to."""
        folder.mkdir(parents=True, exist_ok=True)
        own = cls(folder / program)
        own.file.write_text(f"{(PROGRAMS / program).read_text(encoding='utf-8')}\n\nFOLDER = Path({str(folder)!r})\n")
        return own

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
    """Write the acting task into `folder`, with the space `acts` times `width` and `more`.

    `before` are lines at the top of the file. `width`, `more` and `dataset` are expressions in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    acts = acts or ("fine",)
    space = f"Space(act=Choice(*{acts!r}), width={width}, {more})"
    baseline = {"act": acts[0], "width": 1.0 if width.startswith("Float") else 1, **(more_baseline or {"depth": 1})}
    settings = _SETTINGS.format(folder=str(folder), space=space, baseline=baseline, name=name, dataset=dataset)
    own = Own(folder / "own_task.py")
    own.file.write_text(before + (PROGRAMS / "acting_task.py").read_text(encoding="utf-8") + settings, encoding="utf-8")
    return own


def data_of(task: Task) -> TrainingData:
    assert task.dataset is not None
    return datasets.load(task.dataset, data_dir=Path("nowhere"), validation=task.protocol.validation).training


def terms_of(task: Task, reference: str, data: TrainingData | None, seed: int = 0) -> StudyTerms:
    return StudyTerms(
        task=task.name,
        task_digest=task.digest(),
        reference=reference,
        dataset=NO_DATA if data is None else data.name,
        data_digest=NO_DATA if data is None else data.digest,
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
    constraints: tuple[Constraint, ...] = (),
) -> StudyRecord:
    """A study of the task's whole grid, or of these candidates, run here without Ray."""
    settings.prepare()
    task = own.task
    data = None if task.dataset is None else data_of(task)
    if candidates is None:
        candidates = [Candidate(params, 0) for params in task.space.grid()]
    with Study.hold(name, settings) as study:
        study.begin(terms_of(task, own.reference, data))
        launch = Launch(search, trials, "host", time.time(), None, {"keras": "3.15"}, constraints=constraints)
        study.note_launch(launch)
        for one in candidates:
            trial = study.start(study.add(task.space, one.params, one.seed))
            result = run_trial(task, one.params, data, seed=one.seed, constraints=constraints)
            study.finish(trial, result, cpus=1.0)
        return study.record()


@dataclass(frozen=True)
class SharedRay:
    """A cluster of this process that all tests share: as many CPUs as the machine has, no GPU."""

    address: str
    token_file: Path
    _warm: WarmServer

    @property
    def words(self) -> tuple[str, str]:
        """What a command says to run here."""
        return "--address", self.address

    @property
    def client(self) -> dict[str, str]:
        """The environment of another process that may come in."""
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token_file)}

    def command_line(self, settings: Settings, *words: str, before: str = "", **variables: str) -> Command:
        """Start `tune-jobs` as a process that runs on this cluster and delivers nothing to MLflow."""
        before += WITHOUT_MLFLOW
        return self._warm.command_line(settings, *words, *self.words, before=before, **(self.client | variables))


@contextmanager
def shared_ray(warm: WarmServer) -> Iterator[SharedRay]:
    """Start Ray in this process until the block ends."""
    import ray

    from tune_jobs.execution import cluster, tokens

    with cluster.connection(None):
        yield SharedRay(ray.get_runtime_context().gcs_address, tokens.private_folder() / "token", warm)


@contextmanager
def sweeps_here() -> Iterator[None]:
    """Let what this process launches run on the Ray that it has, and deliver nothing to MLflow."""
    from tune_jobs.execution import cluster, worker_forks

    def connected(address: str | None, workers: worker_forks.WorkerKind = worker_forks.PLAIN) -> Any:
        return nullcontext(worker_forks.expect(workers))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "connection", connected)
        deliver_nothing(patch)
        yield


def deliver_nothing(patch: pytest.MonkeyPatch) -> None:
    """What runs delivers nothing to MLflow."""
    delivered = SimpleNamespace(sweep_began=lambda: None, sweep_ended=lambda: None, wait=lambda: True)
    patch.setattr(delivery, "alongside", lambda *_: nullcontext(delivered))


def deliver_here(patch: pytest.MonkeyPatch) -> None:
    """What is launched delivers to MLflow in this process, once a command waits for it."""

    def alongside(name: str, settings: Settings) -> Any:
        deliver = partial(delivery.deliver_once, name, settings)
        return nullcontext(
            SimpleNamespace(sweep_began=lambda: None, sweep_ended=lambda: None, wait=lambda: bool(deliver()))
        )

    patch.setattr(delivery, "alongside", alongside)


def kill_family(process: Popen[Any] | Command) -> None:
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


def ended(process: Popen[str] | Command, patience_s: float = PATIENCE_S) -> tuple[int, str, str]:
    """The exit code of a command, what it printed and what it said."""
    stdout, stderr = process.communicate(timeout=patience_s)
    return process.returncode, stdout, stderr


def called(settings: Settings, *words: str, **variables: str) -> tuple[int, str, str]:
    """Run `tune-jobs` in this process: the exit code, standard output and standard error.

    Take it for commands of which no process matters. Starting one takes seconds.
    """
    if words[0] == "train" and "tensorflow" in sys.modules:  # it sets threads, which no process can change afterwards
        return ended(command_line(settings, *words, **variables))
    return called_here(settings, *words, **variables)


def called_here(settings: Settings, *words: str, **variables: str) -> tuple[int, str, str]:
    """Do as `called`, also with a command that would train in this process: one that is refused before."""
    from tune_jobs import cli

    out, err = io.StringIO(), io.StringIO()
    with _environment(variables_of(settings) | variables), redirect_stdout(out), redirect_stderr(err):
        code = cli.run(words)
    return code, out.getvalue(), err.getvalue()


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """These variables and none of ours until the block ends, whatever is set in it; then as before."""
    before = dict(os.environ)
    for name in [name for name in before if name.startswith(("TUNE_JOBS_", "MLFLOW_"))]:
        del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in [name for name, value in os.environ.items() if before.get(name) != value]:
            del os.environ[name]
        os.environ.update({name: value for name, value in before.items() if name not in os.environ})


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

    client = MlflowClient(tracking_uri=store.address(settings))
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    parents = client.search_runs(experiments, f"tags.`mlflow.tune_jobs.study` = '{record.identity}'")
    nested = (
        client.search_runs(experiments, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'", max_results=1000)
        for parent in parents
    )
    trials = [run for runs in nested for run in runs if _shows_a_trial(run.data.tags)]
    points = {
        run.info.run_id: {
            name: sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, name))
            for name in run.data.metrics
        }
        for run in trials
    }
    return Logged(tuple(parents), tuple(trials), points)


def _shows_a_trial(tags: Mapping[str, str]) -> bool:
    """People nest runs of theirs under ours, and log to runs that show nothing any more."""
    return "mlflow.tune_jobs.trial" in tags and "mlflow.tune_jobs.set_aside" not in tags


def command_line(settings: Settings, *words: str, before: str = "", **variables: str) -> Popen[str]:
    """Start `tune-jobs` as a process of its own group, as a terminal does, with nothing of ours in its environment.

    `before` is what its Python runs first.
    """
    start = ["-c", f"{before}\nfrom tune_jobs.cli import main\nmain()"] if before else ["-m", "tune_jobs"]
    settings.home.parent.mkdir(parents=True, exist_ok=True)
    return Popen(
        [sys.executable, *start, *words],
        env=plain_environment() | variables_of(settings) | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        cwd=settings.home.parent,
    )


def plain_environment() -> dict[str, str]:
    """Return what is set here without what concerns us."""
    ours = ("RAY_", "TUNE_", "MLFLOW_", "PYTEST_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def variables_of(settings: Settings) -> dict[str, str]:
    storage = {} if settings.storage is None else {"TUNE_JOBS_STORAGE": settings.storage}
    known = {"TUNE_JOBS_HOME": str(settings.home), "MLFLOW_TRACKING_URI": settings.tracking_uri}
    return known | {"TUNE_JOBS_REPORT": "no"} | storage


def until(
    is_so: Callable[[], Any],
    what: str,
    process: Popen[Any] | Command | None = None,
    patience_s: float = PATIENCE_S,
    log: Path | None = None,
) -> None:
    """Wait for a condition; a process that ends meanwhile is an error, with what it printed or wrote to `log`.

    What takes long to look at is looked at less often, so that others have the processor.
    """
    deadline = time.monotonic() + patience_s
    while True:
        began = time.process_time()
        if is_so():
            return
        if process is not None and process.poll() is not None:
            printed = process.communicate() if log is None else log.read_text(encoding="utf-8")
            assert is_so(), f"it ended with {process.returncode} before {what}: {printed}"
            return
        assert time.monotonic() < deadline, f"waited {patience_s:.0f} s for {what}"
        time.sleep(max(0.05, 5 * (time.process_time() - began)))

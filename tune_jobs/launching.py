"""The main job: from a task's name to a study with its trials run, its MLflow view delivered and its exports written.

Everything that can be refused is refused here, before Ray starts and before anything is written.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from search_spaces import catalog
from search_spaces.domains import Space
from search_spaces.task import Task
from tune_jobs import datasets, delivery, exports, sampling, tracking
from tune_jobs.datasets import TrainingData
from tune_jobs.delivery import Delivery
from tune_jobs.interruption import Interruption, interruptible
from tune_jobs.progress import Progress
from tune_jobs.records import Launch, Search, StudyRecord, StudyTerms
from tune_jobs.settings import Settings, prepare_ray
from tune_jobs.study import Study

DEFAULT_SEARCH: Search = "tpe"
DEFAULT_TRIALS = 20  # of a search that could go on for ever; a grid runs to its end
_PACKAGES = ("tune-jobs", "ray", "tensorflow", "keras", "optuna", "mlflow", "numpy")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What a user asked for. None is 'not said': the study's own value where there is one already, else the default."""

    task: str
    study: str | None = None
    trials: int | None = None
    search: Search | None = None
    epochs: int | None = None
    seed: int | None = None
    time_limit_s: float | None = None
    max_concurrent: int | None = None
    cpus_per_trial: float = 1.0
    gpus_per_trial: float | None = None  # one where there are GPUs
    narrowed: Mapping[str, str] = field(default_factory=dict)
    opened: tuple[str, ...] = ()
    address: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How a launch ended."""

    study: StudyRecord
    exports_dir: Path
    is_delivered: bool  # whether MLflow has everything
    signal: int | None  # that ended it early


@dataclass(frozen=True)
class _Sweep:
    """What a request means for this study."""

    task: Task  # with the study's protocol
    task_digest: str  # of the task as declared
    space: Space  # as narrowed
    search: Search
    trials: int | None
    seed: int
    data: TrainingData


def launch(request: Request, settings: Settings, say: Say) -> Outcome:
    """Begins or continues a study and runs it until its trials are done, its time is up or a signal ends it.

    Raises:
        UserError, TaskError, SpaceError: for what the user has to mend; nothing was run then.
    """
    task = catalog.find(request.task)
    name = request.study or task.name
    settings.prepare()
    tracking.check(settings)
    with Study.hold(name, settings) as study:
        sweep = _resolve(task, request, study.record() if study.has_begun else None, settings)
        study.begin(_terms(sweep, request.task))
        study.note_launch(_note(sweep))
        with interruptible(say) as interruption, delivery.alongside(name, settings) as delivered:
            _run(study, sweep, request, interruption, delivered, say)
            record = study.record()
            exports.write_all(record, settings.exports_dir(name))
            say("delivering to MLflow …")
            is_delivered = delivered.is_complete()
        return Outcome(record, settings.exports_dir(name), is_delivered, interruption.signal)


def _run(
    study: Study, sweep: _Sweep, request: Request, interruption: Interruption, delivered: Delivery, say: Say
) -> None:
    unfinished = study.unfinished()
    trials = study.record().trials
    if unfinished:
        say(f"study {study.name}: {len(unfinished)} of {len(trials)} trials did not finish and run again")
    elif sweep.trials is not None and len(trials) >= sweep.trials:
        say(f"study {study.name} has its {len(trials)} trials; --trials asks for more")
        return
    elif sweep.space.size is not None and len({trial.params_id for trial in trials}) >= sweep.space.size:
        say(f"study {study.name} has tried all {sweep.space.size} configurations of its space")
        return
    prepare_ray(is_own_cluster=request.address is None)
    from tune_jobs.execution import cluster

    say("starting Ray …")
    with cluster.cluster(request.address):
        from tune_jobs.execution import driver, worker

        slots = cluster.slots(request.cpus_per_trial, request.gpus_per_trial, request.max_concurrent)
        progress = _progress(study, sweep, interruption)
        sampler = sampling.sampler(sweep.search, sweep.space, sweep.task.objective, sweep.seed, trials)
        plan = driver.Plan(sweep.space, sweep.seed, slots, sweep.trials, request.time_limit_s)
        job = worker.Job(worker.TaskSource.of(request.task), sweep.task.protocol, sweep.data, request.cpus_per_trial)
        with progress.shown():
            driver.run_sweep(study, sampler, plan, job, progress, interruption)
        delivered.sweep_ended()  # the rest is delivered while Ray goes down


def _resolve(task: Task, request: Request, begun: StudyRecord | None, settings: Settings) -> _Sweep:
    """Fills in what was not said: from the study where it was begun already, else from the task and the defaults."""
    search = request.search or (begun.launch.search if begun and begun.launch else DEFAULT_SEARCH)
    trials = request.trials or (begun.launch.trials if begun and begun.launch else None)
    if trials is None and search != "grid":
        trials = DEFAULT_TRIALS
    space = task.space if begun is None else Space.from_json(begun.terms.space)
    if begun is None or request.narrowed or request.opened:
        space = task.space.open(request.opened).narrow(request.narrowed)
    sampling.check(search, space)
    protocol = task.protocol if begun is None else begun.terms.protocol
    if request.epochs is not None:
        protocol = replace(protocol, epochs=request.epochs)
    seed = request.seed if request.seed is not None else (begun.terms.seed if begun else 0)
    data = datasets.load(task.dataset, data_dir=settings.data_dir, validation=protocol.validation)
    return _Sweep(replace(task, protocol=protocol), task.digest(), space, search, trials, seed, data.training)


def _terms(sweep: _Sweep, reference: str) -> StudyTerms:
    return StudyTerms(
        task=sweep.task.name,
        task_digest=sweep.task_digest,
        reference=_lasting(reference),
        dataset=sweep.data.name,
        data_digest=sweep.data.digest,
        space=sweep.space.to_json(),
        objective=sweep.task.objective,
        protocol=sweep.task.protocol,
        seed=sweep.seed,
    )


def _lasting(reference: str) -> str:
    """The reference as it is found from any folder."""
    file, attribute = catalog.split(reference)
    if file is None:
        return reference
    return str(file.resolve()) if attribute is None else f"{file.resolve()}:{attribute}"


def _note(sweep: _Sweep) -> Launch:
    return Launch(sweep.search, sweep.trials, socket.gethostname(), time.time(), _commit(), versions())


def versions() -> dict[str, str]:
    """The installed versions of what a score depends on."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a checkout that was not installed
            continue
    return found


def _commit() -> str | None:
    """The commit of the working folder, where it is one of git's."""
    git = shutil.which("git")
    if git is None:
        return None
    answer = subprocess.run([git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


def _progress(study: Study, sweep: _Sweep, interruption: Interruption) -> Progress:
    ended = tuple(trial for trial in study.record().trials if trial.is_finished)
    total = sweep.space.size if sweep.trials is None else sweep.trials
    task = sweep.task
    return Progress(study.name, task.objective, task.protocol.epochs, total, ended, sweep.space.varied(), interruption)

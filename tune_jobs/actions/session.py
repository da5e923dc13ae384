"""Runs trials of a study that is held: starts Ray, lets a sampler propose, delivers to MLflow, writes the exports.

Whoever calls it has decided what is to be run: a search (`launching.py`), further seeds (`replication.py`), another
task's configurations (`transferring.py`).
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.task import Objective, Task
from tune_jobs.tracking import delivery
from tune_jobs.live import drains
from tune_jobs import exports
from tune_jobs.search.budgets import Bounded
from tune_jobs.search.candidates import Sampler
from tune_jobs.training.checkpoints import CheckpointFolder
from tune_jobs.datasets import TrainingData
from tune_jobs.errors import UserError
from tune_jobs.live.signals import Interruption, interruptible
from tune_jobs.live.progress import Progress
from tune_jobs.records.studies import Launch, Search, StudyRecord, StudyTerms
from tune_jobs.search.schedulers import Scheduler
from tune_jobs.settings import Settings, prepare_ray
from tune_jobs.study.study import Study

if TYPE_CHECKING:
    from tune_jobs.execution.packing import Packing
    from tune_jobs.execution.rules import Trouble

_PACKAGES = ("tune-jobs", "ray", "tensorflow", "keras", "optuna", "mlflow", "numpy")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Resources:
    """Where trials run, how many at once and for how long."""

    time_limit_s: float | None = None
    max_concurrent: int | None = None
    cpus_per_trial: float = 1.0
    gpus_per_trial: float | Literal["auto"] | None = None  # one where there are GPUs; auto measures what fits
    trial_limit_s: float | None = None  # of one trial on its worker
    max_retries: int = 3  # of a trial whose worker is lost
    checkpoint_every: int | None = None  # epochs
    address: str | None = None  # of a running Ray cluster; None starts one of our own
    keep_weights: bool = False  # of every trial, in the home folder


@dataclass(frozen=True)
class Work:
    """What the trials of a study are about."""

    task: Task  # with the study's protocol and objective
    task_digest: str  # of the task as declared
    reference: str
    space: AnySpace  # as narrowed
    seed: int
    data: TrainingData
    further: tuple[Objective, ...] = ()  # objectives after the first

    @property
    def terms(self) -> StudyTerms:
        """What a study of this work is begun on."""
        return StudyTerms(
            task=self.task.name,
            task_digest=self.task_digest,
            reference=_lasting(self.reference),
            dataset=self.data.name,
            data_digest=self.data.digest,
            space=self.space.to_json(),
            objective=self.task.objective,
            protocol=self.task.protocol,
            seed=self.seed,
            further_objectives=self.further,
        )


@dataclass(frozen=True)
class Plan:
    """Who proposes and how far it goes: `trials` searched ones in all, and `total` trials of any kind, where known."""

    sampler: Sampler
    trials: int | None
    total: int | None
    scheduler: Scheduler | None = None
    bounded: Bounded | None = None  # the sampler again, where a budget ends it
    breed_every: int | None = None  # epochs, where the trials are a population


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    study: StudyRecord
    exports_dir: Path
    is_delivered: bool  # whether MLflow has everything
    signal: int | None  # that ended it early
    trouble: Trouble | None = None  # of the task's, that ended it early


def run(study: Study, work: Work, plan: Plan | None, resources: Resources, settings: Settings, say: Say) -> Outcome:
    """Runs the study's unfinished trials and what the plan proposes until it is fulfilled, late or interrupted.

    Without a plan nothing is trained: what is there is delivered and exported.
    """
    if plan is not None:
        check(work.task, resources, is_bred=plan.breed_every is not None)
        if plan.breed_every is None and any(trial.course for trial in study.unfinished()):
            raise UserError(f"a population of study {study.name!r} is under way: launch it with --scheduler pbt first")
    trouble = None
    with interruptible(say) as interruption, delivery.alongside(study.name, settings) as delivered:
        if plan is not None:
            trouble = _train(study, work, plan, resources, settings, interruption, delivered.sweep_ended, say)
        record = study.record()
        exports.write_all(record, settings.exports_dir(study.name))
        say("delivering to MLflow …")
        is_delivered = delivered.is_complete()
    return Outcome(record, settings.exports_dir(study.name), is_delivered, interruption.signal, trouble)


def check(task: Task, resources: Resources, *, is_bred: bool) -> None:
    """Whether trials of a task can be run so; `is_bred` is whether they are a population.

    Raises:
        UserError: if not; the message says what else to ask for.
    """
    asked = "--scheduler pbt" if is_bred else "--checkpoint-every" if resources.checkpoint_every is not None else None
    if asked and task.train is not None:
        raise UserError(
            f"task {task.name!r} has a training loop of its own, which cannot be taken up in the middle: "
            f"leave out {asked}"
        )
    if is_bred and resources.checkpoint_every is not None:
        raise UserError("a population keeps checkpoints of its own: leave out --checkpoint-every")


def _train(
    study: Study,
    work: Work,
    plan: Plan,
    resources: Resources,
    settings: Settings,
    interruption: Interruption,
    ended: Callable[[], None],
    say: Say,
) -> Trouble | None:
    prepare_ray(is_own_cluster=resources.address is None)
    from tune_jobs.execution import cluster

    say("starting Ray …")
    with cluster.cluster(resources.address):
        from tune_jobs.execution import populations, driver, keeper, placement, rules, sweep, worker

        drained = drains.Watch(settings.drained_file(study.name), say)
        packed = placement.Placement(_packing(resources), drained)
        if drained().spots:
            say(f"drained: {drained()}; `tune-jobs undrain {study.name}` gives it back")
        limits = rules.Limits(resources.trial_limit_s, resources.max_retries)
        extent = sweep.Extent(work.space, plan.trials, resources.time_limit_s, limits)
        source = worker.TaskSource.of(work.reference)
        keep = keeper.start_weights(settings.weights_dir(study.identity)) if resources.keep_weights else None
        checkpoints = CheckpointFolder(settings.checkpoints_dir(study.identity))
        every, protocol, bred = resources.checkpoint_every, work.task.protocol, None
        if plan.breed_every is not None:
            bred = populations.Breeding(study, work.terms, checkpoints, plan.breed_every, work.space)
            protocol = replace(protocol, patience=None)  # what is behind goes on from another's weights
        needs_keeper = every or bred or checkpoints.has_any
        kept = keeper.start(settings.checkpoints_dir(study.identity)) if needs_keeper else None
        aims = work.terms.objectives
        is_measured = packed.slots.gpus > 0 or resources.gpus_per_trial == "auto"
        job = worker.Job(source, protocol, aims, work.data, resources.cpus_per_trial, keep, kept, every, is_measured)
        progress = _progress(study, work, plan, resources, settings, interruption)
        running = sweep.Sweep(
            study, plan.sampler, plan.scheduler, extent, packed, job.cpus, progress, interruption, checkpoints, bred
        )
        with progress.shown():
            trouble = driver.run_sweep(running, job)
        ended()  # the rest is delivered while Ray goes down
    return trouble


def _packing(resources: Resources) -> Packing:
    """How many trials share a device of the cluster that is connected to.

    Raises:
        SettingsError: if no node could ever run a single trial.
    """
    from tune_jobs.execution import cluster
    from tune_jobs.execution.packing import Packing, share

    cpus, asked, most = resources.cpus_per_trial, resources.gpus_per_trial, resources.max_concurrent
    one = cluster.slots(cpus, None if asked == "auto" else asked, most)
    if asked != "auto":
        a_device = int(1 / one.gpus + 1e-9) if 0 < one.gpus < 1 else 1
        if a_device == 1:
            return Packing.fixed(one)
        return Packing(lambda n: one if n == a_device else cluster.slots(cpus, share(n), most), a_device)
    if one.gpus:
        return Packing(lambda n: cluster.slots(cpus, share(n), most), measures=True)
    return Packing(lambda n: cluster.slots(cpus * share(n), 0, most), measures=True, sharing=one.count)


def _progress(
    study: Study, work: Work, plan: Plan, resources: Resources, settings: Settings, interruption: Interruption
) -> Progress:
    return Progress(
        study.name,
        work.task.objective,
        work.task.protocol.epochs,
        plan.total,
        tuple(trial for trial in study.record().trials if trial.is_finished),
        work.space.varied(),
        interruption,
        settings.activity_file(study.name),
        plan.bounded,
        resources.time_limit_s,
    )


def _lasting(reference: str) -> str:
    """The reference as it is found from any folder."""
    file, attribute = catalog.split(reference)
    if file is None:
        return reference
    return str(file.resolve()) if attribute is None else f"{file.resolve()}:{attribute}"


def note(search: Search, trials: int | None) -> Launch:
    """How a study is run from now on, by whom it is asked here; with no scheduler and no budget but the trials."""
    return Launch(search, trials, socket.gethostname(), time.time(), _commit(), versions())


def versions() -> dict[str, str]:
    """The installed versions of what a score depends on."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a checkout that was not installed
            continue
    return found


def changed_versions(last: Launch | None) -> str:
    """The packages that are not as they were at the last launch, in words."""
    before, now = {} if last is None else last.versions, versions()
    return ", ".join(
        f"{package} {old}, which is now {now[package]}"
        for package, old in before.items()
        if package in now and now[package] != old
    )


def _commit() -> str | None:
    """The commit of the working folder, where it is one of git's."""
    git = shutil.which("git")
    if git is None:
        return None
    answer = subprocess.run([git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None

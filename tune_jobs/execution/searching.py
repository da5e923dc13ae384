"""Runs a sweep on Ray: the door through which a search, replicates and retries come in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from tune_jobs.execution.plan import Plan, Resources, StudyInputs
from tune_jobs.live import drains
from tune_jobs.live.progress import Progress
from tune_jobs.live.signals import Interruption
from tune_jobs.settings import Settings, prepare_ray
from tune_jobs.study.study import Study
from tune_jobs.training.checkpoints import CheckpointFolder
from tune_jobs.words import Say

if TYPE_CHECKING:
    from tune_jobs.execution.packing import Packing
    from tune_jobs.execution.rules import TaskFailure


def run_trials(
    study: Study,
    work: StudyInputs,
    plan: Plan,
    resources: Resources,
    settings: Settings,
    interruption: Interruption,
    ended: Callable[[], None],
    say: Say,
) -> TaskFailure | None:
    prepare_ray(is_own_cluster=resources.address is None)
    from tune_jobs.execution import cluster

    say("starting Ray …")
    with cluster.cluster(resources.address):
        from tune_jobs.execution import driver, keeper, placement, populations, rules, sweep, worker

        drained = drains.Watch(settings.drained_file(study.name), say)
        packed = placement.Placement(_packing(resources), drained)
        if drained().spots:
            say(f"drained: {drained()}; `tune-jobs undrain {study.name}` gives it back")
        limits = rules.Limits(resources.trial_limit_s, resources.max_retries)
        extent = sweep.SweepLimits(work.space, plan.trials, resources.time_limit_s, limits)
        source = worker.TaskSource.of(work.reference)
        keep = keeper.start_weights(settings.weights_dir(study.identity)) if resources.keep_weights else None
        checkpoints = CheckpointFolder(settings.checkpoints_dir(study.identity))
        every, protocol, bred = resources.checkpoint_every, work.task.protocol, None
        if plan.compare_every is not None:
            bred = populations.Population(study, work.terms, checkpoints, plan.compare_every, work.space)
            protocol = replace(protocol, patience=None)  # what is behind goes on from another's weights
        needs_keeper = every or bred or checkpoints.has_any
        kept = keeper.start(settings.checkpoints_dir(study.identity)) if needs_keeper else None
        aims = work.terms.objectives
        is_measured = packed.slots.gpus > 0 or resources.gpus_per_trial == "auto"
        job = worker.SweepJob(
            source, protocol, aims, work.data, resources.cpus_per_trial, keep, kept, every, is_measured
        )
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
    study: Study, work: StudyInputs, plan: Plan, resources: Resources, settings: Settings, interruption: Interruption
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

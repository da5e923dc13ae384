"""The way onto Ray for searches, replicates and retries: build a sweep of a study that is held, and run it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from tune_jobs.execution.plan import Plan, Resources, StudyRun
from tune_jobs.live import drains
from tune_jobs.live.progress import Progress
from tune_jobs.settings import prepare_ray
from tune_jobs.training.checkpoints import CheckpointFolder

if TYPE_CHECKING:
    from tune_jobs.execution.packing import Packing
    from tune_jobs.execution.rules import TaskFailure


def run_trials(run: StudyRun, plan: Plan, ended: Callable[[], None]) -> TaskFailure | None:
    """Run the study's unfinished trials and what the plan proposes; call `ended` when nothing more is trained.

    Return the failure of the task's own that ended the sweep early, if one did.
    """
    study, inputs, resources, settings = run.study, run.inputs, run.resources, run.settings
    prepare_ray(is_own_cluster=resources.address is None)
    from tune_jobs.execution import cluster

    run.say("starting Ray …")
    with cluster.cluster(resources.address):
        from tune_jobs.execution import driver, keeper, placement, populations, rules, sweep, worker

        drained = drains.Watch(settings.drained_file(study.name), run.say)
        packed = placement.Placement(_packing(resources), drained)
        if drained().spots:
            run.say(f"drained: {drained()}; `tune-jobs undrain {study.name}` gives it back")
        limits = rules.Limits(resources.trial_limit_s, resources.max_retries)
        extent = sweep.SweepLimits(inputs.space, plan.trials, resources.time_limit_s, limits)
        source = worker.TaskSource.of(inputs.reference)
        keep = keeper.start_weights(settings.weights_dir(study.identity)) if resources.keep_weights else None
        checkpoints = CheckpointFolder(settings.checkpoints_dir(study.identity))
        every, protocol, bred = resources.checkpoint_every, inputs.task.protocol, None
        if plan.compare_every is not None:
            bred = populations.Population(study, inputs.terms, checkpoints, plan.compare_every, inputs.space)
            protocol = replace(protocol, patience=None)  # what is behind goes on from another's weights
        needs_keeper = every or bred or checkpoints.has_any
        kept = keeper.start(settings.checkpoints_dir(study.identity)) if needs_keeper else None
        aims = inputs.terms.objectives
        is_measured = packed.slots.gpus > 0 or resources.gpus_per_trial == "auto"
        job = worker.SweepJob(
            source, protocol, aims, inputs.data, resources.cpus_per_trial, keep, kept, every, is_measured
        )
        progress = _progress(run, plan)
        running = sweep.Sweep(
            study, plan.sampler, plan.scheduler, extent, packed, job.cpus, progress, run.interruption, checkpoints, bred
        )
        with progress.shown():
            failure = driver.run_sweep(running, job)
        ended()  # the rest is delivered while Ray goes down
    return failure


def _packing(resources: Resources) -> Packing:
    """Return how many trials share a device of the connected cluster.

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


def _progress(run: StudyRun, plan: Plan) -> Progress:
    finished = tuple(trial for trial in run.study.record().trials if trial.is_finished)
    return Progress(
        run.study.name,
        run.inputs.task.objective,
        run.inputs.task.protocol.epochs,
        plan.total,
        finished,
        run.inputs.space.varied(),
        run.interruption,
        run.settings.activity_file(run.study.name),
        plan.bounded,
        run.resources.time_limit_s,
    )

"""The way onto Ray for searches, replicates and retries: build a sweep of a study that is held, and run it."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from tune_jobs.execution.kept_weights import KeptWeights
from tune_jobs.execution.plan import Beside, Plan, Resources, StudyRun
from tune_jobs.execution.ray_variables import prepare_ray
from tune_jobs.execution.task_source import TaskSource
from tune_jobs.live import drains
from tune_jobs.live.news import News
from tune_jobs.live.progress import Progress, SweepOutline
from tune_jobs.search_spaces.scalars import params_id
from tune_jobs.search_spaces.task import Task
from tune_jobs.training.checkpoints import CheckpointFolder
from tune_jobs.words import Say

if TYPE_CHECKING:
    from tune_jobs.execution.packing import Packing
    from tune_jobs.execution.populations import Population
    from tune_jobs.execution.rules import Failures
    from tune_jobs.execution.sweep import Sweep
    from tune_jobs.execution.trial_queue import SearchStrategy
    from tune_jobs.execution.worker import SweepContext


def run_trials(run: StudyRun, plan: Plan, beside: Beside, news: News) -> Failures:
    """Run the study's unfinished trials and what the plan proposes.

    Return what went wrong with the trials.
    """
    study, inputs, resources, settings = run.study, run.inputs, run.resources, run.settings
    source = TaskSource.of(inputs.reference, inputs.with_paths)
    source.say_what_travels(study.name, run.say)
    prepare_ray(is_own_cluster=resources.address is None)
    from tune_jobs.execution import cluster, worker_forks

    run.say("starting Ray …")
    workers = worker_forks.WorkerKind.training(resources.cpus_per_trial, has_own_loop=inputs.task.trains_itself)
    with _importing("ray.tune"), cluster.connection(resources.address, workers):
        from tune_jobs.execution import placement, rules
        from tune_jobs.execution.sweep import Sweep, SweepLimits
        from tune_jobs.execution.trial_ledger import TrialLedger

        drained = drains.Watch(settings.drained_file(study.name), run.say)
        packed = placement.Placement(_packing(resources), drained)
        if drained().spots:
            run.say(f"drained: {drained()}; `tune-jobs undrain {study.name}` gives it back")
        checkpoints = CheckpointFolder(settings.checkpoints_dir(study.identity))
        population = _population(run, plan, checkpoints)
        context = _sweep_context(
            run,
            source,
            packed.packing.max_slots,
            is_population=population is not None,
            keeps_checkpoints=bool(
                _checkpoint_every(run) or population or checkpoints.has_any or _goes_on(inputs.task)
            ),
            measures_devices=packed.slots.gpus > 0 or resources.gpus_per_trial == "auto",
        )
        n_gpus = _gpus_together(packed.slots.gpus, run.say, has_own_loop=context.has_own_loop)
        kept = None if resources.keep_weights else KeptWeights(study, settings.weights_dir(study.identity))
        ledger = TrialLedger(study, checkpoints, context.cpus, n_gpus, kept)
        strategy = _strategy(run, plan, population)
        per_trial = rules.TrialLimits(resources.trial_limit_s, resources.max_retries)
        overtime_s = max(SweepLimits.overtime_s, 2 * context.report_every_s)
        limits = SweepLimits(plan.trials, resources.time_limit_s, per_trial, overtime_s)
        progress = _progress(run, plan, news)
        sweep = Sweep(ledger, strategy, limits, packed, progress, run.interruption)
        failures = _run_in_turn(run, sweep, context, progress, news, beside) if sweep.has_work else rules.Failures()
        if kept is not None:
            kept.prune()
        beside.sweep_ended()  # the rest is delivered while Ray goes down
    return failures


def _strategy(run: StudyRun, plan: Plan, population: Population | None) -> SearchStrategy:
    """Return what decides which trial is next; the task's baseline is not stopped early."""
    from tune_jobs.execution.trial_queue import SearchStrategy

    return SearchStrategy(
        run.inputs.space,
        plan.sampler,
        plan.scheduler,
        population,
        spared=params_id(run.inputs.task.baseline),
        enqueued=plan.enqueued,
        image_rungs=plan.image_rungs,
    )


def _run_in_turn(
    run: StudyRun, sweep: Sweep, context: SweepContext, progress: Progress, news: News, beside: Beside
) -> Failures:
    """Run a sweep once its job has its turn, from which its time counts; nothing if the user stops it before."""
    from tune_jobs.execution import driver, rules, turn_taking

    with turn_taking.turn(run, sweep.placement.slots, lambda: progress.seconds_left) as has_turn:
        if not has_turn:
            return rules.Failures()
        sweep.count_from_now()
        progress.count_from_now()
        news.begin(progress.n_finished)
        beside.sweep_began()
        with progress.shown():
            return driver.run_sweep(sweep, context)


@contextmanager
def _importing(module: str) -> Iterator[None]:
    """Import a module beside what the block does: Ray's start mostly waits for its processes."""
    thread = threading.Thread(target=importlib.import_module, args=(module,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()  # what runs on might look through the modules while it adds to them


def _population(run: StudyRun, plan: Plan, checkpoints: CheckpointFolder) -> Population | None:
    """Return the population that the plan's trials form; None if they are independent."""
    from tune_jobs.execution.populations import Population

    if plan.compare_every is None:
        return None
    return Population(run.study, run.inputs.terms, checkpoints, plan.compare_every, run.inputs.space)


def _sweep_context(
    run: StudyRun,
    source: TaskSource,
    n_workers: int,
    *,
    is_population: bool,
    keeps_checkpoints: bool,
    measures_devices: bool,
) -> SweepContext:
    """Return what all trials share, with the actors that keep files for them."""
    from tune_jobs.execution import keeper, messages, worker

    inputs, resources, identity = run.inputs, run.resources, run.study.identity
    weights_dir, checkpoints_dir = run.settings.weights_dir(identity), run.settings.checkpoints_dir(identity)
    files_dir, protocol = run.settings.trial_files_dir(run.study.name), inputs.task.protocol
    keeps = _keeps_weights(run)
    if is_population:
        protocol = replace(protocol, patience=None)  # a member that is behind continues from another's weights
    return worker.SweepContext(
        source=source,
        protocol=protocol,
        objectives=inputs.terms.objectives,
        constraints=inputs.constraints,
        data=inputs.data,
        cpus=resources.cpus_per_trial,
        weights_keeper=keeper.start_weights(weights_dir, is_asked=bool(resources.keep_weights)) if keeps else None,
        files_keeper=keeper.start_files(files_dir) if "artifacts" in inputs.task.run_takes else None,
        checkpoint_keeper=keeper.start_checkpoints(checkpoints_dir) if keeps_checkpoints else None,
        checkpoint_every=_checkpoint_every(run),
        keeps_checkpoints=_goes_on(inputs.task) and not is_population,
        measures_devices=measures_devices,
        has_own_loop=inputs.task.trains_itself,
        report_every_s=messages.seconds_between_reports(n_workers),
    )


def _checkpoint_every(run: StudyRun) -> int | None:
    """Return after how many epochs a trial saves a checkpoint, if it is told; folds that ended are always kept."""
    return run.resources.checkpoint_every if run.inputs.task.protocol.folds is None else 1


def _keeps_weights(run: StudyRun) -> bool:
    """Return True if weights are kept: those of models that can be evaluated, unless the user says otherwise."""
    task = run.inputs.task
    return run.resources.keep_weights is not False and not task.trains_itself and task.protocol.folds is None


def _goes_on(task: Task) -> bool:
    """Return True if a task runs a function that keeps its own state: it says so to have checkpoints unasked."""
    return task.run is not None and task.can_resume


def _packing(resources: Resources) -> Packing:
    """Return how many trials share a device of the connected cluster.

    Raises:
        SettingsError: if no node could ever run a single trial.
    """
    from tune_jobs.execution import cluster
    from tune_jobs.execution.packing import Packing, device_share

    cpus, gpus, limit = resources.cpus_per_trial, resources.gpus_per_trial, resources.max_concurrent
    slots = cluster.slots(cpus, None if gpus == "auto" else gpus, limit)
    if gpus != "auto":
        per_device = int(1 / slots.gpus + 1e-9) if 0 < slots.gpus < 1 else 1
        if per_device == 1:
            return Packing.fixed(slots)
        return Packing(lambda n: slots if n == per_device else cluster.slots(cpus, device_share(n), limit), per_device)
    if slots.gpus:
        return Packing(lambda n: cluster.slots(cpus, device_share(n), limit), measures=True)
    return Packing(lambda n: cluster.slots(cpus * device_share(n), 0, limit), measures=True, sharing=slots.count)


def _gpus_together(gpus: float, say: Say, *, has_own_loop: bool) -> int | None:
    """Return how many GPUs train a trial together; None where they are not several.

    A task's own training is not divided among them, which the user is told.
    """
    if gpus < 2:
        return None
    if has_own_loop:
        say(f"each trial has {gpus:g} GPUs, and the task's own training has to divide its work among them itself")
    return int(gpus)


def _progress(run: StudyRun, plan: Plan, news: News) -> Progress:
    outline = SweepOutline(
        study=run.study.name,
        objective=run.inputs.task.objective,
        steps=run.inputs.task.protocol.steps,
        varied=run.inputs.space.varied(),
        total=plan.total,
        finished=tuple(trial for trial in run.study.record().trials if trial.is_finished),
        time_limit_s=run.resources.time_limit_s,
        bounded=plan.bounded,
        constraints=run.inputs.constraints,
        step=run.inputs.task.protocol.step,
    )
    return Progress(outline, run.interruption, run.settings.activity_file(run.study.name), news.best)

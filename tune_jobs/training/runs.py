"""The run of a trial, whatever its protocol: one training, or one for each fold of a cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tune_jobs.datasets import AnyTrainingData, TrainingData
from tune_jobs.records.constraints import Constraint
from tune_jobs.records.trials import Lineage, Metrics, TrialResult
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.search_spaces.task import Task
from tune_jobs.training.checkpoints import Checkpoint
from tune_jobs.training.cross_validation import CrossValidation
from tune_jobs.training.rungs import RungRun
from tune_jobs.training.trial import Copy, TrialRun

EpochReporter = Callable[[int, Metrics], bool]  # takes the epoch, from one, and its metrics; returns True to stop
AnyRun = TrialRun | CrossValidation | RungRun


def new_run(
    task: Task,
    params: Params,
    data: AnyTrainingData | None,
    *,
    seed: int,
    further_objectives: Sequence[Objective] = (),
    constraints: Sequence[Constraint] = (),
    start: Checkpoint | Copy | None = None,
    rungs: Sequence[int] = (),
) -> AnyRun:
    """Return the run of a trial: over its epochs or, where the protocol has folds, over these.

    Before that it trains on as many images as each of `rungs` says.
    """
    aims = {"further_objectives": further_objectives, "constraints": constraints}
    if rungs:
        assert isinstance(data, TrainingData)
        return RungRun(task, params, data, rungs, seed=seed, **aims)  # type: ignore[arg-type]
    if task.protocol.folds is None:
        return TrialRun(task, params, data, seed=seed, start=start, **aims)  # type: ignore[arg-type]
    assert isinstance(data, TrainingData)  # a data set that is streamed is in no folds
    return CrossValidation(task, params, data, seed=seed, start=start, **aims)  # type: ignore[arg-type]


def run_trial(
    task: Task,
    params: Params,
    data: AnyTrainingData | None,
    *,
    seed: int,
    further_objectives: Sequence[Objective] = (),
    constraints: Sequence[Constraint] = (),
    report: EpochReporter | None = None,
) -> TrialResult:
    """Train `params` of `task` on `data`, and score them on the validation split, or on each fold.

    A configuration that fails is a result (`failed`, with its reason), not an exception. `report` is called after each
    epoch, or each fold; if it returns True, the trial stops. Only a task that runs a function has no data.
    """
    run = new_run(task, params, data, seed=seed, further_objectives=further_objectives, constraints=constraints)
    for step, metrics in run:
        if report is not None and report(step, metrics):
            run.stop()
    return run.result


def rerun(task: Task, number: int, params: Params, seed: int, lineage: Lineage, data: AnyTrainingData | None) -> AnyRun:
    """Return a run that repeats a trial, and comes to the same score.

    A member of a population is repeated segment by segment: all but the last one are trained here, and the run that is
    returned trains the last. If one of them fails, its run is returned.
    """
    if not lineage:
        return new_run(task, params, data, seed=seed)
    task = replace(task, protocol=replace(task.protocol, patience=None))
    owners = [*(segment.parent for segment in lineage[1:]), number]  # the trials that trained each segment
    checkpoint: Checkpoint | None = None
    for index, (segment, owner) in enumerate(zip(lineage, owners, strict=True)):
        start = checkpoint if segment.parent == owner else Copy(checkpoint)
        run = TrialRun(task, segment.params, data, seed=segment.seed, start=start)
        if index == len(lineage) - 1:
            break
        checkpoint = _checkpoint_after(run, lineage[index + 1].first - 1)
        if checkpoint is None:
            break
    return run


def _checkpoint_after(run: TrialRun, last: int) -> Checkpoint | None:
    """Train up to an epoch, and return the checkpoint there; None if the run ends before."""
    for epoch, _ in run:
        if epoch == last:
            return run.checkpoint()
    return None

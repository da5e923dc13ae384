"""The way onto Ray for an evaluation, and the only reader of the test split: score finalists and note each result."""

from __future__ import annotations

from dataclasses import replace

from tune_jobs import datasets
from tune_jobs.errors import TrialError
from tune_jobs.execution.plan import StudyRun
from tune_jobs.execution.ray_variables import prepare_ray
from tune_jobs.execution.task_source import TaskSource
from tune_jobs.records.trials import TestResult, TrialRecord


def score_finalists(run: StudyRun, trials: list[TrialRecord]) -> None:
    """Score trials on the test split and write each result to the study.

    Raises:
        UserError: if the data cannot be had, the trials do not fit the cluster, or a worker died.
    """
    inputs, resources, settings = run.inputs, run.resources, run.settings
    source = TaskSource.of(inputs.reference, inputs.with_paths)
    data = datasets.load_for_task(inputs.task, settings.data_dir, run.say)
    cpus = trials[0].cpus or resources.cpus_per_trial  # as many threads as the trials had, or a score does not repeat
    prepare_ray(is_own_cluster=resources.address is None)
    from tune_jobs.execution import cluster, worker_forks

    run.say("starting Ray …")
    with cluster.connection(resources.address, worker_forks.WorkerKind.training(cpus)):
        from tune_jobs.execution import evaluators

        gpus = resources.gpus_per_trial
        if gpus is None or gpus == "auto":
            gpus = trials[0].gpus  # several, where the trials had several
        slots = cluster.slots(cpus, gpus, resources.max_concurrent)
        job = evaluators.TestJob(
            source,
            inputs.task.protocol,
            inputs.task.objective,
            data.training,
            data.test,
            cpus,
            settings.weights_dir(run.study.identity),
        )
        evaluators.evaluate(trials, job, slots, run.interruption, _Notes(run, len(trials)).add)


class _Notes:
    """Writes each result to the study as it arrives, and reports it to the user."""

    def __init__(self, run: StudyRun, total: int) -> None:
        self._study, self._say, self._total = run.study, run.say, total
        self._done = 0
        self._reading = len(run.study.record().readings)

    def add(self, trial: TrialRecord, result: TestResult | TrialError) -> None:
        self._done += 1
        head = f"[{self._done}/{self._total}] trial {trial.number}"
        if isinstance(result, TrialError):
            failure = f"{result.reason} ({result})"
            self._study.note_test(trial.number, TestResult(failure=failure, reading=self._reading))
            self._say(f"{head} could not be evaluated: {result.reason} ({result})")
            return
        self._study.note_test(trial.number, replace(result, reading=self._reading))
        metrics = ", ".join(f"{name} {value:.4f}" for name, value in result.metrics.items())
        self._say(f"{head} {metrics}{_which_model(result, trial.score)}")


def _which_model(result: TestResult, score: float | None) -> str:
    """Return whether the model is the one that was ranked. One of all rows has no validation score."""
    if result.val_score is None:
        return " (trained on all rows)"
    same = result.val_score == score
    came = "the same validation score" if same else f"validation {result.val_score:.4f}, was {score:.4f}"
    if result.is_retrained:
        return f" (no weights were kept: trained anew, {came})"
    return "" if same else f" (kept weights, {came})"

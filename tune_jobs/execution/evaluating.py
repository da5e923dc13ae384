"""Scores finalists on Ray: the door through which an evaluation comes in, and the only reader of the test split."""

from __future__ import annotations

from tune_jobs import datasets
from tune_jobs.errors import TrialError
from tune_jobs.execution.plan import Resources, StudyInputs
from tune_jobs.live.signals import Interruption
from tune_jobs.records.trials import TestResult, TrialRecord
from tune_jobs.settings import Settings, prepare_ray
from tune_jobs.study.study import Study
from tune_jobs.words import Say


def score_finalists(
    study: Study,
    work: StudyInputs,
    trials: list[TrialRecord],
    resources: Resources,
    settings: Settings,
    interruption: Interruption,
    say: Say,
) -> None:
    data = datasets.load_for_task(work.task, settings.data_dir)
    cpus = trials[0].cpus or resources.cpus_per_trial  # as many threads as the trials had, or a score does not repeat
    prepare_ray(is_own_cluster=resources.address is None)
    from tune_jobs.execution import cluster

    say("starting Ray …")
    with cluster.cluster(resources.address):
        from tune_jobs.execution import evaluators, worker

        slots = cluster.slots(
            cpus, None if resources.gpus_per_trial == "auto" else resources.gpus_per_trial, resources.max_concurrent
        )
        kept = settings.weights_dir(study.record().identity)
        source = worker.TaskSource.of(work.reference)
        task = work.task
        job = evaluators.TestJob(source, task.protocol, task.objective, data.training, data.test, cpus, kept)
        scored = _Scored(study, len(trials), say)
        evaluators.evaluate(trials, job, slots, interruption, scored.note)


class _Scored:
    """Writes each result down as it comes, and says so."""

    def __init__(self, study: Study, total: int, say: Say) -> None:
        self._study, self._total, self._say = study, total, say
        self._done = 0

    def note(self, trial: TrialRecord, result: TestResult | TrialError) -> None:
        self._done += 1
        head = f"[{self._done}/{self._total}] trial {trial.number}"
        if isinstance(result, TrialError):
            self._study.note_test(trial.number, TestResult(failure=f"{result.reason} ({result})"))
            self._say(f"{head} could not be evaluated: {result.reason} ({result})")
            return
        self._study.note_test(trial.number, result)
        words = ", ".join(f"{name} {value:.4f}" for name, value in result.metrics.items())
        same = "" if result.val_score == trial.score else f" (validation {result.val_score:.4f}, was {trial.score:.4f})"
        self._say(f"{head} {words}{same}")

"""Workers that score finalists on the test split: as many as fit, each with one trial after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray

from tune_jobs.datasets import AnyTrainingData
from tune_jobs.datasets.dataset import Split
from tune_jobs.errors import Reason, TrialError, UserError
from tune_jobs.execution import lost_workers, working_folder
from tune_jobs.execution.packing import Slots
from tune_jobs.execution.task_source import TaskSource
from tune_jobs.live.signals import Interruption
from tune_jobs.records.trials import TestResult, TrialRecord
from tune_jobs.search_spaces.protocol import Objective, Protocol, TaskError
from tune_jobs.training import tensorflow_start, weights
from tune_jobs.training.weights import Weights

_POLL_S = 0.5  # between two looks at whether a signal came


@dataclass(frozen=True)
class TestJob:
    """What all evaluations of a study share. No search is given one: it holds the test split."""

    __test__ = False  # no test class, whatever pytest makes of its name

    source: TaskSource
    protocol: Protocol
    objective: Objective
    data: AnyTrainingData
    test_split: Split | None
    cpus: float
    kept: Path  # the folder of kept weights, on the driver's machine


Done = Callable[[TrialRecord, TestResult | TrialError], None]


def evaluate(trials: Sequence[TrialRecord], job: TestJob, slots: Slots, interruption: Interruption, done: Done) -> None:
    """Score the trials and call `done` with each result; end early when interrupted or drained.

    Raises:
        UserError: if a worker died.
    """
    shared = ray.put(job)
    worker = ray.remote(_Evaluator).options(num_cpus=slots.cpus, num_gpus=slots.gpus)
    evaluators = [worker.remote(shared, slots.gpus or None) for _ in range(min(slots.count, len(trials)))]
    try:
        _score_all(trials, evaluators, job.kept, interruption, done)
    finally:
        for evaluator in evaluators:  # a process may stay connected to Ray
            ray.kill(evaluator)


def _score_all(
    trials: Sequence[TrialRecord], evaluators: Sequence[Any], kept: Path, interruption: Interruption, done: Done
) -> None:
    idle = list(evaluators)
    waiting = list(trials)
    running: dict[ray.ObjectRef, tuple[TrialRecord, Any]] = {}
    while (running or (waiting and not interruption.is_draining)) and not interruption.is_set:
        while waiting and idle and not interruption.is_draining:
            trial, evaluator = waiting.pop(0), idle.pop()
            running[evaluator.score.remote(trial, weights.load(kept, trial.number))] = (trial, evaluator)
        ready, _ = ray.wait(list(running), timeout=_POLL_S)
        for answer in ready:
            trial, evaluator = running.pop(answer)
            done(trial, _result(answer, trial))
            idle.append(evaluator)


def _result(answer: ray.ObjectRef, trial: TrialRecord) -> TestResult | TrialError:
    try:
        result: TestResult | TrialError = ray.get(answer)
    except ray.exceptions.RayActorError as error:
        why = lost_workers.last_words(str(error)) or "it was killed, or the machine ran out of memory"
        raise UserError(
            f"the worker that evaluated trial {trial.number} died: {why}. "
            "What was scored is kept; run the same command again"
        ) from None
    return result


class _Evaluator:
    """A process that keeps TensorFlow and the data from one finalist to the next."""

    def __init__(self, job: TestJob, gpu_share: float | None) -> None:
        self._job = job
        working_folder.enter_new("evaluation")
        tensorflow_start.hush()
        # before the task's file is imported, which may use TensorFlow
        tensorflow_start.start(job.cpus, gpu_share, portable=job.protocol.portable)
        self._task = replace(job.source.load(), protocol=job.protocol, objective=job.objective)

    def score(self, trial: TrialRecord, kept: Weights | None) -> TestResult | TrialError:
        from tune_jobs.training import finalist

        try:
            return finalist.score(self._task, trial, self._job.data, self._job.test_split, kept)
        except TrialError as error:
            return error
        except TaskError as error:
            return TrialError(Reason.INVALID, str(error))

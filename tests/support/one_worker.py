"""Random trials of all small tasks, one after the other in one process and each in a process of its own: the same bits?

`python -m tests.support.one_worker` takes 300 trials, or `--trials N`. It prints a line for each trial that differs,
then the count, and exits with 1 if there is one. A process of its own is a fork of one that has imported TensorFlow and
used nothing of it.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import queue
import random
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.support.small_tasks import small_tasks
from tests.support.sweeping import data_of
from tune_jobs.datasets import TrainingData
from tune_jobs.environment import prepare_tensorflow
from tune_jobs.search_spaces import Task
from tune_jobs.training.trial import TrialRun

_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Drawn:
    """A trial: of which task, with which params and seed."""

    task: int
    params: dict[str, Any]
    seed: int


def draw(tasks: Sequence[Task], n_trials: int, seed: int) -> list[Drawn]:
    chance = random.Random(seed)

    def one(number: int) -> Drawn:
        index = number % len(tasks) if number < len(tasks) else chance.randrange(len(tasks))
        params = tasks[index].space.walk(lambda name, domain, under: domain.at(chance.random()))
        return Drawn(index, params, chance.randrange(3))

    drawn = [one(number) for number in range(n_trials)]
    chance.shuffle(drawn)
    return drawn


def trained(tasks: Sequence[Task], data: Sequence[TrainingData], trials: Sequence[Drawn], answers: Any) -> None:
    """Send all that comes out of each trial, trained in this process one after the other."""
    from tune_jobs.training import tensorflow_process

    tensorflow_process.prepare_devices(1)
    for trial in trials:
        run = TrialRun(tasks[trial.task], trial.params, data[trial.task], seed=trial.seed)
        list(run)
        result = {name: value for name, value in asdict(run.result).items() if name != "train_seconds"}
        weights = [] if run.model is None else [array.tobytes() for array in run.model.get_weights()]
        answers.put((result, hashlib.sha256(b"".join(weights)).hexdigest()))
        run.release()


def in_a_process(tasks: Sequence[Task], data: Sequence[TrainingData], trials: Sequence[Drawn]) -> list[Any]:
    answers = _FORK.Queue()
    process = _FORK.Process(target=trained, args=(tasks, data, trials, answers))
    process.start()
    found = [_answer(process, answers) for _ in trials]
    process.join()
    return found


def _answer(process: Any, answers: Any) -> Any:
    while True:
        try:
            return answers.get(timeout=1)
        except queue.Empty:
            assert process.is_alive() or not answers.empty(), f"the process ended with {process.exitcode}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", metavar="TASK", help="these tasks and no others")
    options = parser.parse_args()
    prepare_tensorflow()
    from tune_jobs.training import compiled, tensorflow_process  # noqa: F401 (here, and not in each fork)

    tasks = [task for task in small_tasks() if not options.only or task.name in options.only]
    data = [data_of(task) for task in tasks]  # unchecked: an encoding that computes would start TensorFlow here
    trials = draw(tasks, options.trials, options.seed)
    together = in_a_process(tasks, data, trials)
    n_different, failed = 0, 0
    for number, (trial, one) in enumerate(zip(trials, together, strict=True)):
        (alone,) = in_a_process(tasks, data, [trial])
        failed += one[0]["state"] != "complete"
        if one != alone:
            n_different += 1
            print(f"trial {number} of {tasks[trial.task].name}, {trial.params}: {one} in one worker, {alone} alone")
        if (number + 1) % 20 == 0:
            print(f"{number + 1} compared, {n_different} different", file=sys.stderr, flush=True)
    print(f"{len(trials)} trials, {failed} not complete, {n_different} different")
    return int(n_different > 0)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    sys.exit(main())

"""The objectives of a study, and the values of a trial in them.

The first is a metric of every epoch: it decides on the best epoch, on early stopping, and wherever one number has to
decide. The others have one value a trial, at its best epoch or after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tune_jobs.errors import UserError
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.spelling import near
from tune_jobs.search_spaces.task import Task

# Measured of a trial, not in its epochs, and all better when small: the number of weights, the seconds inside epochs,
# the milliseconds that one image takes.
PARAMETERS, TRAIN_SECONDS, LATENCY = "parameters", "train_seconds", "latency"
MEASURED = (PARAMETERS, TRAIN_SECONDS, LATENCY)
_DIRECTIONS = {"max": "maximize", "min": "minimize"}
_SMALL, _LARGE = {"loss", "error"}, {"accuracy"}  # words in a name that tell its direction


def parse(words: Sequence[str], task: Task) -> tuple[Objective, ...]:
    """Read the objectives of `--objective`, in their order: NAME, or max:NAME and min:NAME if a name does not tell its
    direction.

    Raises:
        UserError: a direction is not known, an objective is there twice, or the first is no metric of an epoch.
    """
    objectives = tuple(_parse(word, task) for word in words)
    check(objectives)
    return objectives


def _parse(word: str, task: Task) -> Objective:
    direction, colon, name = word.rpartition(":")
    if not name or (colon and direction not in _DIRECTIONS):
        raise UserError(f"--objective needs NAME, max:NAME or min:NAME; got {word!r}")
    if colon:
        return Objective(name, _DIRECTIONS[direction])  # type: ignore[arg-type]
    if name == task.objective.metric:
        return task.objective
    parts = set(name.split("_"))
    is_small = name in MEASURED or bool(parts & _SMALL)
    if is_small == bool(parts & _LARGE):
        hint = near(name, (task.objective.metric, *MEASURED))
        raise UserError(
            f"--objective {name}: its name does not say whether more or less of it is better{hint}; "
            f"say max:{name} or min:{name}"
        )
    return Objective(name, "minimize" if is_small else "maximize")


def check(objectives: Sequence[Objective]) -> None:
    """Refuse objectives, of which there is at least one, that no study can have.

    Raises:
        UserError: one is there twice, or the first of several is no metric of an epoch.
    """
    names = [objective.metric for objective in objectives]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"the objective {name} is there {names.count(name)} times: once is enough")
    if names[0] in MEASURED:
        raise UserError(
            f"the first objective decides on the best epoch, and {names[0]} is no metric of an epoch: "
            "name one first, such as --objective val_accuracy"
        )


def value(trial: TrialRecord, objective: Objective) -> float | None:
    """Return a trial's value in an objective; None if it is not known."""
    return measured(trial, objective.metric)


def measured(trial: TrialRecord, name: str) -> float | None:
    """Return what a trial has of a metric, or of what is measured of it; None if it is not known. A task's own training
    loop may yield what is otherwise measured."""
    beside = {PARAMETERS: trial.weights, TRAIN_SECONDS: trial.train_seconds}
    number = trial.metrics.get(name, beside.get(name))
    return None if number is None else float(number)


def words(objectives: Iterable[Objective], between: str = ", ") -> str:
    """Return `maximize val_accuracy, minimize parameters`."""
    return between.join(f"{objective.direction} {objective.metric}" for objective in objectives)


def metric_on_test(objective: Objective) -> str:
    """Return the objective's name on the test split: `test_accuracy` for `val_accuracy`."""
    return f"test_{objective.metric.removeprefix('val_')}"

"""Tasks by name, and one trial of a task in this process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict, Unpack

from tune_jobs.actions.try_trial import TryRequest, try_trial
from tune_jobs.api.console import say
from tune_jobs.api.options import check_names, with_options
from tune_jobs.api.tables import Listing
from tune_jobs.records.trials import TrialResult
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.scalars import Value
from tune_jobs.search_spaces.task import Task
from tune_jobs.settings import Settings
from tune_jobs.training import tensorflow_start


class TryOptions(TypedDict, total=False):
    """How one trial is tried: fewer epochs or images than the task's, other data, this many threads, these folders."""

    epochs: int
    images: int
    data: str
    cpus: float
    artifacts: Path | str  # a new folder for the files that a function reports
    home: Path | str
    data_dir: Path | str


def tasks() -> Listing[Task]:
    """Return the tasks of the catalogue. They show themselves as a table.

    >>> [task.name for task in tj.tasks()][:2]
    ['digits-mlp', 'digits-cnn']
    """
    columns = ("task", "data", "grid", "summary")
    return Listing(catalog.TASKS, columns, _row, "no task")


def find_task(reference: str) -> Task:
    """Return the task of a name in the catalogue, of `FILE.py:NAME`, or of `FILE.py` with one task in it.

    >>> tj.find_task("digits-mlp").baseline["optimizer"]
    'adam'

    Raises:
        TaskError: if there is no such task; in one line.
    """
    with tensorflow_start.quiet():
        return catalog.find(reference)


@with_options(TryOptions)
def run_trial(
    task: str | Task, params: Mapping[str, Value] | None = None, *, seed: int = 0, **options: Unpack[TryOptions]
) -> TrialResult:
    """Train one configuration in this process, without Ray and without a study, to try a task. Return its result.

    What `params` lack is the baseline's. A configuration that diverges is a result with `state="failed"` and a reason;
    an error in the task's own code is raised as it is.

    >>> result = tj.run_trial("digits-mlp", {"units": "32"}, epochs=2)
    >>> result.state, len(result.history)
    ('complete', 2)

    Raises:
        SpaceError: if the params do not belong to the task.
        UserError, TaskError: if there is no such task, or its data cannot be had.
    """
    check_names("run_trial", options, TryOptions)
    home, data_dir = options.pop("home", None), options.pop("data_dir", None)
    chosen: dict[str, object] = {name: value for name, value in options.items() if value is not None}
    if "artifacts" in chosen:
        chosen["artifacts"] = Path(str(chosen["artifacts"])).expanduser()
    cpus = options.get("cpus") or 1.0
    with tensorflow_start.quiet(), tensorflow_start.prepared(cpus):
        found = catalog.find(task) if isinstance(task, str) else task
    request = TryRequest(found, params or {}, seed, **chosen)  # type: ignore[arg-type]
    return try_trial(request, Settings.read(home, data_dir), say)


def _row(task: Task) -> tuple[object, ...]:
    return task.name, task.dataset_name, task.space.size or "infinite", task.summary

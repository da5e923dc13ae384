"""Train one configuration in this process, without Ray and without a study: to try a task."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tune_jobs import datasets
from tune_jobs.actions.train import run_with_messages, start_tensorflow
from tune_jobs.errors import UserError
from tune_jobs.records.trials import TrialResult
from tune_jobs.search_spaces.moving import transfer_params
from tune_jobs.search_spaces.scalars import Params, Value
from tune_jobs.search_spaces.task import Task
from tune_jobs.settings import Settings
from tune_jobs.training import folders, tensorflow_start
from tune_jobs.training.runs import AnyRun, new_run
from tune_jobs.words import Say


@dataclass(frozen=True)
class TryRequest:
    """A configuration of a task, with one seed. What `params` lack is the baseline's; None is the task's own value."""

    task: Task
    params: Mapping[str, Value] = field(default_factory=dict)
    seed: int = 0
    epochs: int | None = None
    images: int | None = None
    data: str | None = None  # the name of a data set in place of the task's own
    cpus: float = 1.0
    artifacts: Path | None = None  # a new folder for the files that a function reports


def try_trial(request: TryRequest, settings: Settings, say: Say) -> TrialResult:
    """Train the configuration and score it on the validation split, with a message for each epoch.

    A configuration that fails is a result with its reason. An error in the task's own code is raised as it is.

    Raises:
        SpaceError: if the params do not belong to the task.
        UserError: if the data cannot be had, or the task reports no files to put into `artifacts`.
    """
    _check_artifacts(request)
    params: Params = transfer_params(request.task, request.params, "the configuration")
    asked = {name: number for name in ("epochs", "images") if (number := getattr(request, name)) is not None}
    own = request.task
    task = replace(datasets.on_data(own, request.data), protocol=replace(own.protocol, **asked))
    data = datasets.training_data(task, settings.data_dir, say)
    if data is not None and request.data is not None:
        datasets.check_fits(data, own, settings.data_dir, say)
    if not task.trains_itself:
        start_tensorflow(request.cpus, say)
    run = new_run(task, params, data, seed=request.seed)
    with tensorflow_start.quiet():
        result = run_with_messages(run, task, say)
    if run.error is not None:
        raise run.error
    _keep_artifacts(run, request, say)
    return result


def _check_artifacts(request: TryRequest) -> None:
    if request.artifacts is None:
        return
    if "artifacts" not in request.task.run_takes:
        raise UserError(f"task {request.task.name!r} reports no files: leave artifacts out")
    if request.artifacts.exists():
        raise UserError(f"{request.artifacts} is there already: name another folder for the files of the function")


def _keep_artifacts(run: AnyRun, request: TryRequest, say: Say) -> None:
    if run.artifacts is None or not any(folders.files(run.artifacts)):
        return
    if request.artifacts is None:
        say("the files of the function are not kept: artifacts=FOLDER keeps them")
        return
    shutil.copytree(run.artifacts, request.artifacts)
    say(f"the files of the function are in {request.artifacts}")

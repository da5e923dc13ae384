"""The keyword options of the API, which are those of the commands, and how they become requests."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar

from tune_jobs.actions.launch import LaunchRequest
from tune_jobs.errors import UserError
from tune_jobs.execution.plan import Resources
from tune_jobs.models.plain_values import plain
from tune_jobs.records.studies import AskedSearch, Resource, SchedulerName
from tune_jobs.search_spaces import scalars
from tune_jobs.search_spaces.protocol import Objective, Precision
from tune_jobs.search_spaces.scalars import Params, Value
from tune_jobs.search_spaces.spelling import near
from tune_jobs.words import seconds

Function = TypeVar("Function", bound=Callable[..., Any])
Range = Value | Sequence[Value]  # what `set` keeps of a parameter: a value, some values, or "low..high"


class PlaceOptions(TypedDict, total=False):
    """Where work runs."""

    max_concurrent: int
    gpus_per_trial: float | Literal["auto"]
    address: str  # of a running Ray cluster


class RunOptions(PlaceOptions, total=False):
    """Where trials run, how many at once and for how long."""

    time_limit: float | str  # seconds, or a text such as "30m"
    trial_time_limit: float | str
    cpus_per_trial: float
    max_retries: int
    checkpoint_every: int  # epochs
    keep_weights: bool  # of each trial, or of none; default: of the ten best configurations
    notify: str | Sequence[str]  # addresses and commands


class TransferOptions(RunOptions, total=False):
    """How trials of another task run."""

    epochs: int
    images: int


class LaunchOptions(TransferOptions, total=False):
    """How a study is begun or continued. Each option is the command's; `first` is its `--try`."""

    data: str
    study: str
    trials: int
    search: AskedSearch
    precision: Precision
    deterministic: bool
    portable: bool  # CPU kernels that other processors have too
    folds: int
    seed: int
    set: Mapping[str, Range]
    open: Sequence[str]
    no_baseline: bool
    objectives: Sequence[str | Objective]
    accept_change: str  # why scores may mean something else from now on
    constraints: Sequence[str]  # such as "parameters<=100000"
    first: Path | str | Sequence[Params]  # configurations to begin with, or a YAML file of them
    with_paths: Sequence[Path | str]  # files and folders that go to all workers with a task file
    seed_from: str
    seed_from_best: int
    scheduler: SchedulerName
    grace: int
    eta: int
    resource: Resource
    total_epochs: int
    stop_when_flat: int
    home: Path | str
    data_dir: Path | str


_RENAMED = {"time_limit": "time_limit_s", "trial_time_limit": "trial_limit_s", "open": "opened"}


def with_options(kind: type) -> Callable[[Function], Function]:
    """Show the names of a function's keyword options in its signature, for `help` and completion."""

    def show(function: Function) -> Function:
        signature = inspect.signature(function)
        *named, _ = signature.parameters.values()
        options = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None)
            for name in option_names(kind)
            if name not in signature.parameters
        ]
        function.__signature__ = signature.replace(parameters=[*named, *options])  # type: ignore[attr-defined]
        return function

    return show


def option_names(kind: type) -> tuple[str, ...]:
    return tuple(kind.__annotations__)


def check_names(function: str, options: Iterable[str], kind: type) -> None:
    """Check that a function has these options.

    Raises:
        TypeError: it has not; with the nearest names.
    """
    known = option_names(kind)
    for name in options:
        if name not in known:
            raise TypeError(f"{function}() has no option {name!r}{near(name, known)}")


def take_resources(function: str, options: Mapping[str, Any], kind: type) -> Resources:
    """Return the resources among the options of a function; None is an option that is not given.

    Raises:
        TypeError: the function has no such option.
        UserError: a time or a number that cannot be.
    """
    check_names(function, options, kind)
    named = {_RENAMED.get(name, name): value for name, value in options.items() if value is not None}
    chosen = {name: named[name] for name in Resources.__dataclass_fields__ if name in named}
    for name in ("time_limit_s", "trial_limit_s"):
        if isinstance(chosen.get(name), str):
            chosen[name] = _seconds(name.removesuffix("_s"), chosen[name])
    notify = chosen.get("notify", ())
    chosen["notify"] = (notify,) if isinstance(notify, str) else tuple(notify)
    return Resources(**chosen)


def launch_request(reference: str, options: Mapping[str, Any]) -> LaunchRequest:
    """Return the request to launch a task with these options, which are `LaunchOptions`.

    Raises:
        TypeError, UserError: as `take_resources`.
    """
    chosen = take_resources("launch", options, LaunchOptions)
    given = {_RENAMED.get(name, name): value for name, value in options.items() if value is not None}
    fields = {name: given[name] for name in LaunchRequest.__dataclass_fields__ if name in given}
    fields |= {
        "opened": tuple(given.get("opened", ())),
        "narrowed": {name: expression(kept) for name, kept in given.get("set", {}).items()},
        "objectives": tuple(map(_objective_words, given.get("objectives", ()))),
        "tried": Path(given["first"]) if isinstance(given.get("first"), str) else given.get("first"),
        "constraints": tuple(given.get("constraints", ())),
        "with_paths": tuple(map(Path, given.get("with_paths", ()))),
        "resources": chosen,
    }
    return LaunchRequest(reference, **fields)


def expression(kept: Range) -> str:
    """Return what `--set NAME=` takes for a value, several values or the text of a range."""
    value = plain(kept)
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool | int | float):
        return scalars.text(value)
    if isinstance(value, Mapping | Set) or not isinstance(value, Iterable):
        raise UserError(f'set needs a value, a list of values or "low..high"; got {kept!r}')
    return ",".join(map(expression, value))


def _objective_words(objective: str | Objective) -> str:
    if isinstance(objective, str):
        return objective
    return f"{'max' if objective.direction == 'maximize' else 'min'}:{objective.metric}"


def _seconds(name: str, text: str) -> float:
    try:
        return seconds(text)
    except ValueError as error:
        raise UserError(f"{name} {error}") from error

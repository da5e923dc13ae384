"""The options of the commands that run trials, and how these commands print their outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tune_jobs.cli import colours
from tune_jobs.cli.options import say, say_view
from tune_jobs.settings import writes_reports
from tune_jobs.words import seconds

if TYPE_CHECKING:
    from tune_jobs.actions.session import Outcome
    from tune_jobs.execution.plan import Resources

_TOP = 10  # rows of the leaderboard that is printed at the end


class Duration(click.ParamType[float]):
    """Convert `90`, `90s`, `30m`, `2h` or `1h30m` to seconds."""

    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return seconds(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Gpus(click.ParamType[Any]):
    """Convert `0.25`, `1` or `2` to a number; keep `auto`."""

    name = "gpus"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        if value == "auto" or isinstance(value, float):
            return value
        from tune_jobs.execution.plan import why_not_gpus

        try:
            gpus: float | str = float(value)
        except ValueError:
            gpus = value
        if wrong := why_not_gpus(gpus):
            self.fail(wrong, param, ctx)
        return gpus


_PLACE = (
    click.option(
        "--max-concurrent",
        type=click.IntRange(min=1),
        metavar="N",
        help="Maximum number of trials at once (default: as many as fit).",
    ),
    click.option(
        "--gpus-per-trial",
        type=_Gpus(),
        metavar="G|auto",
        help="GPUs of a trial (default: 1 if there are any). 0.25 runs four trials on a GPU, 2 trains each trial on "
        "two together; 'auto' measures the first trials and runs as many on a GPU as fit.",
    ),
    click.option(
        "--address", metavar="HOST:PORT", help="Address of a running Ray cluster (default: start Ray on this machine)."
    ),
)
_TRAINING = (
    click.option(
        "--time-limit",
        "time_limit_s",
        type=Duration(),
        help="Stop after this time: 90s, 30m, 2h. The remaining trials run next time.",
    ),
    click.option(
        "--cpus-per-trial",
        type=click.FloatRange(min=0, min_open=True),
        metavar="C",
        default=1.0,
        show_default=True,
        help="CPUs of a trial.",
    ),
    click.option(
        "--trial-time-limit",
        "trial_limit_s",
        type=Duration(),
        help="Mark a trial as failed if it runs longer: 90s, 30m, 2h.",
    ),
    click.option(
        "--max-retries",
        type=click.IntRange(min=0),
        metavar="N",
        default=3,
        show_default=True,
        help="How often to run a trial again after its worker or node was lost.",
    ),
    click.option(
        "--checkpoint-every",
        type=click.IntRange(min=1),
        metavar="EPOCHS",
        help="Save a checkpoint every EPOCHS epochs, from which an interrupted trial continues.",
    ),
    click.option(
        "--notify",
        multiple=True,
        metavar="URL|CMD|@FILE",
        help="Send JSON to an address, or to a command's standard input, when the sweep begins, has a new best trial, "
        "fails or ends (default: TUNE_JOBS_NOTIFY; 'none' for nobody). @FILE has one of them in each line. Repeatable.",
    ),
    click.option(
        "--keep-weights/--no-keep-weights",
        default=None,
        help="Keep each trial's weights, or none (default: those of the ten best configurations), so that `evaluate` "
        "tests the models that were ranked.",
    ),
)


def resource_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a command that trains; `take_resources` reads them."""
    return _with(command, (*_TRAINING, *_PLACE))


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a command that scores trained models, on as many CPUs as they were trained on."""
    return _with(command, _PLACE)


def _with(command: Callable[..., Any], options: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command


def take_resources(options: dict[str, Any]) -> Resources:
    """Remove the resources from a command's options and return them."""
    from tune_jobs.execution.plan import Resources

    names = {field.name for field in fields(Resources)}
    return Resources(**{name: options.pop(name) for name in names if name in options})


def print_outcome(outcome: Outcome) -> int:
    """Print the leaderboard and where its files are; return the exit code."""
    from tune_jobs import exports

    colours.print_leaderboard(exports.brief_table(outcome.study, _TOP))
    say_exports(outcome.exports_dir)
    if outcome.signal is not None:
        say(f"`tune-jobs report {outcome.study.name}` writes its report")
    elif writes_reports():
        say("The report, report.html, is being written there")
    say_delivery(outcome.study.name, outcome.view, is_delivered=outcome.is_delivered)
    return exit_code(outcome)


def say_exports(folder: Path) -> None:
    say(f"Leaderboard files are in {folder}")


def say_delivery(study: str, view: str | None, *, is_delivered: bool) -> None:
    """Say whether MLflow has a study, and where it shows its trials."""
    if is_delivered:
        say("All trials are in MLflow")
        say_view(study, view)
    else:
        say(f"Some trials are not in MLflow yet; nothing is lost. Run `tune-jobs sync {study}`.")


def exit_code(outcome: Outcome) -> int:
    """Return 0; 2 if failures of the task ended the sweep, and 1 if all its trials or finalists failed, after saying
    what to mend; 128 plus the signal's number if a signal ended it. Say first who did not hear all notifications."""
    if outcome.unheard is not None:
        say(outcome.unheard)
    failure = outcome.task_failure
    if failure is not None:
        if failure.traceback is not None:
            say(failure.traceback.rstrip())
        name = outcome.study.name
        retry = f"evaluate {name} --again" if failure.is_of_evaluation else f"retry {name} --reason {failure.reason}"
        say(f"{failure.message}. Once it is mended, run `tune-jobs {retry}`.")
        return 2 if failure.is_early else 1
    return 0 if outcome.signal is None else 128 + outcome.signal

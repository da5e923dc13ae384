"""What the commands that train have in common: where and how long trials run, and how a run's end is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from tune_jobs.cli.options import say

if TYPE_CHECKING:
    from tune_jobs.actions.session import Outcome
    from tune_jobs.execution.plan import Resources

_TOP = 10  # of the leaderboard that is shown at the end


class Duration(click.ParamType[float]):
    """`90`, `90s`, `30m`, `2h`, `1h30m`: seconds."""

    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", value)
        seconds = (
            sum(int(part or 0) * unit for part, unit in zip(match.groups(), (3600, 60, 1), strict=True)) if match else 0
        )
        if not seconds:
            self.fail(f"needs a time such as 90s, 30m or 2h; got {value!r}", param, ctx)
        return float(seconds)


class _Gpus(click.ParamType[Any]):
    """`0.25`, `1`, `2`, `auto`."""

    name = "gpus"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        if value == "auto" or isinstance(value, float):
            return value
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not (0 <= number <= 1 or (number > 1 and number.is_integer())):
            self.fail(f"needs a share such as 0.25, a whole number of GPUs, or auto; got {value!r}", param, ctx)
        if 0 < number < 0.01:
            self.fail(f"needs 0.01 or more, or 0 for none; got {value!r}", param, ctx)
        return number


_PLACE = (
    click.option(
        "--max-concurrent", type=click.IntRange(min=1), help="Trials at once; as many as fit where not given."
    ),
    click.option(
        "--gpus-per-trial",
        type=_Gpus(),
        metavar="G|auto",
        help="0.25 shares a GPU among four; auto measures the first trials and packs as many as fit; one where there "
        "are any if not given.",
    ),
    click.option("--address", help="A running Ray cluster; one of our own on this machine where not given."),
)
_TRAINING = (
    click.option(
        "--time-limit",
        "time_limit_s",
        type=Duration(),
        help="Stop after so long: 90s, 30m, 2h. The rest runs next time.",
    ),
    click.option("--cpus-per-trial", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True),
    click.option(
        "--trial-time-limit",
        "trial_limit_s",
        type=Duration(),
        help="A trial that runs for longer has failed: 90s, 30m, 2h.",
    ),
    click.option(
        "--max-retries",
        type=click.IntRange(min=0),
        default=3,
        show_default=True,
        help="How often a trial runs again whose worker or node is lost.",
    ),
    click.option(
        "--checkpoint-every",
        type=click.IntRange(min=1),
        metavar="EPOCHS",
        help="Let an interrupted trial go on from its last checkpoint instead of its beginning.",
    ),
    click.option(
        "--keep-weights", is_flag=True, help="Keep each trial's weights, so that `evaluate` need not train again."
    ),
)


def resource_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of a command that trains, which `taken` reads."""
    return _with(command, (*_TRAINING, *_PLACE))


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds those of a command that scores what was trained, on as many CPUs as it was trained on."""
    return _with(command, _PLACE)


def _with(command: Callable[..., Any], options: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command


def taken(options: dict[str, Any]) -> Resources:
    """Takes the resources out of a command's options."""
    from tune_jobs.execution.plan import Resources

    names = {one.name for one in fields(Resources)}
    return Resources(**{name: options.pop(name) for name in names if name in options})


def tell(outcome: Outcome) -> int:
    """Prints the leaderboard and where everything is; the exit code."""
    from tune_jobs import exports

    click.echo(exports.render(outcome.study, "table", _TOP))
    say(f"all of it, and best.yaml once a trial is complete, in {outcome.exports_dir}")
    if outcome.is_delivered:
        say("every trial in MLflow: tune-jobs ui")
    else:
        say(f"MLflow has not everything: nothing is lost, `tune-jobs sync {outcome.study.name}` delivers the rest")
    return exit_code(outcome)


def exit_code(outcome: Outcome) -> int:
    """0; 2 with what has to be mended where the task ended the sweep; or what a shell expects of a process that a
    signal ended."""
    if outcome.trouble is not None:
        say(outcome.trouble.traceback.rstrip())
        again = f"tune-jobs retry {outcome.study.name} --reason crashed"
        say(f"{outcome.trouble.message}. Once it is mended, `{again}`")
        return 2
    return 0 if outcome.signal is None else 128 + outcome.signal

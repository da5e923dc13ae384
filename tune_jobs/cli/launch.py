"""`launch`: the main job."""

from __future__ import annotations

import re
from pathlib import Path

import click

from tune_jobs.cli.options import data_dir_option, home_option, say, settings
from tune_jobs.records import SEARCHES

_TOP = 10  # of the leaderboard that is shown at the end


class _Duration(click.ParamType[float]):
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


def _assignments(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise click.BadParameter(f"needs NAME=VALUE, NAME=A,B or NAME=LOW..HIGH; got {text!r}")
        if name in found:
            raise click.BadParameter(f"{name} is set twice; say all its values at once: {name}={found[name]},{value}")
        found[name] = value
    return found


@click.command(short_help="Begin a study, or continue it.")
@click.argument("task")
@click.option("--study", help="Name of the study; the task's name where not given.")
@click.option("--trials", type=click.IntRange(min=1), help="Trials in the study in all; a grid runs to its end.")
@click.option("--search", type=click.Choice(SEARCHES), help="How params are found (tpe where not given).")
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs at most, in place of the task's.")
@click.option("--seed", type=click.IntRange(min=0), help="Of the search and of every trial (0 where not given).")
@click.option("--time-limit", type=_Duration(), help="Stop after so long: 90s, 30m, 2h. The rest runs next time.")
@click.option("--max-concurrent", type=click.IntRange(min=1), help="Trials at once; as many as fit where not given.")
@click.option("--cpus-per-trial", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True)
@click.option(
    "--gpus-per-trial", type=click.FloatRange(min=0), help="0.25 shares a GPU; one where there are any if not given."
)
@click.option(
    "--set",
    "narrowed",
    multiple=True,
    callback=_assignments,
    metavar="NAME=VALUE",
    help="Narrow the space: optimizer=adam, units=128,512, learning_rate=1e-4..1e-2.",
)
@click.option(
    "--open", "opened", multiple=True, metavar="NAME", help="Search a parameter that the task holds at a value."
)
@click.option("--address", help="A running Ray cluster; one of our own on this machine where not given.")
@home_option
@data_dir_option
def launch(home: Path | None, data_dir: Path | None, time_limit: float | None, **options: object) -> int:
    """Begin a study, or continue it: the same command again runs only what is missing.

    TASK is a name of the catalogue (`tune-jobs tasks`), or FILE.py:NAME for one of your own. Ctrl-C ends it cleanly,
    twice at once; what is finished is kept.

    \b
    Example:  tune-jobs launch fashion-mnist-mlp --search grid
              tune-jobs launch digits-mlp --set optimizer=adam --trials 30 --time-limit 10m
    """
    from tune_jobs import exports, launching

    where = settings(home, data_dir)
    request = launching.Request(time_limit_s=time_limit, **options)  # type: ignore[arg-type]
    outcome = launching.launch(request, where, say)
    click.echo(exports.render(outcome.study, "table", _TOP))
    say(f"all of it, and best.yaml once a trial is complete, in {outcome.exports_dir}")
    if outcome.is_delivered:
        say("every trial in MLflow: tune-jobs ui")
    else:
        say(f"MLflow is away: nothing is lost, `tune-jobs sync {outcome.study.name}` delivers when it is back")
    return 0 if outcome.signal is None else 128 + outcome.signal

"""`extend`, `stop`, `delete`: what is done with a study that is there."""

from __future__ import annotations

import re
from pathlib import Path

import click

from tune_jobs.cli.options import data_dir_option, home_option, say, settings
from tune_jobs.cli.resources import resource_options, taken, tell


def _trials(ctx: click.Context, param: click.Parameter, given: str) -> str:
    if not re.fullmatch(r"\+?[1-9][0-9]{0,6}", given):
        raise click.BadParameter(f"needs +50 for so many more, or 70 for so many in all; got {given!r}")
    return given


@click.command(short_help="Give a study more trials.")
@click.argument("study")
@click.option("--trials", required=True, callback=_trials, metavar="+N|N", help="So many more, or so many in all.")
@resource_options
@home_option
@data_dir_option
def extend(study: str, trials: str, home: Path | None, data_dir: Path | None, **options: object) -> int:
    """Give a study more trials and run them, with the search it had.

    A study that was killed before it had all its trials gets these first, and no more: run it again for the others.

    \b
    Example:  tune-jobs extend digits-mlp --trials +50
    """
    from tune_jobs import launching

    return tell(launching.extend(study, trials, taken(options), settings(home, data_dir), say))


@click.command(short_help="Stop a study that runs in another shell.")
@click.argument("study")
@click.option("--now", is_flag=True, help="Do not wait for the trials that run; they run again next time.")
@home_option
def stop(study: str, now: bool, home: Path | None) -> None:
    """Stop a study that runs in another shell on this machine: its trials go on to their end, and no other begins.

    \b
    Example:  tune-jobs stop digits-mlp
              tune-jobs stop digits-mlp --now
    """
    from tune_jobs import stewardship

    holder = stewardship.stop(study, settings(home), now=now)
    what = "ends now" if now else "ends when the trials that run have"
    say(f"{holder} was told: it {what}; the same launch command continues the study")


@click.command(short_help="Delete a study.")
@click.argument("study")
@click.option("--yes", is_flag=True, help="Do not ask.")
@home_option
def delete(study: str, yes: bool, home: Path | None) -> int:
    """Delete a study with all that is kept of it: trials, exports, weights, and its runs in MLflow. Asks first.

    MLflow marks runs as deleted; `mlflow gc` removes them for good. `export-study` keeps a study in a file.

    \b
    Example:  tune-jobs delete digits-mlp
    """
    from tune_jobs import stewardship
    from tune_jobs.study import Study

    where = settings(home)
    record = Study.open(study, where).record()
    if not yes:
        counted = f"{len(record.trials)} trial{'s' if len(record.trials) != 1 else ''}"
        if not click.confirm(f"delete study {study} of task {record.terms.task} with its {counted}?", err=True):
            say("nothing was deleted")
            return 0
    record, left = stewardship.delete(study, where)
    say(f"study {study} and its {len(record.trials)} trials are deleted")
    if left is not None:
        say(f"its runs are still in MLflow at {where.shown_tracking_uri}: {left}")
    return 0

"""`extend`, `stop`, `delete`: what is done with a study that is there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tune_jobs.cli.options import address_option, data_dir_option, home_option, say, settings
from tune_jobs.cli.resources import Duration, resource_options, taken, tell
from tune_jobs.settings import jobs_address


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
    from tune_jobs.actions import launch

    return tell(launch.extend(study, trials, taken(options), settings(home, data_dir), say))


@click.command(short_help="Stop a study that runs in another shell, or a job in a cluster.")
@click.argument("study", metavar="STUDY|JOB")
@click.option("--now", is_flag=True, help="Do not wait for the trials that run; they run again next time.")
@address_option
@click.option(
    "--wait", "wait_s", type=Duration(), default="60s", show_default=True, help="How long to wait for a job's end."
)
@home_option
def stop(study: str, now: bool, address: str | None, wait_s: float, home: Path | None) -> int:
    """Stop a study that runs in another shell on this machine: its trials go on to their end, and no other begins.

    With an address it is a job of that cluster that is stopped so; the exit code is then 1 if it has not ended yet.

    \b
    Example:  tune-jobs stop digits-mlp
              tune-jobs stop digits-mlp --now
              tune-jobs stop digits-mlp --address http://127.0.0.1:8265
    """
    place = jobs_address(address) if address is not None or home is None else None
    if place is not None:
        from tune_jobs.cli.jobs import stop_job

        return stop_job(study, place, now=now, wait_s=wait_s)
    from tune_jobs.actions import steer

    holder = steer.stop(study, settings(home), now=now)
    what = "ends now" if now else "ends when the trials that run have"
    say(f"{holder} was told: it {what}; the same launch command continues the study")
    return 0


def _gpus(ctx: click.Context, param: click.Parameter, given: str | None) -> tuple[str, ...]:
    if given is None:
        return ()
    names = [name.strip() for name in given.split(",")]
    if not all(re.fullmatch(r"[A-Za-z0-9:-]{1,80}", name) for name in names):
        raise click.BadParameter(f"needs GPUs as `status` names them, such as 2,3; got {given!r}")
    return tuple(dict.fromkeys(names))


def _spot_options(command: Callable[..., Any]) -> Callable[..., Any]:
    gpus = click.option(
        "--gpus", callback=_gpus, metavar="I,J", help="Their numbers on the node, or what `status` calls them."
    )
    node = click.option("--node", help="Its name, as `status` has it, or its address.")
    return gpus(node(command))


@click.command(short_help="Keep a study off some devices.")
@click.argument("study")
@_spot_options
@home_option
def drain(study: str, gpus: tuple[str, ...], node: str | None, home: Path | None) -> None:
    """Free GPUs, or a whole node, in the middle of a sweep: trials that run there go on to their end, and no other
    begins there until `undrain`, not even under another launch.

    To be run where the driver is.

    \b
    Example:  tune-jobs drain digits-mlp --gpus 2,3
              tune-jobs drain digits-mlp --node trainer-2
              tune-jobs drain digits-mlp --node trainer-2 --gpus 0
    """
    from tune_jobs.actions import steer

    if not gpus and node is None:
        raise click.UsageError("needs --gpus, --node or both: which devices are to be freed")
    drained, busy = steer.drain(study, settings(home), node, gpus)
    until = "" if not busy else f"; trial{'s' * (len(busy) > 1)} {', '.join(map(str, busy))} there first end"
    say(f"study {study} leaves {drained} alone{until}. `tune-jobs undrain {study}` gives back")


@click.command(short_help="Give drained devices back to a study.")
@click.argument("study")
@_spot_options
@home_option
def undrain(study: str, gpus: tuple[str, ...], node: str | None, home: Path | None) -> None:
    """Give back what `drain` took: the GPUs or the node that are named as they were there, or all.

    \b
    Example:  tune-jobs undrain digits-mlp
              tune-jobs undrain digits-mlp --gpus 2
    """
    from tune_jobs.actions import steer

    left = steer.undrain(study, settings(home), node, gpus)
    say(f"study {study} may use all of its devices" if not left else f"study {study} still leaves {left} alone")


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
    from tune_jobs.actions import steer
    from tune_jobs.study.study import Study

    where = settings(home)
    record = Study.open(study, where).record()
    if not yes:
        counted = f"{len(record.trials)} trial{'s' if len(record.trials) != 1 else ''}"
        if not click.confirm(f"delete study {study} of task {record.terms.task} with its {counted}?", err=True):
            say("nothing was deleted")
            return 0
    record, left = steer.delete(study, where)
    say(f"study {study} and its {len(record.trials)} trials are deleted")
    if left is not None:
        say(f"its runs are still in MLflow at {where.shown_tracking_uri}: {left}")
    return 0

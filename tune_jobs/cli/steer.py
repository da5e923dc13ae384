"""`extend`, `stop`, `drain`, `undrain`, `delete`: commands that change an existing study."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tune_jobs.cli.options import address_option, data_dir_option, home_option, read_settings, say
from tune_jobs.cli.resources import Duration, print_outcome, resource_options, take_resources
from tune_jobs.settings import jobs_address
from tune_jobs.words import counted


def _trials(ctx: click.Context, param: click.Parameter, text: str) -> str:
    if not re.fullmatch(r"\+?[1-9][0-9]{0,6}", text):
        raise click.BadParameter(f"needs +50 for 50 more trials, or 70 for 70 trials in total; got {text!r}")
    return text


@click.command(short_help="Run more trials in a study.")
@click.argument("study")
@click.option("--trials", required=True, callback=_trials, metavar="+N|N", help="N more trials, or N trials in total.")
@resource_options
@home_option
@data_dir_option
def extend(study: str, trials: str, home: Path | None, data_dir: Path | None, **options: object) -> int:
    """Run more trials in a study, with the search that it was begun with.

    If the study was killed before its trials were complete, this command runs the missing ones alone: run it again to
    add more. The exit code is 1 if all the trials that it ran failed.

    \b
    Example:  tune-jobs extend digits-mlp --trials +50
    """
    from tune_jobs.actions import extend

    request = extend.ExtendRequest(
        study, int(trials), is_more=trials.startswith("+"), resources=take_resources(options)
    )
    return print_outcome(extend.extend(request, read_settings(home, data_dir), say))


@click.command(short_help="Stop a running study, or a job on a cluster.")
@click.argument("study", metavar="STUDY|JOB")
@click.option("--now", is_flag=True, help="Interrupt the running trials; they run again next time.")
@address_option
@click.option(
    "--wait",
    "wait_s",
    type=Duration(),
    default="60s",
    show_default=True,
    help="Maximum time to wait for a job to end; a study on this machine is not waited for.",
)
@home_option
def stop(study: str, now: bool, address: str | None, wait_s: float, home: Path | None) -> int:
    """Stop a study that runs in another shell on this machine. Its running trials finish, and no other starts.

    With --address or TUNE_JOBS_ADDRESS, stop a job on that cluster instead. The exit code is 1 if the job has not ended
    within --wait.

    \b
    Example:  tune-jobs stop digits-mlp
              tune-jobs stop digits-mlp --now
              tune-jobs stop digits-mlp --address http://127.0.0.1:8265
    """
    url = jobs_address(address) if address is not None or home is None else None
    if url is not None:
        from tune_jobs.cli.jobs import stop_job

        return stop_job(study, url, now=now, wait_s=wait_s)
    from tune_jobs.actions import steer

    holder = steer.stop(study, read_settings(home), now=now)
    when = "stops now" if now else "will stop once its running trials have finished"
    say(f"Study {study} ({holder}) {when}. The same launch command continues it.")
    return 0


def _gpus(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    names = [name.strip() for name in text.split(",")]
    if not all(re.fullmatch(r"[A-Za-z0-9:-]{1,80}", name) for name in names):
        raise click.BadParameter(f"needs GPUs as `status` names them, such as 2,3; got {text!r}")
    return tuple(dict.fromkeys(names))


def _spot_options(command: Callable[..., Any]) -> Callable[..., Any]:
    gpus = click.option(
        "--gpus", callback=_gpus, metavar="I,J", help="GPUs, by their numbers on the node or their names in `status`."
    )
    node = click.option("--node", metavar="NODE", help="Node, by its name in `status` or its address.")
    return gpus(node(command))


@click.command(short_help="Keep a study off some GPUs or nodes.")
@click.argument("study")
@_spot_options
@home_option
def drain(study: str, gpus: tuple[str, ...], node: str | None, home: Path | None) -> None:
    """Free GPUs, or a whole node, during a sweep. Trials that run there finish, and no other starts there until
    `undrain`, not even after another launch.

    Run it on the machine of the driver.

    \b
    Example:  tune-jobs drain digits-mlp --gpus 2,3
              tune-jobs drain digits-mlp --node trainer-2
              tune-jobs drain digits-mlp --node trainer-2 --gpus 0
    """
    from tune_jobs.actions import steer

    if not gpus and node is None:
        raise click.UsageError("needs --gpus, --node or both, to say which devices to free")
    drained, busy = steer.drain(study, read_settings(home), node, gpus)
    running = "" if not busy else f" after trial{'s' * (len(busy) > 1)} {', '.join(map(str, busy))}"
    say(f"Study {study} will not use {drained}{running}. Undo with `tune-jobs undrain {study}`.")


@click.command(short_help="Give drained GPUs or nodes back to a study.")
@click.argument("study")
@_spot_options
@home_option
def undrain(study: str, gpus: tuple[str, ...], node: str | None, home: Path | None) -> None:
    """Give back the GPUs or the node that `drain` took, named as they were there, or all of them.

    \b
    Example:  tune-jobs undrain digits-mlp
              tune-jobs undrain digits-mlp --gpus 2
    """
    from tune_jobs.actions import steer

    left = steer.undrain(study, read_settings(home), node, gpus)
    say(f"Study {study} uses all its devices" if not left else f"Study {study} still does not use {left}")


@click.command(short_help="Delete a study.")
@click.argument("study")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@home_option
def delete(study: str, yes: bool, home: Path | None) -> int:
    """Delete a study with its trials, exports, kept weights and runs in MLflow, after asking for confirmation.

    MLflow marks the runs as deleted; `mlflow gc` removes them for good. `export-study` saves a study to a file first.
    The study's readings of the test split still count (`readings`).

    \b
    Example:  tune-jobs delete digits-mlp
    """
    from tune_jobs.actions import steer
    from tune_jobs.study.study import Study

    settings = read_settings(home)
    record = Study.open(study, settings).history()
    asked = f"Delete study {study} of task {record.terms.task} with its {counted(len(record.trials), 'trial')}?"
    if not yes and not click.confirm(asked, err=True):
        say("Nothing was deleted")
        return 0
    record, left = steer.delete(study, settings)
    say(f"Deleted study {study} with its {counted(len(record.trials), 'trial')}")
    if left is not None:
        say(f"Its runs are still in MLflow at {settings.shown_tracking_uri}: {left}")
    return 0

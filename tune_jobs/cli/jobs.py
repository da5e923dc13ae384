"""`submit`, `jobs`, `logs`: sweeps that run in a cluster, sent from a machine that is none of its nodes.

`stop` of them is in `steer.py`, beside that of a study here."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tune_jobs.cli.launch import launch
from tune_jobs.cli.options import address_option, json_option, print_json, print_table, say, settings
from tune_jobs.cli.resources import taken
from tune_jobs.settings import jobs_address, prepare_ray, show_ray_token

if TYPE_CHECKING:
    from tune_jobs.execution.jobs import Jobs

_OF_THE_SERVER = ("home", "data_dir", "address")  # what the cluster says itself
_LAUNCH = [param for param in launch.params if param.name not in _OF_THE_SERVER]
_SAID = "tune_jobs.said"


class _Submit(click.Command):
    """Keeps what was said as it was said, to be said again in the cluster."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_SAID] = self.make_parser(ctx).parse_args(list(args))[0]
        return super().parse_args(ctx, args)


@click.command(cls=_Submit, params=list(_LAUNCH), short_help="Send a sweep to a cluster, and return.")
@click.option("--name", help="Name of the job; the study's where not given. One name is one job.")
@click.option(
    "--again", is_flag=True, help="Also where a job of this name is complete, such as to go on after --time-limit."
)
@address_option
@click.pass_context
def submit(ctx: click.Context, /, name: str | None, again: bool, address: str | None, **options: Any) -> None:
    """Send a sweep to a cluster through Ray's jobs, and return: there it is launched, with the options of `launch`.

    A task file of your own travels with it, and has to stand alone; so does the file of --try. Studies, data, MLflow
    and exports are the cluster's. What runs already, or is complete, is not sent twice; what was stopped or has failed
    goes on where it was.

    \b
    Example:  tune-jobs submit digits-mlp --trials 50 --address http://127.0.0.1:8265
              tune-jobs submit my_task.py:MY_TASK --name first-try
    """
    from tune_jobs.actions import session
    from tune_jobs.execution import submission

    said, reference = ctx.meta[_SAID], options["task"]
    words = list(_words(said))
    sent, task = submission.prepared(reference, options["study"], name, words, options["tried"])
    submission.check(task, options)
    session.check(task, taken(dict(options)), is_population=options["scheduler"] == "pbt")
    job, is_new = _jobs(address).submit(sent, again=again)
    if is_new:
        say(f"job {job.name} was sent: study {job.study} of task {job.task}")
    else:
        more = "; --again sends it once more" if job.is_over else ""
        say(f"{job}: it was sent before, and is not sent twice{more}")
    say(f"`tune-jobs logs {job.name} -f` follows it, `tune-jobs stop {job.name}` stops it")


def _words(said: dict[str, Any]) -> Iterator[str]:
    """The options of `launch` that were said; study and --try go another way."""
    for option in _LAUNCH:
        if not isinstance(option, click.Option) or option.name in ("study", "tried") or option.name not in said:
            continue
        values = said[option.name]
        for value in values if isinstance(values, list) else [values]:
            names = option.opts if not option.is_flag or value else option.secondary_opts
            word = max(names, key=len)
            yield word if option.is_flag else f"{word}={value}"


@click.command("launch-sent", params=list(_LAUNCH), hidden=True, short_help="What `submit` runs in the cluster.")
@click.option("--address", required=True)
@click.pass_context
def launch_sent(ctx: click.Context, /, **options: Any) -> int:
    """Launch a task that was sent here: its file is kept in the home folder first, so that the study finds it again.

    \b
    Example:  tune-jobs launch-sent --address auto digits-mlp
    """
    from tune_jobs.execution import submission

    options["task"] = submission.received(options["task"], settings(None))
    code: int = ctx.invoke(launch, home=None, data_dir=None, **options)
    return code


@click.command(short_help="List the jobs of a cluster.")
@address_option
@json_option
def jobs(address: str | None, as_json: bool) -> None:
    """List the sweeps that were sent to a cluster, and how they go.

    \b
    Example:  tune-jobs jobs --address http://127.0.0.1:8265
    """
    from tune_jobs.execution import submission

    found = submission.latest(_jobs(address).all())
    if as_json:
        print_json(
            [
                {
                    name: getattr(job, name)
                    for name in ("name", "study", "task", "state", "since", "exit_code", "message")
                }
                for job in found
            ]
        )
    elif found:
        rows = [(job.name, job.study, job.task, job.state, _ago(job.since), job.message or None) for job in found]
        print_table(("job", "study", "task", "state", "since", "message"), rows)
    else:
        say("no job yet: tune-jobs submit digits-mlp sends one")


def _ago(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


@click.command(short_help="Show what a job in a cluster says.")
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Until the job ends, with the exit code that its launch has.")
@address_option
def logs(name: str, follow: bool, address: str | None) -> int:
    """Show what a job in a cluster says; -f goes on until it ends, over connections that are lost.

    \b
    Example:  tune-jobs logs digits-mlp -f --address http://127.0.0.1:8265
    """
    there = _jobs(address)
    job = there.named(name)
    if not follow:
        _write(there.logs(job))
        return 0
    job = there.follow(job, _write, say)
    say(str(job))
    return job.ended_as


def stop_job(name: str, address: str, *, now: bool, wait_s: float) -> int:
    """Ends a job so that what is finished is kept, and waits for that; 1 where it has not ended by then."""
    there = _jobs(address)
    job = there.named(name)
    if job.is_over:
        say(f"{job}: nothing is left to be stopped")
        return 0
    if now or job.state == "waiting" or not there.drain(job):
        there.end(job)
        say(f"job {name} was told: it ends now")
    else:
        say(f"job {name} was told: it ends when the trials that run have")
    job = there.wait(job, wait_s)
    say(str(job) if job.is_over else f"job {name} has not ended yet: `tune-jobs logs {name} -f` shows when it does")
    return 0 if job.is_over else 1


def _jobs(address: str | None) -> Jobs:
    place = jobs_address(address)
    if place is None:
        raise click.UsageError(
            "jobs are a cluster's: name its dashboard with --address http://HOST:8265 or TUNE_JOBS_ADDRESS"
        )
    prepare_ray(is_own_cluster=False)
    show_ray_token()
    from tune_jobs.execution.jobs import Jobs

    return Jobs(place)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()

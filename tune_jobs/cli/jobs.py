"""`submit`, `jobs`, `logs`: run sweeps on a cluster from a machine that is not one of its nodes.

`stop` is in `steer.py`: it stops a study on this machine as well as a job.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from tune_jobs.cli.launch import launch
from tune_jobs.cli.options import address_option, json_option, print_json, print_table, read_settings, say
from tune_jobs.cli.resources import take_resources
from tune_jobs.environment import enable_ray_token
from tune_jobs.execution.ray_variables import prepare_ray
from tune_jobs.settings import jobs_address, notify_variable
from tune_jobs.words import printable_lines

if TYPE_CHECKING:
    from tune_jobs.execution.jobs import JobClient

_OF_THE_CLUSTER = ("home", "data_dir", "address")  # the cluster has its own
_LAUNCH = [param for param in launch.params if param.name not in _OF_THE_CLUSTER]
_GIVEN = "tune_jobs.given"  # key of the options as they were given


class _Submit(click.Command):
    """Keep the options as they were given, to give them again on the cluster."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_GIVEN] = self.make_parser(ctx).parse_args(list(args))[0]
        return super().parse_args(ctx, args)


@click.command(cls=_Submit, params=list(_LAUNCH), short_help="Send a sweep to a cluster.")
@click.option("--name", metavar="JOB", help="Name of the job (default: the study's name). One name is one job.")
@click.option(
    "--again",
    is_flag=True,
    help="Send the job even if one of this name is complete, for example to continue after --time-limit.",
)
@click.option(
    "--priority",
    type=click.IntRange(-1000, 1000),
    metavar="N",
    default=0,
    show_default=True,
    help="A job of a higher priority has its turn first.",
)
@address_option
@click.pass_context
def submit(
    ctx: click.Context, /, name: str | None, again: bool, priority: int, address: str | None, **options: Any
) -> None:
    """Send a sweep to a cluster as a Ray job, and return. The cluster launches it with the same options.

    A task file of your own is sent along with what lies beside it, and so is the file of --try. Studies, data sets,
    MLflow and exports are the cluster's. A job that is running or complete is not sent again; one that was stopped or
    has failed continues. Other options or other code make another job, which needs another name; other files beside the
    task file do not. Jobs that ask for more than is free wait for their turn (docs/server.md).

    \b
    Example:  tune-jobs submit digits-mlp --trials 50 --address http://127.0.0.1:8265
              tune-jobs submit my_task.py:MY_TASK --name first-try
    """
    from tune_jobs.actions import session
    from tune_jobs.execution import submission
    from tune_jobs.live import notifications
    from tune_jobs.study.locks import user_name

    reference = options["task"]
    words = list(_words(ctx.meta[_GIVEN]))
    also = session.absolute(options["with_paths"])
    notified = notifications.lines(options["notify"] or notify_variable())
    sent, task, what_travels = submission.prepare(
        reference, options["study"], name, words, options["tried"], also, notified
    )
    sent = replace(sent, user=user_name(), priority=priority)
    submission.check_options(task, options, sent)
    session.check(task, take_resources(dict(options)), is_population=options["scheduler"] == "pbt")
    jobs = _jobs(address)
    if what_travels is not None:
        say(what_travels)
    job, is_new = jobs.submit(sent, again=again)
    if is_new:
        say(f"Sent job {job.name}: study {job.study} of task {job.task}")
    else:
        hint = " (--again sends it again)" if job.is_over else ""
        say(f"{job}: not sent again{hint}")
        if job.beside != sent.beside_digest:
            say(f"Files beside the task file have changed since: job {job.name} has them as they were")
    say(f"Follow it with `tune-jobs logs {job.name} -f`, stop it with `tune-jobs stop {job.name}`")


def _words(given: dict[str, Any]) -> Iterator[str]:
    """Yield the options of `launch` that were given, as words of its command line. The submission itself carries
    --study, the files of --try and --with, and the targets of --notify."""
    for option in _LAUNCH:
        if (
            not isinstance(option, click.Option)
            or option.name in ("study", "tried", "with_paths", "notify")
            or option.name not in given
        ):
            continue
        values = given[option.name]
        for value in values if isinstance(values, list) else [values]:
            names = option.opts if not option.is_flag or value else option.secondary_opts
            word = max(names, key=len)
            yield word if option.is_flag else f"{word}={value}"


@click.command("launch-sent", params=list(_LAUNCH), hidden=True, short_help="Launch a task that `submit` sent.")
@click.option("--address", required=True)
@click.pass_context
def launch_sent(ctx: click.Context, /, **options: Any) -> int:
    """Launch a task that `submit` sent to this cluster. Its file is first saved in the home folder, where the study
    finds it again.

    \b
    Example:  tune-jobs launch-sent --address auto digits-mlp
    """
    from tune_jobs.execution import submission

    also = options["with_paths"]
    options["task"], options["with_paths"] = submission.keep_task(options["task"], also, read_settings(None))
    code: int = ctx.invoke(launch, home=None, data_dir=None, **options)
    return code


@click.command(short_help="List the jobs of a cluster.")
@address_option
@json_option
def jobs(address: str | None, as_json: bool) -> None:
    """List the sweeps that were sent to a cluster, with their states. Of one that waits for its turn, the message says
    its place, what it waits for and, where that is known, when its turn may come.

    \b
    Example:  tune-jobs jobs --address http://127.0.0.1:8265
    """
    from tune_jobs.execution import attempts

    client = _jobs(address)
    latest = [client.in_queue(job) for job in attempts.latest(client.jobs())]
    if as_json:
        print_json(
            [
                {
                    name: getattr(job, name)
                    for name in ("name", "study", "task", "user", "priority", "state", "since", "exit_code", "message")
                }
                for job in latest
            ]
        )
    elif latest:
        rows = [
            (job.name, job.study, job.user, job.priority, job.state, _time(job.since), job.message or None)
            for job in latest
        ]
        print_table(("job", "study", "user", "priority", "state", "since", "message"), rows)
    else:
        say("There is no job yet. Send one with `tune-jobs submit digits-mlp`.")


def _time(unix_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_s))


@click.command(short_help="Show the output of a job.")
@click.argument("name", metavar="JOB")
@click.option(
    "-f", "--follow", is_flag=True, help="Follow the output until the job ends, and exit with the job's exit code."
)
@address_option
def logs(name: str, follow: bool, address: str | None) -> int:
    """Show the output of a job on a cluster. -f follows it until the job ends; a lost connection is opened again.

    \b
    Example:  tune-jobs logs digits-mlp -f --address http://127.0.0.1:8265
    """
    cluster = _jobs(address)
    job = cluster.find(name)
    if not follow:
        _write(cluster.logs(job))
        return 0
    job = cluster.follow(job, _write, say)
    say(str(job))
    return job.launch_exit_code


def stop_job(name: str, address: str, *, now: bool, wait_s: float) -> int:
    """Stop a job, keeping its finished trials, and wait for its end. Return 1 if it has not ended within `wait_s`."""
    cluster = _jobs(address)
    job = cluster.find(name)
    if job.is_over:
        say(f"{job}: there is nothing to stop")
        return 0
    if now or job.state == "waiting" or not cluster.drain(job):
        cluster.end(job)
        say(f"Job {name} stops now")
    else:
        say(f"Job {name} will stop once its running trials have finished")
    job = cluster.wait(job, wait_s)
    say(str(job) if job.is_over else f"Job {name} has not ended yet. Follow it with `tune-jobs logs {name} -f`.")
    return 0 if job.is_over else 1


def _jobs(address: str | None) -> JobClient:
    url = jobs_address(address)
    if url is None:
        raise click.UsageError(
            "needs the address of the cluster's dashboard: give --address http://HOST:8265 or set TUNE_JOBS_ADDRESS"
        )
    prepare_ray(is_own_cluster=False)
    enable_ray_token()
    from tune_jobs.execution.jobs import JobClient

    return JobClient(url)


def _write(text: str) -> None:
    sys.stdout.write(printable_lines(text))
    sys.stdout.flush()

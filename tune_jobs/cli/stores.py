"""`sync` and `ui`: the study's view in MLflow."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from tune_jobs.cli.options import home_option, read_settings, say
from tune_jobs.settings import prepare_mlflow_password, prepare_mlflow_ui, safe_path


@click.command(short_help="Send MLflow the trials that it does not have yet.")
@click.argument("study")
@click.option("--follow", is_flag=True, help="Deliver until standard input closes: what a launch starts beside itself.")
@home_option
def sync(study: str, follow: bool, home: Path | None) -> int:
    """Send to MLflow the trials of a study that it does not have yet.

    What MLflow refuses, such as a param that somebody logged with another value, is named and left out, and the exit
    code is 1. Everything else is delivered.

    \b
    Example:  tune-jobs sync digits-mlp
    """
    from tune_jobs import tracking
    from tune_jobs.study.study import Study
    from tune_jobs.tracking import delivery, report

    settings = read_settings(home)
    if follow:
        return delivery.follow(study, settings)
    Study.open(study, settings)  # report a wrong name before a store that is away
    tracking.check(settings)
    record, news = delivery.deliver_once(study, settings)
    place, last = settings.shown_tracking_uri, report.read(study, settings)
    for line in last.lines():
        say(line)
    refused = f", without what it refused ({len(last.left_out)})" if last.left_out else ""
    say(f"delivered {news} trials of {len(record.trials)}; MLflow at {place} has all finished trials{refused}")
    return 1 if last.left_out else 0


@click.command(short_help="Open the MLflow UI on the studies.")
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Port on 127.0.0.1.")
@click.option(
    "--no-auth",
    is_flag=True,
    help="Ask for no password: then every user of this machine can change what it shows, and read and write your files "
    "through it.",
)
@home_option
def ui(port: int, no_auth: bool, home: Path | None) -> None:
    """Start the MLflow UI on 127.0.0.1, showing the trials of all studies. Press Ctrl-C to end it.

    It asks for a password that is made for this one time. The address that is printed has it.

    If MLFLOW_TRACKING_URI names an MLflow server, print its address instead.

    \b
    Example:  tune-jobs ui --port 5000
    """
    from tune_jobs import tracking

    settings = read_settings(home)
    if settings.tracking_uri.startswith("http"):
        say(f"The MLflow server is at {settings.shown_tracking_uri}")
        return
    settings.prepare()
    tracking.check_ui_port(port)
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
    if no_auth:
        say(f"The MLflow UI is at http://127.0.0.1:{port}")
        say("It asks for no password: every user of this machine can read and write your files through it")
    else:
        command += ["--app-name", "basic-auth"]
        password = tracking.make_ui_password(settings, port)
        prepare_mlflow_password(password.config, password.user, password.password)
        say(f"The MLflow UI is at {password.address}")
        say(f"The address has its password, which is in {password.file} too: whoever has it can do what you can")
    if settings.mlflow_file is not None:
        tracking.prepare_file(settings, say)
        os.chdir(settings.home)
    os.umask(0o077)  # of what MLflow writes for the page
    prepare_mlflow_ui(settings)
    with safe_path():
        os.execv(sys.executable, command)

"""`ui`: MLflow's own page on the studies of a home."""

from __future__ import annotations

import os
from pathlib import Path

import click

from tune_jobs.cli import local_pages
from tune_jobs.cli.options import home_option, read_settings, say
from tune_jobs.environment import prepare_mlflow_password, prepare_mlflow_ui
from tune_jobs.settings import Settings


@click.command(short_help="Open the MLflow UI on the studies.")
@click.argument("study", required=False)
@local_pages.page_options(
    5000,
    "Ask for no password: then every user of this machine can change what it shows, and read and write your files "
    "through it.",
)
@home_option
def ui(study: str | None, port: int, opens: bool, no_auth: bool, home: Path | None) -> None:
    """Start the MLflow UI on 127.0.0.1, showing the trials of all studies. Press Ctrl-C to end it.

    It prints, and with --open opens, the address of the trials of STUDY (default: the study delivered last): the best
    first, with the columns that matter, learning curves, and params against scores. MLflow takes some seconds to start.

    It asks for a password that is made for this one time. The address that is printed has it.

    If MLFLOW_TRACKING_URI names an MLflow server, print addresses there instead.

    \b
    Example:  tune-jobs ui digits-mlp --open
    """
    from tune_jobs import tracking
    from tune_jobs.tracking import report

    settings = read_settings(home)
    shown, view = report.find_view(study, settings)
    if settings.tracking_uri.startswith("http"):
        address = f"{settings.shown_tracking_uri.rstrip('/')}/"
        say(f"The MLflow server is at {settings.shown_tracking_uri}")
        _say_view(address, shown, view)
        if opens:
            click.launch(f"{address}{view}")
        return
    settings.prepare()
    tracking.check_ui_port(port)
    address, folder = _say_address(settings, port, no_auth=no_auth)
    _say_view(address, shown, view)
    local_pages.announce(
        "MLflow",
        f"http://127.0.0.1:{port}/health",
        lambda: local_pages.open_privately(f"{address}{view}", folder) if opens else None,
        meanwhile="Python reads its server, which takes some seconds",
    )
    _serve(settings, port, no_auth=no_auth)


def _say_address(settings: Settings, port: int, *, no_auth: bool) -> tuple[str, Path]:
    """Say where MLflow will be, and who may come in.

    Return the address to which that of a page is added, and a folder for its files.
    """
    from tune_jobs import tracking

    if no_auth:
        say(f"The MLflow UI is at http://127.0.0.1:{port}")
        say("It asks for no password: every user of this machine can read and write your files through it")
        return f"http://127.0.0.1:{port}/", tracking.new_ui_folder(settings, port)
    password = tracking.make_ui_password(settings, port)
    prepare_mlflow_password(password.config, password.user, password.password)
    say(f"The MLflow UI is at {password.address}")
    say(f"The address has its password, which is in {password.file} too: whoever has it can do what you can")
    return password.address, password.folder


def _say_view(address: str, study: str | None, view: str) -> None:
    if study is not None:
        say(f"The trials of {study} are at {address}{view}")
        say("On a page with GenAI at its top left, choose Model training there: the browser remembers it")


def _serve(settings: Settings, port: int, *, no_auth: bool) -> None:
    """Run MLflow's server here. One worker answers one user, and needs no other process."""
    from tune_jobs import tracking

    arguments = ["ui", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    arguments += [] if no_auth else ["--app-name", "basic-auth"]
    store = settings.tracking_uri
    if settings.mlflow_file is not None:
        tracking.prepare_file(settings, say)
        os.chdir(settings.home)  # its name may be one that an address cannot hold
        store = f"sqlite:///{settings.mlflow_file.name}"
    os.umask(0o077)  # of what MLflow writes for the page
    prepare_mlflow_ui(store, settings.artifacts_dir.as_uri())
    tracking.serve_ui(arguments)

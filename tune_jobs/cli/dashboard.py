"""`dashboard`: Optuna Dashboard on the studies of a home."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli import local_pages
from tune_jobs.cli.options import home_option, read_settings, say


@click.command(short_help="Open Optuna Dashboard on the studies.")
@click.argument("study", required=False)
@local_pages.page_options(
    8080, "Ask for no password: then every user of this machine can read the studies while it runs."
)
@home_option
def dashboard(study: str | None, port: int, opens: bool, no_auth: bool, home: Path | None) -> None:
    """Start Optuna Dashboard on 127.0.0.1, showing all studies as they are, even while they run. Ctrl-C ends it.

    With STUDY the address that is printed is that of its page. Nothing can be changed there. The page asks for a
    password that is made for this one time; the address has it. It needs the extra `dashboard`.

    \b
    Example:  tune-jobs dashboard digits-mlp --open
    """
    from tune_jobs.actions import dashboard
    from tune_jobs.actions.local_page import LocalPage

    settings, page = read_settings(home), LocalPage.at(port, no_auth=no_auth)
    path = "/dashboard" if study is None else dashboard.study_path(study, settings, say)
    dashboard.serve(settings, page, say, lambda: local_pages.say_page("Optuna Dashboard", page, path, opens=opens))

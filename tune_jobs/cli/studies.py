"""`studies` and `status`: list the studies; show the state of one."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli.options import home_option, json_option, print_json, print_table, print_text, read_settings, say


@click.command(short_help="List the studies.")
@home_option
@json_option
def studies(home: Path | None, as_json: bool) -> None:
    """List the studies in the home folder, or in the storage that TUNE_JOBS_STORAGE names.

    \b
    Example:  tune-jobs studies
    """
    from tune_jobs.actions.status import COLUMNS, overview

    rows = overview(read_settings(home))
    if as_json:
        print_json(rows)
    elif rows:
        print_table(COLUMNS, [tuple(row.values()) for row in rows], less=("task", "failed"))
    else:
        say("There is no study yet. Begin one with `tune-jobs launch digits-mlp`.")


@click.command(short_help="Show the state of a study.")
@click.argument("study")
@home_option
@json_option
def status(study: str, home: Path | None, as_json: bool) -> None:
    """Show the state of a study: its driver, its devices, each running or waiting trial, and each failed one with its
    reason.

    \b
    Example:  tune-jobs status digits-mlp
    """
    from tune_jobs.actions import status as status_action

    state = status_action.status(study, read_settings(home))
    if as_json:
        print_json(state.to_dict())
        return
    for line in state.lines():
        print_text(line)

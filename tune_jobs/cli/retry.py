"""`retry`: run failed trials again."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli.options import data_dir_option, home_option, read_settings, say
from tune_jobs.cli.resources import print_outcome, resource_options, take_resources
from tune_jobs.errors import Reason


@click.command(short_help="Run failed trials again.")
@click.argument("study")
@click.option(
    "--reason",
    "reasons",
    multiple=True,
    type=click.Choice([str(reason) for reason in Reason]),
    help="Run trials that failed for this reason (default: crashed, out-of-memory and timed-out). Repeatable.",
)
@resource_options
@home_option
@data_dir_option
def retry(study: str, reasons: tuple[str, ...], home: Path | None, data_dir: Path | None, **options: object) -> int:
    """Run the failed trials of a study again, each as a new trial with the same params and seed.

    A trial that diverged, or whose params are invalid, would fail again. Give its reason with --reason to run it
    anyway. The exit code is 1 if all the trials that it ran failed.

    \b
    Example:  tune-jobs retry digits-mlp
              tune-jobs retry digits-mlp --reason timed-out --trial-time-limit 1h
    """
    from tune_jobs.actions import retry

    chosen = tuple(Reason(reason) for reason in reasons) or retry.BY_ITSELF
    request = retry.RetryRequest(study, chosen, take_resources(options))
    return print_outcome(retry.retry(request, read_settings(home, data_dir), say))

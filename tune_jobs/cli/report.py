"""`report`: write a study as one HTML file with figures."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli.options import home_option, print_text, read_settings


@click.command(short_help="Write a study's report: one HTML file with figures.")
@click.argument("study")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write to FILE (default: report.html beside the study's leaderboard).",
)
@click.option(
    "--after-launch", is_flag=True, hidden=True, help="Write it for a launch that has ended: what a launch starts."
)
@home_option
def report(study: str, output: Path | None, after_launch: bool, home: Path | None) -> None:
    """Write what came out of a study to one HTML file, and print where it is. It opens in a browser without a network.

    It says what may be claimed, and has the leaderboard to sort and filter, the history of the search, which parameters
    mattered, how they interact, learning curves, the front of several objectives, what the workers did, failures, and
    how to run the study again. A launch writes it beside the leaderboard once it has ended (docs/report.md).

    \b
    Example:  tune-jobs report digits-mlp -o digits.html
    """
    from tune_jobs.actions import report

    settings = read_settings(home)
    if after_launch:
        report.write_after_launch(study, settings)
    else:
        print_text(str(report.write(study, settings, output)))

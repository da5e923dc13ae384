"""`replicate`: train the best configurations again with more seeds."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli.options import data_dir_option, home_option, read_settings, say, top_option
from tune_jobs.cli.resources import print_outcome, resource_options, take_resources


@click.command(short_help="Train the best configurations again with more seeds.")
@click.argument("study")
@top_option(5)
@click.option(
    "--seeds",
    type=click.IntRange(min=2),
    metavar="N",
    default=3,
    show_default=True,
    help="Seeds of each configuration, including the one it already has.",
)
@click.option(
    "--baseline",
    is_flag=True,
    help="Replicate the task's baseline too, whatever its place, so that it has the same seeds as the best.",
)
@click.option(
    "--until-separated",
    is_flag=True,
    help="Add seeds where the order is still in doubt, until it is settled or the budget is spent.",
)
@click.option(
    "--budget",
    type=click.IntRange(min=1),
    metavar="N",
    help="Maximum number of trials that --until-separated adds (default: 50).",
)
@resource_options
@home_option
@data_dir_option
def replicate(home: Path | None, data_dir: Path | None, **options: object) -> int:
    """Train a study's best configurations again with more seeds, the same seeds for each configuration.

    If it is killed, run it again: it continues with the configurations that it chose first. Once it is done, the next
    run chooses the best again. The exit code is 1 if all the trials that it ran failed.

    \b
    Example:  tune-jobs replicate digits-mlp --top 5 --seeds 3
              tune-jobs replicate digits-mlp --top 5 --until-separated --budget 30
    """
    from tune_jobs.actions import replicate

    settings = read_settings(home, data_dir)
    request = replicate.ReplicateRequest(resources=take_resources(options), **options)  # type: ignore[arg-type]
    return print_outcome(replicate.replicate(request, settings, say))

"""`replicate`: the best configurations again, with further seeds."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli.options import data_dir_option, home_option, say, settings
from tune_jobs.cli.resources import resource_options, taken, tell


@click.command(short_help="Train the best again with further seeds.")
@click.argument("study")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="How many configurations.")
@click.option(
    "--seeds", type=click.IntRange(min=2), default=3, show_default=True, help="Seeds of each, the first included."
)
@click.option("--until-separated", is_flag=True, help="Go on where the order is still in doubt, up to the budget.")
@click.option(
    "--budget", type=click.IntRange(min=1), help="Further trials of --until-separated at most (50 if not given)."
)
@resource_options
@home_option
@data_dir_option
def replicate(home: Path | None, data_dir: Path | None, **options: object) -> int:
    """Train a study's best configurations again with further seeds, the same seeds for each.

    Killed and run again it goes on with the configurations it had chosen. Run again when it is done, it takes the best
    as they are then.

    \b
    Example:  tune-jobs replicate digits-mlp --top 5 --seeds 3
              tune-jobs replicate digits-mlp --top 5 --until-separated --budget 30
    """
    from tune_jobs.actions import replicate

    where = settings(home, data_dir)
    request = replicate.ReplicateRequest(resources=taken(options), **options)  # type: ignore[arg-type]
    return tell(replicate.replicate(request, where, say))

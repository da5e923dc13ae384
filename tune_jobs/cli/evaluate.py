"""`evaluate`: score the best configurations on the test split."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli.options import data_dir_option, home_option, read_settings, say, top_option
from tune_jobs.cli.resources import place_options, print_outcome, take_resources


@click.command(short_help="Score the best configurations on the test split.")
@click.argument("study")
@top_option(1)
@click.option("--by", metavar="NAME", help="Who reads the test split, for the record (default: the logged-in user).")
@click.option(
    "--again", is_flag=True, help="Read the test split once more; the leaderboard shows how often it was read."
)
@place_options
@home_option
@data_dir_option
def evaluate(home: Path | None, data_dir: Path | None, **options: object) -> int:
    """Score a study's best configurations on the test split, with all their seeds. No other command reads that split.

    A model whose weights were kept is loaded; any other is trained again from its seed. The exit code is 1 if none of
    them could be scored.

    \b
    Example:  tune-jobs evaluate digits-mlp --top 1
    """
    from tune_jobs.actions import evaluate

    settings = read_settings(home, data_dir)
    request = evaluate.EvaluateRequest(resources=take_resources(options), **options)  # type: ignore[arg-type]
    return print_outcome(evaluate.evaluate(request, settings, say))

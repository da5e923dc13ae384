"""`evaluate`: finalists on the test split."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli.options import data_dir_option, home_option, say, settings
from tune_jobs.cli.resources import place_options, taken, tell


@click.command(short_help="Read the test split, for the finalists.")
@click.argument("study")
@click.option("--top", type=click.IntRange(min=1), default=1, show_default=True, help="How many configurations.")
@click.option("--by", help="For whom the test split is read; whoever is logged in where not given.")
@click.option("--again", is_flag=True, help="Read it although it was read before; the leaderboard counts it.")
@place_options
@home_option
@data_dir_option
def evaluate(home: Path | None, data_dir: Path | None, **options: object) -> int:
    """Score a study's best configurations on the test split, with all their seeds. No other command reads it.

    Models are made of their kept weights where there are any, else trained again from their seeds.

    \b
    Example:  tune-jobs evaluate digits-mlp --top 1
    """
    from tune_jobs.actions import evaluate

    where = settings(home, data_dir)
    request = evaluate.EvaluateRequest(resources=taken(options), **options)  # type: ignore[arg-type]
    return tell(evaluate.evaluate(request, where, say))

"""`train`: a configuration trained again."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli.options import data_dir_option, home_option, json_option, print_json, say, settings


@click.command(short_help="Train a best.yaml again.")
@click.argument("config", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--trial", type=click.IntRange(min=0), help="Which one of a front.yaml.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Save the model: model.keras.")
@click.option("--no-mlflow", is_flag=True, help="Do not log the model to MLflow.")
@json_option
@home_option
@data_dir_option
def train(
    config: Path,
    trial: int | None,
    output: Path | None,
    no_mlflow: bool,
    as_json: bool,
    home: Path | None,
    data_dir: Path | None,
) -> int:
    """Train a best.yaml again, or one of a front.yaml, to the same validation score, and save the model.

    \b
    Example:  tune-jobs train results/best.yaml -o model.keras
    """
    from tune_jobs.actions import train

    where = settings(home, data_dir)
    outcome = train.train(config, where, output=output, with_mlflow=not no_mlflow, say=say, trial=trial)
    if as_json:
        print_json(
            {
                "score": outcome.score,
                "recorded_score": outcome.recorded,
                "is_same": outcome.is_same,
                "model": None if output is None else str(output),
                "mlflow_model": outcome.model_uri,
            }
        )
    else:
        same = "the same as recorded" if outcome.is_same else f"recorded was {outcome.recorded!r}"
        click.echo(f"{outcome.metric} {outcome.score!r} at epoch {outcome.best_epoch}: {same}")
    return 0

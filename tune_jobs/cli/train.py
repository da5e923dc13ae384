"""`train`: train a configuration again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tune_jobs.cli.options import data_dir_option, home_option, json_option, print_json, print_text, read_settings, say

if TYPE_CHECKING:
    from tune_jobs.actions.train import Retrained


@click.command(short_help="Train the model of a best.yaml or front.yaml again.")
@click.argument("config", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--trial", type=click.IntRange(min=0), metavar="N", help="Number of the trial in a front.yaml.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Save the model to FILE.keras, FILE.onnx or FILE.tflite or, as a SavedModel, in a new folder. Of a task that "
    "runs a function: a new folder for its files.",
)
@click.option("--register", metavar="NAME", help="Register the model in MLflow as the new champion of NAME.")
@click.option("--no-mlflow", is_flag=True, help="Do not log the model to MLflow.")
@json_option
@home_option
@data_dir_option
def train(
    config: Path,
    trial: int | None,
    output: Path | None,
    register: str | None,
    no_mlflow: bool,
    as_json: bool,
    home: Path | None,
    data_dir: Path | None,
) -> int:
    """Train the configuration of a best.yaml again, or one of a front.yaml, to the same validation score.

    CONFIG is the YAML file. With -o the model is saved: as a .keras file, which `tune-jobs predict` reads, or in the
    form of another program, whose outputs on real inputs are compared with the model's. A task that runs a function has
    no model: with -o the files that it reports are kept in a new folder. The model of a cross-validated
    configuration is trained on the rows of all folds.

    \b
    Example:  tune-jobs train results/best.yaml -o model.keras
    """
    from tune_jobs.actions import train

    settings = read_settings(home, data_dir)
    outcome = train.train(
        config, settings, output=output, with_mlflow=not no_mlflow, say=say, trial=trial, register=register
    )
    if as_json:
        print_json(
            {
                "score": outcome.score,
                "recorded_score": outcome.recorded,
                "is_same": outcome.is_same,
                "model": None if output is None or outcome.files else str(output),
                "files": None if outcome.files is None else str(outcome.files),
                "mlflow_model": outcome.model_uri,
            }
        )
    else:
        print_text(f"{outcome.metric} {outcome.score!r} {_what_it_is(outcome)}")
    return 0


def _what_it_is(outcome: Retrained) -> str:
    """Return what the score is of, and whether it is the one that was recorded."""
    if outcome.is_of_folds:
        return f"is the mean over its folds; the model was trained on all rows for {outcome.best_epoch} epochs"
    same = "the same as recorded" if outcome.is_same else f"the recorded score is {outcome.recorded!r}"
    return f"at epoch {outcome.best_epoch}: {same}"

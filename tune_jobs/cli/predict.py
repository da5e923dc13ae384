"""`predict`: read images, tables, arrays and texts with a saved model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tune_jobs.cli.options import (
    home_option,
    json_option,
    moved_task_option,
    print_json,
    print_text,
    read_settings,
    say,
)
from tune_jobs.errors import UserError

if TYPE_CHECKING:
    from tune_jobs.actions.predict import Outcome


@click.command(short_help="Read files with a saved model.")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="FILE...")
@moved_task_option
@json_option
@home_option
def predict(model: Path, files: Sequence[Path], task: str | None, as_json: bool, home: Path | None) -> int:
    """Read files with a model that `train -o model.keras` saved, and print the label of each image or row.

    A FILE is an image, or holds rows of what the task's data are: a table (.csv, .tsv, .parquet), arrays (.npy, .npz)
    or a text a line (.txt). Columns of a table, and arrays of an .npz, go by the names that they had in training.
    Labels are printed with their unit, or as the name of a class; of several outputs each with the output's name.

    An image may have any usual format, size and colours. The middle of it is read. It should look like the images that
    the model was trained on. The model reads the image and slightly changed views of it. If the readings of many views
    differ, the model is unsure. This is not a probability of being right.

    If a file cannot be read, an error names it, the others are still read, and the exit code is 2.

    A model of your own task needs the task's file. If the file was moved, it is found where the model's study was last
    launched, or where --task says.

    \b
    Example:  tune-jobs predict model.keras clock.png
              tune-jobs predict model.keras houses.csv --json
    """
    from tune_jobs.actions.predict import readings

    outcomes = readings(model, files, read_settings(home), task)
    if as_json:
        read = list(outcomes)
        print_json([{"file": str(file), **_facts(outcome)} for file, outcome in read])
        return 2 if any(isinstance(outcome, UserError) for _, outcome in read) else 0
    width = max(len(click.format_filename(file)) for file in files)
    code = 0
    for file, outcome in outcomes:
        if isinstance(outcome, UserError):
            code = 2
            say(f"tune-jobs: {' '.join(str(outcome).split())}")
        else:
            print_text(f"{click.format_filename(file):<{width}}  {outcome.words()}")
    return code


def _facts(outcome: Outcome) -> dict[str, Any]:
    return {"error": str(outcome)} if isinstance(outcome, UserError) else outcome.to_dict()
